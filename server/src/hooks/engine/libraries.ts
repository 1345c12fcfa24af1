// What every script finds, made once and then frozen: the libraries, the metatable of strings, and the metatable through
// which the environment of each call reaches them.
import type { ScriptWorld } from "../script-engine.ts";
import {
  Table,
  begin,
  lua_call,
  lua_newstate,
  lua_pushcfunction,
  luaH_fill,
  luaopen_base,
  luaopen_math,
  luaopen_string,
  luaopen_table,
  luaopen_utf8,
} from "./fengari/index.js";
import type { NativeFunction, State } from "./fengari/index.js";
import { filaFunctions } from "./fila-library.ts";
import { boolean, luaName, nativeFunction, pop, table, tableOf } from "./lua-values.ts";

export interface Libraries {
  readonly state: State;
  /** Of the environment of every call. */
  readonly environmentMetatable: Table;
}

const unlimited = { steps: Infinity, bytes: Infinity, stringBytes: Infinity, clockMs: Infinity };

export function openLibraries(world: ScriptWorld): Libraries {
  begin(unlimited, world);
  const state = lua_newstate();
  const globals = opened(state, luaopen_base);
  const libraries = { string: luaopen_string, table: luaopen_table, math: luaopen_math, utf8: luaopen_utf8 };
  for (const [name, open] of Object.entries(libraries)) luaH_fill(globals, luaName(name), table(opened(state, open)));
  luaH_fill(globals, luaName("fila"), table(filaTable(state, world)));
  const environmentMetatable = new Table(state);
  luaH_fill(environmentMetatable, luaName("__index"), table(globals));
  hide(environmentMetatable);
  for (const metatable of state.l_G.mt) if (metatable !== undefined) hide(metatable);
  freezeFrom(environmentMetatable);
  for (const metatable of state.l_G.mt) if (metatable !== undefined) freezeFrom(metatable);
  return { state, environmentMetatable };
}

function opened(state: State, open: NativeFunction): Table {
  lua_pushcfunction(state, open);
  lua_call(state, 0, 1);
  return tableOf(pop(state));
}

function filaTable(state: State, world: ScriptWorld): Table {
  const made = new Table(state);
  for (const [name, call] of Object.entries(filaFunctions(world))) luaH_fill(made, luaName(name), nativeFunction(call));
  return made;
}

/** getmetatable gives false, setmetatable refuses. */
function hide(metatable: Table): void {
  luaH_fill(metatable, luaName("__metatable"), boolean(false));
}

function freezeFrom(made: Table): void {
  if (made.readonly) return;
  made.readonly = true;
  for (const { value } of made.strong.values()) if (value.value instanceof Table) freezeFrom(value.value);
}
