// Lua values from and to JavaScript. Strings of Lua are bytes.
import { isUtf8 } from "node:buffer";
import { TString, TValue, constant_types } from "./fengari/index.js";
import type { LClosure, NativeFunction, State, Table } from "./fengari/index.js";

const { LUA_TBOOLEAN, LUA_TLCF, LUA_TLCL, LUA_TLNGSTR, LUA_TNIL, LUA_TNUMFLT, LUA_TNUMINT, LUA_TTABLE } =
  constant_types;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function utf8Bytes(text: string): Uint8Array {
  const { length } = text;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x80) return encoder.encode(text);
    bytes[at] = code;
  }
  return bytes;
}

/** undefined: the bytes are not valid UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  const { length } = bytes;
  if (length <= 64) {
    let text = "";
    let at = 0;
    for (; at < length && bytes[at]! < 0x80; at++) text += String.fromCharCode(bytes[at]!);
    if (at === length) return text;
  }
  return isUtf8(bytes) ? decoder.decode(bytes) : undefined;
}

export const nil = (): TValue => new TValue(LUA_TNIL, null);
export const boolean = (value: boolean): TValue => new TValue(LUA_TBOOLEAN, value);
export const table = (value: Table): TValue => new TValue(LUA_TTABLE, value);
export const nativeFunction = (call: NativeFunction): TValue => new TValue(LUA_TLCF, call);
export const closure = (value: LClosure): TValue => new TValue(LUA_TLCL, value);
export const copyOf = ({ type, value }: TValue): TValue => new TValue(type, value);
export const luaString = (value: TString): TValue => new TValue(LUA_TLNGSTR, value);
/** Charges nothing. */
export const bytesValue = (bytes: Uint8Array): TValue => luaString(new TString(null, bytes));
/** Charges nothing. */
export const textValue = (text: string): TValue => bytesValue(utf8Bytes(text));
/** Charges nothing. */
export const luaName = (text: string): TString => new TString(null, utf8Bytes(text));

/** An integer when it is one of 32 bits, as Lua's integers are here; else a float. */
export function numberValue(value: number): TValue {
  const isInteger = (value | 0) === value && !Object.is(value, -0);
  return new TValue(isInteger ? LUA_TNUMINT : LUA_TNUMFLT, value);
}

export function push(state: State, value: TValue): void {
  state.stack[state.top++] = value;
}

/** The topmost value, which is no longer on the stack. */
export function pop(state: State): TValue {
  const value = state.stack[--state.top]!;
  state.stack[state.top] = undefined;
  return value;
}

/** The type as Lua names it. */
export function typeName(value: TValue): string {
  return ["nil", "boolean", "userdata", "number", "string", "table", "function"][value.type & 0x0f] ?? "value";
}

export const isString = (value: TValue): boolean => typeName(value) === "string";
export const isTable = (value: TValue): boolean => value.type === LUA_TTABLE;
export const isFunction = (value: TValue): boolean => typeName(value) === "function";
export const isNil = (value: TValue): boolean => value.type === LUA_TNIL;
/** Of a string. */
export const bytesOf = (value: TValue): Uint8Array => (value.value as TString).realstring;
export const tableOf = (value: TValue): Table => value.value as Table;
/** undefined: it is no number. */
export const numberOf = (value: TValue): number | undefined =>
  typeName(value) === "number" ? (value.value as number) : undefined;
