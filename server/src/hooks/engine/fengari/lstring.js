import {
    is_luastring,
    luastring_eq,
    luastring_from,
    to_luastring
} from "./defs.js";
import { charge, chargeBytes, chargeString, checkString } from "./charge.js";
import { lua_assert } from "./llimits.js";

class TString {

    constructor(L, str) {
        this.hash = null;
        this.realstring = str;
    }

    getstr() {
        return this.realstring;
    }

    tsslen() {
        return this.realstring.length;
    }

}

const luaS_eqlngstr = function(a, b) {
    lua_assert(a instanceof TString);
    lua_assert(b instanceof TString);
    if (a !== b && a.realstring.length === b.realstring.length && a.realstring.length > 16)
        charge(a.realstring.length >> 4);
    return a == b || luastring_eq(a.realstring, b.realstring);
};

const latin1Slice = Buffer.prototype.latin1Slice;

/* one character for each byte: equal only for equal strings, and ordered as their bytes are. The first character keeps V8 from
   taking strings of digits for numbers, whose hashes anybody can foresee. */
/* converts strings (arrays) to a consistent map key
   make sure this doesn't conflict with any of the anti-collision strategies in ltable */
const luaS_hash = function(str) {
    lua_assert(is_luastring(str));
    let len = str.length;
    if (len > 64)
        return "|" + latin1Slice.call(str, 0, len);
    let s = "|";
    for (let i=0; i<len; i++)
        s += String.fromCharCode(str[i]);
    return s;
};

const luaS_hashlongstr = function(ts) {
    lua_assert(ts instanceof TString);
    if(ts.hash === null) {
        if (ts.realstring.length > 64) {
            charge(ts.realstring.length >> 6);
            chargeBytes(ts.realstring.length);
        }
        ts.hash = luaS_hash(ts.getstr());
    }
    return ts.hash;
};

/* variant that takes ownership of array */
const luaS_bless = function(L, str) {
    lua_assert(str instanceof Uint8Array);
    chargeString(str.length);
    return new TString(L, str);
};

/* makes a copy */
const luaS_new = function(L, str) {
    checkString(str.length);
    return luaS_bless(L, luastring_from(str));
};

/* takes a js string */
const luaS_newliteral = function(L, str) {
    return luaS_bless(L, to_luastring(str));
};

export { luaS_eqlngstr };
export { luaS_hash };
export { luaS_hashlongstr };
export { luaS_bless };
export { luaS_new };
export { luaS_newliteral };
export { TString };
