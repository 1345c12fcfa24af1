// Where the vendored VM differs from its package, or once was wrong: seen through scripts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lua_newstate } from "./fengari/index.js";
import { tableOf } from "./lua-values.ts";
import { parseJson } from "./parse-json.ts";
import { ScriptRig, enqueueCall } from "./testing/script-rig.ts";

const rig = new ScriptRig();
const values = (rows: Readonly<Record<string, string>>): void => {
  for (const [expression, meant] of Object.entries(rows)) assert.equal(rig.value(expression), meant, expression);
};

describe("strings", () => {
  test("of small bytes are different keys", () => {
    const before = "local t = {} t['\\1\\17'] = 'a' t['\\17\\1'] = 'b' t['\\x11\\1'] = (t['\\x11\\1'] or '') .. 'c'";
    assert.equal(rig.value("t['\\1\\17'] .. t['\\17\\1']", enqueueCall(), before), "abc");
    // Each string of two bytes below 32 is a key of its own.
    const all =
      "local t, n = {}, 0 for i = 0, 31 do for j = 0, 31 do t[string.char(i, j)] = true end end for _ in pairs(t) do n = n + 1 end";
    assert.equal(rig.value("n", enqueueCall(), all), "1024");
  });

  test("that look like numbers are no numbers as keys", () => {
    assert.equal(
      rig.value("tostring(t['1']) .. t[1] .. t[2]", enqueueCall(), "local t = { [1] = 'n', [2.0] = 'f' }"),
      "nilnf",
    );
  });

  test("are ordered by their bytes", () => {
    values({
      "'\\1\\17' < '\\17\\1'": "true",
      "'\\x0f' < '\\x10'": "true",
      "'a' < 'B'": "false",
      "'\\x7f' < '\\x80'": "true",
      "'' < 'a'": "true",
      "'ab' <= 'abc'": "true",
    });
  });

  test("are repeated", () => {
    values({
      "('ab'):rep(3)": "ababab",
      "('ab'):rep(3, '-')": "ab-ab-ab",
      "('ab'):rep(1, '-')": "ab",
      "'>' .. ('ab'):rep(0) .. ('ab'):rep(-1) .. (''):rep(5)": ">",
      "(''):rep(3, '+')": "++",
      "#('abc'):rep(1000) .. ('abc'):rep(1000):sub(2998)": "3000abc",
    });
  });

  test("are found", () => {
    values({
      "table.concat({ ('aab'):find('ab', 1, true) }, ',')": "2,3",
      "table.concat({ ('a.b'):find('.', 1, true) }, ',')": "2,2",
      "tostring(('abc'):find('d', 1, true))": "nil",
      "table.concat({ ('key = value'):match('^(%w+)%s*=%s*(%w+)$') }, ',')": "key,value",
      "('x y z'):gsub('%w', '<%0>')": "<x> <y> <z>",
      "('THE (quick) fox'):find('%((%a+)%)')": "5",
      "table.concat({ ('aa'):find('a*%f[a]') }, ',')": "1,0",
    });
  });
});

test("string.format writes what C does", () => {
  values({
    "string.format('%d|%5d|%-5d|%05d|%+d|% d', 42, 42, 42, 42, 42, 42)": "42|   42|42   |00042|+42| 42",
    "string.format('%d|%5.3d|%.0d', -7, -7, 0)": "-7| -007|",
    "string.format('%x|%X|%#x|%o|%u', 255, 255, 255, 8, -1)": "ff|FF|0xff|10|4294967295",
    "string.format('%f|%.2f|%8.3f|%-8.1f|%08.2f', 1/3, 1/3, 1/3, 1/3, -1/3)":
      "0.333333|0.33|   0.333|0.3     |-0000.33",
    "string.format('%e|%.0e|%E', 12345.678, 5e-7, 1e100)": "1.234568e+04|5e-07|1.000000E+100",
    "string.format('%g|%g|%g|%g|%g|%.3g|%#.3g', 0.1, 100000, 1000000, 1e-5, 0, 1234, 1)":
      "0.1|100000|1e+06|1e-05|0|1.23e+03|1.00",
    "string.format('%.14g|%g|%g|%5g|%g', 3.14159265358979, 1/0, -1/0, 0/0, -0.0)": "3.1415926535898|inf|-inf|  nan|-0",
    "string.format('%.3f|%.0f', 1e22, 2^53)": "10000000000000000000000.000|9007199254740992",
    "string.format('%a|%a', 1, -0.5)": "0x1p+0|-0x1p-1",
    "string.format('%s|%5s|%-5s|%.2s|%%|%c', 'a', 'b', 'c', 'defg', 65)": "a|    b|c    |de|%|A",
    "string.format('%5s', 'ä')": "   ä",
    "string.format('%q', 'a\\n\"\\0')": '"a\\\n\\"\\0"',
    "string.format('%s %s %s', nil, true, 1.5)": "nil true 1.5",
    "string.format('%g %g %g', 2.5e10, 7.8e-10, 1e20)": "2.5e+10 7.8e-10 1e+20",
    "string.format('%-+ #0d', 1)": "+1",
    "string.format('%.99g', 0.0001)": "0.000100000000000000004792173602385929598312941379845142364501953125",
    "string.format('%.0f %.0f %.1f %.2f %.0f', 0.5, 1.5, 0.25, 0.125, 3.5)": "0 2 0.2 0.12 4",
    "string.format('%.0e %.5e %.1g %.2g', 2.5, 84822.75, 2.5, 0.125)": "2e+00 8.48228e+04 2 0.12",
  });
  assert.match(rig.failure("string.format('%d', 1.5)").message, /number has no integer representation/);
  assert.match(rig.failure("string.format('%y', 1)").message, /invalid option '%y' to 'format'/);
  assert.match(rig.failure("string.format('%123d', 1)").message, /invalid format/);
  assert.match(rig.failure("string.format('%', 1)").message, /invalid option/);
});

test("bits are those of floats and strings, too, where they are whole", () => {
  assert.equal(rig.value("~a .. ' ' .. ~b .. ' ' .. (a | b)", enqueueCall(), "local a, b = 3.0, '4'"), "-4 -5 7");
  assert.match(rig.failure("local a = 3.5 return ~a").message, /no integer representation/);
});

test("numbers are read and written", () => {
  values({
    "tonumber('10', 2) .. ' ' .. tonumber('zz', 36) .. ' ' .. tonumber(' -ff ', 16)": "2 1295 -255",
    "tostring(tonumber('19', 8)) .. tostring(tonumber('', 10)) .. tostring(tonumber('1 1', 10))": "nilnilnil",
    "tonumber('0x1p4') .. ' ' .. tonumber(' 12 ') .. ' ' .. tonumber('1e2')": "16.0 12 100.0",
    "1e15": "1e+15",
    "1e14 .. ' ' .. 99999999999999.0 .. ' ' .. 1.25e-5 .. ' ' .. 2^53":
      "1e+14 99999999999999.0 1.25e-05 9.007199254741e+15",
    "math.huge .. ' ' .. -math.huge .. ' ' .. 0/0 .. ' ' .. -0.0": "inf -inf nan -0.0",
    "3 // 2 .. ' ' .. 3.0 / 2 .. ' ' .. -7 // 2 .. ' ' .. -7 % 3": "1 1.5 -4 2",
    "math.maxinteger .. ' ' .. math.maxinteger + 1": "2147483647 -2147483648",
    "7 // 0.0": "inf",
    "1.5e20 .. ' ' .. 1e20 .. ' ' .. 12345678901234.5": "1.5e+20 1e+20 12345678901234.0",
  });
});

describe("tables", () => {
  test("do not tell V8 which numbers are their keys: its hash of those is no secret", () => {
    const made = tableOf(parseJson(lua_newstate(), Buffer.from("[1,2,3]")));
    assert.equal(made.strong.size, 3);
    for (const key of [1, 2, 3]) assert.equal(made.strong.has(key), false);
    const keys =
      "local t = { [1] = 'a', [-1] = 'b', [0.5] = 'c', [2^40] = 'd', ['1'] = 'e', ['0.5'] = 'f', [0] = 'g' } ";
    assert.equal(
      rig.value("t[1.0] .. t[-1] .. t[1/2] .. t[2^40] .. t['1'] .. t['0.5'] .. t[-0.0] .. #t", enqueueCall(), keys),
      "abcdefg1",
    );
  });

  test("may lose fields while they are walked", () => {
    const before = "local t, n = { a = 1, b = 2, c = 3 }, 0 for k in pairs(t) do t[k] = nil n = n + 1 end";
    assert.equal(rig.value("n .. tostring(next(t))", enqueueCall(), before), "3nil");
  });

  test("are walked in the order in which their fields were made", () => {
    const before =
      "local t, s = {}, '' for _, k in ipairs({ 'z', 'a', 'm' }) do t[k] = 1 end for k in pairs(t) do s = s .. k end";
    assert.equal(rig.value("s", enqueueCall(), before), "zam");
  });

  test("are sorted, joined, moved and unpacked", () => {
    values({
      "table.concat({ 1, 2, 3 }, '-', 2, 3)": "2-3",
      "select('#', table.unpack({ 1, nil, 3 }, 1, 3))": "3",
      "table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ',')": "1,1,2,3",
      "table.pack(1, nil).n": "2",
      "table.remove({ 1, 2, 3 }, 1)": "1",
    });
    const before =
      "local t = {} for i = 1, 500 do t[i] = (i * 7919) % 500 end table.sort(t) local ok = true for i = 2, 500 do ok = ok and t[i - 1] <= t[i] end";
    assert.equal(rig.value("ok", enqueueCall(), before), "true");
  });
});

describe("functions", () => {
  test("each closure has variables of its own", () => {
    const before = "local f = {} for i = 1, 3 do local n = i f[i] = function() n = n + 10 return n end end";
    assert.equal(rig.value("f[1]() .. f[1]() .. f[2]()", enqueueCall(), before), "112112");
  });

  test("take and give any number of values", () => {
    values({
      "(function(...) return select('#', ...) end)(nil, nil)": "2",
      "table.concat({ (function(...) return ... end)(1, 2, 3) }, ',')": "1,2,3",
      "(function(a, ...) local b, c = ... return tostring(c) end)(1, 2)": "nil",
    });
  });

  test("may fail inside pcall, which tells the line", () => {
    values({
      "select(2, pcall(error, 'plain', 0))": "plain",
      "select(2, pcall(function() error('here') end))": "script:1: here",
      "select(2, xpcall(function() error('x', 0) end, function(m) return m .. '!' end))": "x!",
      "type(select(2, pcall(error, {})))": "table",
      "select(2, pcall(string.rep))": "bad argument #1 to '?' (string expected, got no value)",
    });
  });

  test("goto, nested loops and integer division by zero", () => {
    const before =
      "local s = '' for i = 1, 3 do for j = 1, 3 do if j == 2 then goto next end s = s .. i .. j .. ' ' ::next:: end end";
    assert.equal(rig.value("s", enqueueCall(), before), "11 13 21 23 31 33 ");
    assert.match(rig.failure("return 1 // 0").message, /divide by zero/);
  });
});

test("the place of a capture is no text that could stand there again", () => {
  values({ "('a a b'):gsub('()%w%1', '')": "a a b", "tostring(('aa'):find('()%1'))": "nil" });
  assert.match(rig.failure("('a'):find('%b')").message, /missing arguments to '%b'\)$/);
});

test("gmatch goes on after an error that was caught", () => {
  const before = "local g = ('a'):rep(300):gmatch(('a?'):rep(250)) local first = pcall(g)";
  assert.equal(rig.value("tostring(first) .. select(2, pcall(g))", enqueueCall(), before), "falsepattern too complex");
});

describe("fila.parse_json", () => {
  test("gives tables that may be metatables", () => {
    assert.equal(rig.value('setmetatable({}, fila.parse_json(\'{"__index":{"a":1}}\')).a'), "1");
  });

  test("gives tables, strings, numbers and booleans", () => {
    const payload = Buffer.from('{"a":[1,2.5,-3e2,"x\\u00e4\\n\\"",true,false,null],"b":{"c":"ü"},"a":{"last":[7]}}');
    const call = enqueueCall({}, { payload });
    assert.equal(rig.value("fila.parse_json(msg.payload).a.last[1]", call), "7");
    assert.equal(rig.value("fila.parse_json(msg.payload).b.c", call), "ü");
    values({
      "fila.parse_json('[1,2.5,-3e2]')[3]": "-300.0",
      "math.type(fila.parse_json('[1]')[1]) .. math.type(fila.parse_json('4294967296'))": "integerfloat",
      "#fila.parse_json(' [ 1 , 2 ] ')": "2",
      "fila.parse_json('[null,1]')[1]": "nil",
      'fila.parse_json(\'"\\\\u00e4\\\\ud83d\\\\ude00\\\\n\\\\/\\\\""\')': 'ä😀\n/"',
      "fila.parse_json('true')": "true",
      "fila.parse_json('null')": "nil",
      "next(fila.parse_json('{}'))": "nil",
      "fila.parse_json('{\"__proto__\":1}').__proto__": "1",
    });
  });

  test("refuses what is no JSON, as a Lua error that tells the byte", () => {
    for (const [text, at] of Object.entries({
      "": "it ends too early",
      "[1": "it ends too early",
      "[1,]": "byte 4",
      "[1 2]": "byte 4",
      "{a:1}": "byte 2",
      '{"a" 1}': "byte 6",
      "01": "byte 1",
      "1.": "byte 1",
      "+1": "byte 1",
      tru: "it ends too early",
      nul1: "byte 4",
      "[1] x": "byte 5",
      '"\\x"': "byte 3",
      '"a': "it ends too early",
      '"\u0001"': "byte 2",
      NaN: "byte 1",
    })) {
      const call = enqueueCall({}, { payload: Buffer.from(text) });
      const { message } = rig.failure("return fila.parse_json(msg.payload)", call);
      assert.ok(message.startsWith("invalid JSON") && message.endsWith(at), `${text}: ${message}`);
      assert.equal(rig.value("pcall(fila.parse_json, msg.payload)", call), "false");
    }
  });

  test("has a limit of depth", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    assert.equal(rig.value(`type(fila.parse_json('${nested(32)}'))`), "table");
    assert.match(rig.failure(`fila.parse_json('${nested(33)}')`).message, /JSON deeper than 32 levels/);
  });
});
