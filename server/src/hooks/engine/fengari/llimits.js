const lua_assert = function(c) {
    if (!c) throw Error("assertion failed");
};
export { lua_assert };

const api_check = function(l, e, msg) {
    if (!e) throw Error(msg);
};
export { api_check };

const LUAI_MAXCCALLS = 200;
export { LUAI_MAXCCALLS };

/* minimum size for string buffer */
const LUA_MINBUFFER = 32;
export { LUA_MINBUFFER };

const luai_nummod = function(L, a, b) {
    let m = a % b;
    if ((m*b) < 0)
        m += b;
    return m;
};
export { luai_nummod };

// If later integers are more than 32bit, LUA_MAXINTEGER will then be != MAX_INT
const MAX_INT = 2147483647;
export { MAX_INT };
const MIN_INT = -2147483648;
export { MIN_INT };
