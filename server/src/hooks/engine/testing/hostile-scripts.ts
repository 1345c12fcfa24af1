// Scripts that try to hang a thread, to fill its memory, to reach out of their call, or to lie to whoever reads their
// answer; by what each must end with, without any clock.
import type { ScriptFailureReason } from "../../script-engine.ts";

export interface HostileScript {
  readonly name: string;
  /** "harmless": it may run to its end, or fail by itself, but leaves no trace. */
  readonly ends: ScriptFailureReason | "harmless";
  /** Of on_enqueue(msg); or the whole source. */
  readonly body?: string;
  readonly source?: string;
}

type Endings = Readonly<Record<string, string>>;
const ending = (ends: HostileScript["ends"], bodies: Endings): HostileScript[] =>
  Object.entries(bodies).map(([name, body]) => ({ name, ends, body }));
const wholeSources = (ends: HostileScript["ends"], sources: Endings): HostileScript[] =>
  Object.entries(sources).map(([name, source]) => ({ name, ends, source }));

/** Numbers whose hashes have the same fourteen lowest bits, when it is V8 that hashes them, which uses no seed. */
function numbersHashedAlike(count: number): number[] {
  const found: number[] = [];
  for (let number = 1_000_000_000; found.length < count; number++) {
    let hash = ~number + (number << 15);
    hash ^= hash >>> 12;
    hash = (hash + (hash << 2)) | 0;
    hash ^= hash >>> 4;
    hash = Math.imul(hash, 2057);
    hash ^= hash >>> 16;
    if ((hash & 0x3fff) === 0) found.push(number);
  }
  return found;
}

const loops = ending("instructions", {
  while: "while true do end",
  "while with work": "local n = 0 while true do n = n + 1 end",
  repeat: "repeat until false",
  goto: "::again:: goto again",
  "numeric for that wraps around":
    "for i = 1, math.maxinteger do end for i = math.maxinteger - 1, math.maxinteger do end while true do end",
  "for over floats that never get there": "for i = 1, 1/0 do end",
  "generic for without end": "for _ in function() return 1 end do end",
  "pcall in a loop": "while true do pcall(function() while true do end end) end",
  "pcall in pcall in a loop": "while true do pcall(pcall, pcall, pcall, function() while true do end end) end",
  "xpcall handler that loops": "while true do xpcall(error, function() while true do end end) end",
  "metamethod __index without end":
    "local t t = setmetatable({}, { __index = function(_, k) return t[k + 1] end }) while true do pcall(function() return t[1] end) end",
  "metamethod __lt in a sort":
    "local t = {} for i = 1, 50 do t[i] = setmetatable({}, { __lt = function() while true do end end }) end table.sort(t)",
  "tail calls without end": "local function f() return f() end return f()",
  "two functions that tail-call each other":
    "local f, g function f() return g() end function g() return f() end return f()",
});

const chunkLoops = wholeSources("instructions", {
  "chunk that loops, and never defines": "while true do end function on_enqueue() end",
  "chunk that loops only when it runs again":
    "if fila.get('armed') then while true do end end function on_enqueue() while true do end end",
});

const memory = [
  ...ending("string-length", {
    "pattern captures put together": "local s = ('x'):rep(60000) return (s:gsub('(.*)', '%1%1'))",
    "gsub with a function that grows": "return ((('x'):rep(1000)):gsub('x', function() return ('y'):rep(100) end))",
    "string that doubles": "local s = 'x' while true do s = s .. s end",
    "string of many parts": "local s = ('x'):rep(60000) return { fairness_key = s .. s }",
    "rep beyond the limit": "return ('x'):rep(1e6)",
    "rep of the largest number": "return ('x'):rep(math.maxinteger)",
    "rep with a long separator": "return (''):rep(100, ('x'):rep(1000))",
    "concat of one table's long strings":
      "local t, s = {}, ('x'):rep(30000) for i = 1, 10 do t[i] = s end return table.concat(t)",
    "gsub that grows": "return ((('x'):rep(1000)):gsub('x', ('y'):rep(100)))",
    "format of long strings": "local s = ('x'):rep(40000) return string.format('%s%s', s, s)",
    "format with %q": "return string.format('%q', ('\\0'):rep(60000))",
  }),
  ...ending("memory", {
    "JSON that is none": "while true do pcall(fila.parse_json, '') end",
    "table that grows": "local t = {} while true do t[#t + 1] = 1 end",
    "closures that are kept": "local t, n = {}, 0 while true do t[1] = function() return n, t end end",
    "rep of nothing, often": "while true do (''):rep(1e9) end",
    "JSON that is parsed again and again":
      "local s = '[' .. ('1,'):rep(1000) .. ']' while true do pcall(fila.parse_json, s) end",
    "utf8.codes over continuation bytes":
      "local s = 'a' .. ('\\x80'):rep(60000) while true do pcall(function() for _ in utf8.codes(s) do end end) end",
    "sort with a lying __len":
      "table.sort(setmetatable({}, { __len = function() return 1e9 end, __index = function() return 1 end }))",
    "utf8.char of many":
      "local t = {} for i = 1, 4000 do t[i] = 0x10ffff end local s = utf8.char(table.unpack(t)) return s .. s .. s .. s .. s",
    "on the answer's way: __gc, __close and __mode are nothing":
      "while true do setmetatable({}, { __gc = print, __mode = 'k', __close = print }) if false then break end local x = 1 end",
    "string metamethods in a loop": "while true do local x = ('x'):upper():lower() end",
    "xpcall handler that raises": "while true do xpcall(error, function() error('again') end) end",
    "table of tables": "local t = {} while true do t = { t } end",
    "table of strings as keys": "local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = true end",
    "floats as keys": "local t, x = {}, 0.5 while true do x = x + 1 t[x] = x end",
    "strings that are kept": "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(10000) .. i end",
    "strings that are dropped": "local s = ('x'):rep(10000) while true do local u = s .. 'y' end",
    closures: "local t = {} while true do local a, b = {}, {} t[1] = function() return a, b, t end end",
    "sub of a long string": "local s = ('x'):rep(60000) while true do local t = s:sub(2) end",
    "table.pack": "while true do table.pack(1, 2, 3, 4, 5, 6, 7, 8) end",
    "table.insert": "local t = {} while true do table.insert(t, 1) end",
    "table.move into a new one":
      "local t = table.pack(1, 2, 3, 4, 5, 6, 7, 8) for i = 1, 1e6 do table.move(t, 1, 8, i * 8, t) end",
    constructors: "while true do local t = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, a = 1, b = 2 } end",
    "tostring of tables": "while true do tostring({}) end",
    "environment that grows": "local i = 0 while true do i = i + 1 _ENV['g' .. i] = i end",
    "errors with messages": "while true do pcall(error, ('x'):rep(1000) .. 'y') end",
    "errors of the VM":
      "local long = ('x'):rep(1000) local t = {} while true do pcall(function() return t[long] .. nil end) end",
    "gsub that hands on what it was given":
      "local s = ('x'):rep(60000) while true do s:gsub('.-', '%0', 1) s = s:sub(1, -2) end",
    "varargs made tables": "local function f(...) return { ... } end while true do f(1, 2, 3, 4, 5, 6, 7, 8, 9) end",
    "JSON of many tables": "fila.parse_json('[' .. ('[],'):rep(6000) .. '[]]')",
    "JSON of many keys":
      "local t = {} for i = 1, 4000 do t[i] = '\"' .. i .. '\":1' end fila.parse_json('{' .. table.concat(t, ',') .. '}')",
  }),
];

const libraryCalls = ending("instructions", {
  "numbers made strings": "local i = 0.5 while true do i = i + 1 local s = i .. '' end",
  "configuration of names that are no UTF-8": "while true do fila.get('\\xff') end",
  "JSON of escapes": "local s = '\"' .. ('\\\\u0041'):rep(10000) .. '\"' while true do pcall(fila.parse_json, s) end",
  "varargs counted":
    "local t = {} for i = 1, 4000 do t[i] = i end local function f(...) while true do select('#', ...) end end f(table.unpack(t))",
  "quoted zeros": "local s = ('\\0'):rep(15000) while true do string.format('%q', s) end",
  "strings of digits as keys":
    "local t = {} for i = 1, 2400 do t[i * 4096 .. ''] = 1 end while true do local x = t['4096'] end",
  "gmatch over a long string": "local s = ('x '):rep(30000) while true do for w in s:gmatch('%a+') do end end",
  "pcall that recurses into itself": "local function f() while true do pcall(f) end end f()",
  "xpcall whose handler is the loop": "local function f() while true do xpcall(f, f) end end f()",
  "configuration asked for in a loop": "local t = {} for i = 1, 1e6 do t[i] = fila.get('long') end",
  "error with an object that is caught": "while true do pcall(error, {}) end",
  "format of numbers": "while true do string.format('%99.99f', 1e300) end",
  "reverse of a long string": "local s = ('x'):rep(60000) while true do local t = s:reverse() end",
  "upper of a long string": "local s = ('x'):rep(60000) while true do local t = s:upper() end",
  "captures that are dropped": "local s = ('x'):rep(60000) while true do s:match('(.*)') end",
  "pattern with nested repetitions": "local s = ('a'):rep(300) return s:find('.-.-.-.-.-.-b')",
  "pattern with many stars": "return ('a'):rep(2000):find(('a*'):rep(30) .. 'b')",
  "pattern with optional items": "return ('a'):rep(30):match(('a?'):rep(30) .. ('a'):rep(30) .. 'b')",
  "pattern that starts anywhere": "return ('a'):rep(60000):find('a*b')",
  "balanced match": "return ('('):rep(60000):find('%b()x')",
  frontiers: "return ('ab'):rep(30000):gsub('%f[%a].-%f[%A]z', '')",
  "back references": "return ('a'):rep(5000):find('(a*)%1b')",
  "long set of a pattern": "local set = '[' .. ('b'):rep(5000) .. ']' return ('a'):rep(5000):find(set)",
  "gmatch that finds nothing": "for _ in ('a'):rep(60000):gmatch('a-b') do end",
  "plain find of a long needle":
    "local s, n = ('a'):rep(60000), ('a'):rep(3000) .. 'b' while true do s:find(n, 1, true) end",
  "concat with a lying __len":
    "return table.concat(setmetatable({}, { __len = function() return 1e9 end, __index = function() return '' end }))",
  "concat of a range":
    "return table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, math.maxinteger)",
  "insert with a lying __len": "table.insert(setmetatable({}, { __len = function() return 1e9 end }), 1, 0)",
  "remove with a lying __len": "table.remove(setmetatable({}, { __len = function() return 1e9 end }), 1)",
  "unpack with a lying __len": "return table.unpack(setmetatable({}, { __len = function() return 1e9 end }))",
  "unpack of a range": "return table.unpack({}, 1, 1e8)",
  "move of a range": "return table.move({}, 1, 1e8, 2)",
  "move in place, backwards": "return table.move({}, 1, 1e8, 3, {})",
  "sort that never agrees":
    "local t = {} for i = 1, 3000 do t[i] = i end while true do pcall(table.sort, t, function() return true end) end",
  "sort by a slow function":
    "local t = {} for i = 1, 3000 do t[i] = -i end table.sort(t, function(a, b) for i = 1, 100 do end return a < b end)",
  "select of many, often":
    "local t = {} for i = 1, 4000 do t[i] = i end local function f(...) for i = 1, 1e6 do select(i % 4000 + 1, ...) end end f(table.unpack(t))",
  "varargs passed on, often":
    "local function f(...) return ... end local function g(...) while true do f(...) end end local t = {} for i = 1, 4000 do t[i] = i end g(table.unpack(t))",
  "max of many, often": "local t = {} for i = 1, 4000 do t[i] = i end while true do math.max(table.unpack(t)) end",
  "bytes of a string, often": "local s = ('x'):rep(10000) while true do s:byte(1, -1) end",
  "utf8.len, often": "local s = ('x'):rep(60000) while true do utf8.len(s) end",
  "utf8.codepoint, often": "local s = ('x'):rep(10000) while true do utf8.codepoint(s, 1, -1) end",
  "utf8.offset, often": "local s = ('\\x80'):rep(60000) while true do utf8.offset(s, 0, 60000) end",
  "long strings compared":
    "local a = ('x'):rep(60000) .. 'a' local b = ('x'):rep(60000) .. 'b' while true do local c = a < b end",
  "long strings found equal or not":
    "local a = ('x'):rep(60000) .. 'a' local b = ('x'):rep(60000) .. 'b' while true do local c = a == b end",
  "long strings as keys":
    "local k = ('x'):rep(60000) local l = ('x'):rep(59999) .. 'x' local t = { [k] = 1 } while true do local c = t[l] end",
  "numerals of many digits": "local s = ('1'):rep(60000) while true do tonumber(s) end",
  "numerals in arithmetic": "local s = (' '):rep(60000) .. '1' while true do pcall(function() return s + 1 end) end",
  "numerals in a base": "local s = ('0'):rep(60000) .. '!' while true do tonumber(s, 10) end",
  "length of a sparse table":
    "local t = {} for i = 0, 30 do t[2 ^ i // 1 | 0] = 1 end for i = 1, 3000 do t[i] = 1 end while true do local n = #t end",
  "next after what is deleted":
    "local t = {} for i = 1, 4000 do t[i] = i end for i = 1, 4000 do t[i] = nil end while true do pcall(next, t, 1) end",
  "chains of __index":
    "local t = {} for i = 1, 1000 do t = setmetatable({}, { __index = t }) end while true do local x = t.y end",
  "chains of __newindex":
    "local t = {} for i = 1, 500 do t = setmetatable({}, { __newindex = t }) end while true do t.y = nil end",
  "upvalues closed in a loop": `local ${Array.from({ length: 150 }, (_, i) => `a${i}`).join(", ")} while true do do local x = 1 local f = not x and function() return x end end end`,
  "errors caught in the depth":
    "local function f(n) if n > 0 then local r = f(n - 1) return r end while true do pcall(error) end end return f(3000)",
  "errors that ask for a level far up":
    "local function f(n) if n > 0 then local r = f(n - 1) return r end while true do pcall(error, 'x', 3000) end end return f(3000)",
  "whole numbers as keys that V8 hashes alike": `local t = {} ${numbersHashedAlike(3_000)
    .map((number) => `t[${number}]=1`)
    .join(" ")} while true do local x = t[${numbersHashedAlike(1)[0]}] end`,
  "hash of a long string": "local s = ('x'):rep(60000) while true do fila.hash(s) end",
  "replacement with many escapes": "local r = ('%%'):rep(20000) while true do local s = ('x'):gsub('x', r) end",
  "names of functions in errors of a long one": `while true do pcall(function() ${"local x = 1 ".repeat(190)} string.rep() end) end`,
});

const recursion = [
  ...ending("error", {
    "plain recursion": "local function f() return 1 + f() end return f()",
    "mutual recursion": "local f, g function f() return 1 + g() end function g() return 1 + f() end return f()",
    "recursion of a method": "local t = {} function t:f() return 1 + self:f() end return t:f()",
    "recursion through __index":
      "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end return t.x",
    "recursion through __call":
      "local t = setmetatable({}, {}) getmetatable(t).__call = function(self) return 1 + self() end return t()",
    "__call chain that ends in itself": "local t = setmetatable({}, {}) getmetatable(t).__call = t return t()",
    "recursion through __tostring":
      "local t = setmetatable({}, { __tostring = function(self) return tostring(self) end }) return tostring(t)",
    "recursion through __concat":
      "local t = setmetatable({}, { __concat = function(a, b) return a .. b end }) return t .. t",
    "recursion through __eq":
      "local m = {} m.__eq = function(a, b) return a == b end return setmetatable({}, m) == setmetatable({}, m)",
    "recursion through gsub": "local function f(s) return (s:gsub('.', f)) end return f('x')",
    "recursion through sort": "local function f() table.sort({ 1, 2 }, f) end f()",
    "recursion of a pattern": "return (('x'):rep(1000)):find(('(x'):rep(30) .. ('x?'):rep(300))",
    "recursion with many locals": `local function f() local ${Array.from({ length: 190 }, (_, i) => `a${i}`).join(", ")} return 1 + f() end return f()`,
    "results beyond the stack":
      "local t = setmetatable({}, { __index = function() return 1 end }) return table.unpack(t, 1, 50000)",
    "bytes beyond the stack": "return (('x'):rep(30000)):byte(1, -1)",
    "JSON beyond its depth": "return fila.parse_json(('['):rep(1000))",
    "__newindex that sets itself": "local t = setmetatable({}, {}) getmetatable(t).__newindex = t t.x = 1",
    "__index that is itself": "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
  }),
  ...ending("instructions", {
    "recursion through pcall": "local function f() return pcall(f) end while true do f() end",
    "recursion through xpcall": "local function f() return xpcall(f, f) end while true do f() end",
    "recursion that is caught": "local function f() return 1 + f() end while true do pcall(f) end",
  }),
];

const poisoning = [
  ...ending("error", {
    "function of a library replaced": "string.upper = function() return 'poisoned' end",
    "function of a library removed": "table.sort = nil",
    "new field of a library": "math.mine = 1",
    "fila replaced": "fila.get = function() return 'poisoned' end",
    "library through table.insert": "table.insert(utf8, 'poison')",
    "library through table.remove": "table.remove(string, 1) table.sort(string) string[1] = 1",
    "library through table.move": "table.move({ 1 }, 1, 1, 1, fila)",
    "library through table.sort":
      "table.sort(setmetatable({}, { __index = string, __newindex = string, __len = function() return 3 end }))",
    "metatable of a library": "setmetatable(string, { __index = function() return 'poisoned' end })",
    "metatable of the environment": "setmetatable(_ENV, { __index = function() return 'poisoned' end })",
    "metatable of strings": "getmetatable('').__index = function() return 'poisoned' end",
    "metatable of strings, by setmetatable": "setmetatable('', {})",
    rawset: "rawset(string, 'upper', nil)",
    _G: "_G.string = nil",
    "math.randomseed": "math.randomseed(42)",
    load: "load('while true do end')()",
    require: "require('os')",
    os: "os.exit(1)",
    io: "io.open('/etc/passwd')",
    debug: "debug.getregistry()",
    js: "js.global:eval('1')",
    coroutine: "coroutine.wrap(function() while true do end end)()",
    collectgarbage: "collectgarbage('count')",
    "string.dump": "string.dump(on_enqueue)",
    getfenv: "getfenv(0).string = nil",
  }),
  ...ending("harmless", {
    "names of the environment shadowed":
      "string = nil table = nil pairs = error on_enqueue = nil fila = { get = error }",
    "the message changed": "msg.headers.tenant = 'other' msg.queue = nil msg.headers = nil",
    "state kept in a global": "calls = (calls or 0) + 1 if calls > 1 then while true do end end",
    "state kept in the environment's metatable": "local m = getmetatable(_ENV) if m then m.kept = 1 end",
    "state kept on a function": "local f = function() end if not pcall(function() f.kept = 1 end) then return end",
    "JavaScript names as keys":
      "local t = {} t.__proto__ = { x = 1 } t.constructor = 1 t.toString = nil if t.x or ({}).x or t.hasOwnProperty then while true do end end",
    "JavaScript names of strings":
      "local s = 'x' if s.constructor or s.__proto__ or s.length then while true do end end",
    "numbers as tables": "pcall(function() return (5).x end) pcall(function() return #5 end)",
    "library read through raw functions": "rawget(string, 'upper') rawlen(string) next(string) rawequal(string, table)",
  }),
];

const chunkState = wholeSources("harmless", {
  "state kept in a local of the chunk":
    "local calls = 0 function on_enqueue(msg) calls = calls + 1 if calls > 1 then while true do end end end",
  "state kept in a default of the chunk":
    "local kept = {} function on_enqueue(msg) kept[#kept + 1] = msg if #kept > 1 then while true do end end end",
});

const answers = ending("harmless", {
  "rep of nothing": "return (''):rep(math.maxinteger)",
  "for with step 0": "for i = 1, 2, 0 do end",
  "weight that is no number": "return { weight = 0/0, cost = 1/0, delay_ms = -1/0 }",
  "weights and delays beyond everything": "return { weight = 1e308, cost = -1e308, delay_ms = 1e308 }",
  "wrong types": "return { fairness_key = {}, weight = 'x', cost = true, throttle_keys = 5, delay_ms = tostring }",
  "bytes that are no UTF-8": "return { fairness_key = '\\xff\\xfe', throttle_keys = { '\\x80' } }",
  "surrogates and overlong forms":
    "return { fairness_key = '\\xed\\xa0\\x80\\xc0\\x80', throttle_keys = { '\\xf5\\x80\\x80\\x80' } }",
  "__index of the answer": "return setmetatable({}, { __index = function() while true do end end })",
  "__index of the keys":
    "return { throttle_keys = setmetatable({}, { __index = function() while true do end end, __len = function() while true do end end }) }",
  "__pairs and __metatable of the answer":
    "return setmetatable({}, { __pairs = error, __metatable = 5, __tostring = error })",
  "answer that holds itself": "local t = {} t.fairness_key = t t.throttle_keys = { t } return t",
  "list of ten thousand keys": "local t = {} for i = 1, 4000 do t[i] = 'k' end return { throttle_keys = t }",
  "many results": "return nil, 1, 2, 3, table.unpack({}, 1, 5000)",
  "a library as the answer": "return string",
  "the environment as the answer": "return _ENV",
  "the message as the answer": "return msg",
  "a key of zeros": "return { fairness_key = ('\\0'):rep(256) }",
});

const errors = ending("error", {
  "error with escapes of a terminal": "error('\\27]0;title\\7\\27[2J\\r\\n\\0')",
  "error of 60,000 bytes": "error(('x'):rep(60000))",
  "error that is no UTF-8": "error(('\\xff\\xc0'):rep(1000))",
  "error that is a table with __tostring": "error(setmetatable({}, { __tostring = function() while true do end end }))",
  "error that is a function": "error(error)",
  "error that lies about its line": "error('script:99999999: not here', 0)",
  "error that turns the line around": "error('\\u{202e}drawkcab', 0)",
  "error in an error handler": "xpcall(error, function() error() end) error('last')",
  nil: "error(nil)",
  assert: "assert(false, { 'no', 'string' })",
  "calls of what is none": "local t = setmetatable({}, { __call = 5 }) t()",
  "arithmetic on a name of 60,000 bytes": "return setmetatable({}, { __name = ('x'):rep(60000) }) + 1",
  "long names in messages": `${"x".repeat(3_000)}.y = 1`,
});

const sources = [
  ...wholeSources("syntax", {
    nothing: "",
    "binary chunk": "\u001bLuaS\u0000\u0019\u0093",
    "parentheses without end": "x = ".concat("(".repeat(60_000)),
    "tables without end": "x = ".concat("{".repeat(60_000)),
    "functions without end": "function f() ".repeat(5_000),
    nots: `x = ${"not ".repeat(15_000)} 1`,
    minuses: `x = ${"- ".repeat(30_000)} 1`,
    concats: `x = ${"a..".repeat(20_000)} a`,
    powers: `x = ${"2^".repeat(30_000)} 2`,
    blocks: `${"do ".repeat(20_000)}${"end ".repeat(100)}`,
    "300 locals": Array.from({ length: 300 }, (_, i) => `local a${i}`).join(" "),
    "300 upvalues": `${Array.from({ length: 2 }, (_, f) => `local ${Array.from({ length: 150 }, (_, i) => `a${f * 150 + i}`).join(",")} function f${f}() `).join("")} return ${Array.from({ length: 300 }, (_, i) => `a${i}`).join("+")} end end`,
    "goto without label": "goto nowhere function on_enqueue() end",
    "string without end": `x = "${"a".repeat(60_000)}`,
    "long string without end": `x = [==[${"]=]".repeat(20_000)}`,
    "escape beyond Unicode": 'x = "\\u{ffffffffffff}"',
    "number of 60,000 digits, cut": `x = 0x${"f".repeat(60_000)}g`,
  }),
  ...wholeSources("instructions", {
    "gotos and labels in great number": `function on_enqueue() ${Array.from({ length: 3_000 }, (_, i) => `goto l${i} ::k${i}::`).join(" ")} end`,
    "elseif in great number": `function on_enqueue(m) if m then ${"elseif m then ".repeat(4_000)} end end`,
    "and in great number": `x = ${"a and ".repeat(10_000)} a function on_enqueue() end`,
  }),
  ...wholeSources("harmless", {
    "one long sum": `function on_enqueue() local a = 1 return { cost = a ${"+ 0 ".repeat(15_000)} } end`,
    "10,000 constants": `local t = { ${Array.from({ length: 4_000 }, (_, i) => `${i}.5`).join(",")} } function on_enqueue() end`,
  }),
];

export const hostileScripts: readonly HostileScript[] = [
  ...loops,
  ...chunkLoops,
  ...memory,
  ...libraryCalls,
  ...recursion,
  ...poisoning,
  ...chunkState,
  ...answers,
  ...errors,
  ...sources,
];

export const sourceOf = ({ body = "", source }: HostileScript): string =>
  source ?? `function on_enqueue(msg) ${body}\nend`;
