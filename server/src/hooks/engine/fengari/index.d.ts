// Types of the part of the VM that the engine uses; written by hand.

/** What the scripts of one thread see of the outside. */
export interface MeterWorld {
  monotonic(): number;
  random(): number;
}

export interface MeterBudgets {
  readonly steps: number;
  readonly bytes: number;
  readonly stringBytes: number;
  readonly clockMs: number;
}

/** Starts counting anew; nothing is exhausted any more. */
export function begin(budgets: MeterBudgets, world: MeterWorld): void;
/** Before so many steps of work. Throws `exhausted`. */
export function charge(steps: number): void;
/** Before memory for a string of so many bytes is taken. Throws `exhausted`. */
export function checkString(bytes: number): void;
/** Steps since `begin`. */
export function usedSteps(): number;
/** What is thrown, and thrown again until the next `begin`, when a budget is exhausted; reason "" = none is. */
export const exhausted: { readonly reason: "" | "instructions" | "memory" | "string-length" | "clock" };
export const meter: { readonly bytes: number; readonly errorLine: number };

export const constant_types: Readonly<
  Record<
    | "LUA_TNIL"
    | "LUA_TBOOLEAN"
    | "LUA_TSTRING"
    | "LUA_TLNGSTR"
    | "LUA_TSHRSTR"
    | "LUA_TNUMFLT"
    | "LUA_TNUMINT"
    | "LUA_TTABLE"
    | "LUA_TLCL"
    | "LUA_TLCF"
    | "LUA_TFUNCTION",
    number
  >
>;
export const thread_status: Readonly<Record<"LUA_OK" | "LUA_ERRSYNTAX" | "LUA_ERRERR", number>>;

export interface Global {
  id_counter: number;
  /** Metatables of the types that are no tables, by type. */
  readonly mt: (Table | undefined)[];
}

/** A thread of Lua. */
export interface State {
  readonly l_G: Global;
  readonly stack: (TValue | undefined)[];
  /** The first free place of the stack. */
  top: number;
}

export class TValue {
  constructor(type: number, value: unknown);
  type: number;
  value: unknown;
}

export class TString {
  /** Takes the bytes as they are: nobody may change them. Charges nothing. */
  constructor(state: State | null, bytes: Uint8Array);
  readonly realstring: Uint8Array;
}

interface Entry {
  readonly key: TValue;
  readonly value: TValue;
}

/** A string of these bytes, as they are; charges for it. */
export function luaS_bless(state: State, bytes: Uint8Array): TString;

export class Table {
  /** Charges nothing. */
  constructor(state: State);
  readonly strong: ReadonlyMap<unknown, Entry>;
  metatable: Table | null;
  readonly: boolean;
}

export interface Proto {
  readonly source: TString | null;
}

export class LClosure {
  constructor(state: State, upvalues: number);
  p: Proto | null;
  readonly upvals: TValue[];
}

/** A function for scripts: its arguments are on the stack; it pushes its results and returns how many they are. */
export type NativeFunction = (state: State) => number;

export function lua_newstate(): State;
export function lua_renewthread(global: Global): State;
export function lua_pushcfunction(state: State, call: NativeFunction): void;
export function lua_call(state: State, argumentCount: number, resultCount: number): void;
export function lua_load(
  state: State,
  reader: (state: State, data: { string: Uint8Array | null }) => Uint8Array | null,
  data: { string: Uint8Array | null },
  name: Uint8Array,
  mode: Uint8Array,
): number;
export function luaD_call(state: State, func: number, resultCount: number): void;
/** The status; other than LUA_OK: the error stands at `oldTop`. Rethrows what is no Lua error. */
export function luaD_pcall<Data>(
  state: State,
  call: (state: State, data: Data) => void,
  data: Data,
  oldTop: number,
  errorHandler: number,
): number;
/** The line that the innermost Lua function is at, 0 if there is none. */
export function luaG_line(state: State): number;
/** The bytes of the argument; raises a Lua error when it is neither string nor number. */
export function luaL_checkstring(state: State, argument: number): Uint8Array;
/** Raises a Lua error. */
export function luaL_error(state: State, format: Uint8Array, ...values: readonly (Uint8Array | number)[]): never;
export const luaH_new: (state: State) => Table;
/** Of a table that no script has seen: charges nothing, and keeps `value` itself. */
export function luaH_fill(table: Table, key: TString, value: TValue): void;
/** Without metamethods; a value of type nil when there is none. */
export function luaH_getstr(table: Table, key: TString): TValue;
export function luaH_getint(table: Table, key: number): TValue;
/** Charges for a new entry; raises a Lua error when the table is read-only. Copies type and value. */
export function luaH_setfrom(state: State, table: Table, key: TValue, value: TValue): void;

export const luaopen_base: NativeFunction;
export const luaopen_math: NativeFunction;
export const luaopen_string: NativeFunction;
export const luaopen_table: NativeFunction;
export const luaopen_utf8: NativeFunction;
