// What scripts find in `fila`. Each function charges before it works.
import type { ScriptWorld } from "../script-engine.ts";
import { charge, checkString, luaL_checkstring, luaS_bless } from "./fengari/index.js";
import type { NativeFunction, State } from "./fengari/index.js";
import { luaString, nil, numberValue, push, utf8Bytes, utf8Text } from "./lua-values.ts";
import { murmur3 } from "./murmur3.ts";
import { parseJson } from "./parse-json.ts";

export function filaFunctions(world: ScriptWorld): Readonly<Record<string, NativeFunction>> {
  return {
    /** The value of a key of the runtime configuration, or nil. */
    get(state) {
      const key = luaL_checkstring(state, 1);
      charge(10 + (key.length >> 2));
      const name = utf8Text(key);
      const value = name === undefined ? undefined : world.config(name);
      push(state, value === undefined ? nil() : textOf(state, value));
      return 1;
    },
    /** MurmurHash3 of 32 bits, without the lowest: 0 to 2^31 - 1. */
    hash(state) {
      const bytes = luaL_checkstring(state, 1);
      charge(1 + (bytes.length >> 3));
      push(state, numberValue(murmur3(bytes) >>> 1));
      return 1;
    },
    /** Milliseconds since 1970: a float, for it has more than 32 bits. */
    now(state) {
      charge(1);
      push(state, numberValue(world.now()));
      return 1;
    },
    parse_json(state) {
      push(state, parseJson(state, luaL_checkstring(state, 1)));
      return 1;
    },
  };
}

function textOf(state: State, text: string) {
  // Of valid UTF-8: at most three bytes for each unit.
  checkString(text.length);
  charge(text.length >> 3);
  return luaString(luaS_bless(state, utf8Bytes(text)));
}
