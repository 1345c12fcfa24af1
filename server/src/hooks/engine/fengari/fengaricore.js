/* Fengari specific functions
 *
 * This file includes fengari-specific data or and functionality for users to
 * manipulate fengari's string type.
 * The fields are exposed to the user on the 'fengari' entry point; however to
 * avoid a dependency on defs.js from lauxlib.js they are defined in this file.
 */

import * as defs from "./defs.js";

const FENGARI_VERSION_MAJOR   = "0";
const FENGARI_VERSION_MINOR   = "1";
const FENGARI_VERSION_NUM     = 1;
const FENGARI_VERSION_RELEASE = "5";
const FENGARI_VERSION         = "Fengari " + FENGARI_VERSION_MAJOR + "." + FENGARI_VERSION_MINOR;
const FENGARI_RELEASE         = FENGARI_VERSION + "." + FENGARI_VERSION_RELEASE;
const FENGARI_AUTHORS         = "B. Giannangeli, Daurnimator";
const FENGARI_COPYRIGHT       = FENGARI_RELEASE + "  Copyright (C) 2017-2019 " + FENGARI_AUTHORS + "\nBased on: " + defs.LUA_COPYRIGHT;

export { FENGARI_AUTHORS };
export { FENGARI_COPYRIGHT };
export { FENGARI_RELEASE };
export { FENGARI_VERSION };
export { FENGARI_VERSION_MAJOR };
export { FENGARI_VERSION_MINOR };
export { FENGARI_VERSION_NUM };
export { FENGARI_VERSION_RELEASE };
export const is_luastring = defs.is_luastring;
export const luastring_eq = defs.luastring_eq;
export const luastring_from = defs.luastring_from;
export const luastring_indexOf = defs.luastring_indexOf;
export const luastring_of = defs.luastring_of;
export const to_jsstring = defs.to_jsstring;
export const to_luastring = defs.to_luastring;
export const to_uristring = defs.to_uristring;
export const from_userstring = defs.from_userstring;
