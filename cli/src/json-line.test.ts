import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { JsonLines } from "./json-line.ts";
import { JsonPath } from "./json-path.ts";

const path = (text: string): JsonPath => new JsonPath("--key-from", text);

test("a path finds what is there, and nothing else", () => {
  const value = { a: { b: [{ id: 7 }, "x"], "two words": 1, 'q"': 2, "a-b": 3 }, "0": "zero", e: null };
  const found: Record<string, unknown> = {
    ".": value,
    ".a.b[0].id": 7,
    ".a.b[1]": "x",
    ".a.b.[1]": "x",
    '.a."two words"': 1,
    '.a["two words"]': 1,
    '["a"].a-b': 3,
    ".a.a-b": 3,
    '.a["q\\""]': 2,
    ".e": null,
    ".e.x": undefined,
    ".a.b[2]": undefined,
    ".a.b.length": undefined,
    "[0]": undefined,
    ".toString": undefined,
    ".__proto__": undefined,
  };
  for (const [text, wanted] of Object.entries(found)) assert.deepEqual(path(text).of(value), wanted, text);
  for (const bad of ["", "a", ".a b", ".a[", ".a[-1]", ".a.", "..a", '."a', ".a[x]", '."\\x"']) {
    assert.throws(() => path(bad), { name: "UsageError", message: /^--key-from.*; write a path such as/ }, bad);
  }
});

test("any key can be reached in quotes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.nat(9)), { minLength: 1, maxLength: 4 }),
      (steps) => {
        let value: unknown = "found";
        for (const step of steps.toReversed()) {
          if (typeof step === "string") value = Object.fromEntries([[step, value]]);
          else value = Array.from({ length: step + 1 }, (_, i) => (i === step ? value : 0));
        }
        const text = steps.map((step) => `[${JSON.stringify(step)}]`).join("");
        assert.equal(path(text).of(JSON.parse(JSON.stringify(value))), "found");
      },
    ),
  );
});

test("a key is a text, a number as it is written, or a boolean; anything else is counted", () => {
  const lines = new JsonLines({ key: path(".k"), throttleKeys: [] });
  const keyOf = (line: string): string | undefined => lines.optionsOf(Buffer.from(line), {}).fairnessKey;
  assert.deepEqual(
    ['{"k":"käse"}', '{"k":7}', '{"k":12345678901234567890}', '{"k":12345678901234567891}', '{"k":1.50}'].map(keyOf),
    ["käse", "7", "12345678901234567890", "12345678901234567891", "1.50"],
  );
  assert.equal(keyOf('{"k":true}'), "true");
  assert.equal(lines.withoutKey, 0);
  for (const none of ['{"k":""}', '{"k":null}', '{"k":{}}', '{"k":[1]}', "{}", "7"]) {
    assert.equal(keyOf(none), undefined);
  }
  assert.equal(lines.withoutKey, 6);
});

test("weight, cost and throttle keys come from the line, and from the flags where it has none", () => {
  const lines = new JsonLines({
    weight: path(".w"),
    cost: path(".c"),
    throttleKeys: [path(".t"), path(".u")],
  });
  const given = { weight: 2, cost: 3, throttleKeys: ["all"], fairnessKey: "f" };
  assert.deepEqual(lines.optionsOf(Buffer.from('{"w":5,"t":"x","u":9}'), given), {
    weight: 5,
    cost: 3,
    throttleKeys: ["all", "x", "9"],
    fairnessKey: "f",
  });
  assert.deepEqual(lines.optionsOf(Buffer.from('{"w":null}'), given), given);
  const refused: [string | Uint8Array, RegExp][] = [
    ['{"w":"5"}', /^has "5" where --weight-from looks for a number$/],
    ['{"c":{}}', /^has \{\} where --cost-from/],
    ["{", /^is no JSON: /],
    [Uint8Array.of(34, 255, 34), /^is not UTF-8$/],
  ];
  for (const [line, message] of refused) {
    assert.throws(() => lines.optionsOf(Buffer.from(line as string), given), { name: "CommandFailure", message });
  }
});
