/* What the engine uses of the VM; its types are in index.d.ts. */
export { begin, charge, checkString, exhausted, meter, usedSteps } from "./charge.js";
export { constant_types, thread_status } from "./defs.js";
export { luaL_checkstring, luaL_error } from "./lauxlib.js";
export { luaopen_base } from "./lbaselib.js";
export { luaG_line } from "./ldebug.js";
export { luaD_call, luaD_pcall } from "./ldo.js";
export { luaopen_math } from "./lmathlib.js";
export { LClosure, TValue } from "./lobject.js";
export { lua_newstate, lua_renewthread } from "./lstate.js";
export { TString, luaS_bless } from "./lstring.js";
export { luaopen_string } from "./lstrlib.js";
export { Table, luaH_fill, luaH_getint, luaH_getstr, luaH_new, luaH_setfrom } from "./ltable.js";
export { luaopen_table } from "./ltablib.js";
export { lua_call, lua_load, lua_pushcfunction } from "./lua.js";
export { luaopen_utf8 } from "./lutf8lib.js";
