import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { LineKey } from "./line-key.ts";
import { isBlank, splitLines, untilDestroyed, withoutByteOrderMark } from "./lines.ts";
import { parsePairs } from "./pairs.ts";

async function* chunksOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const end = Math.min(Math.max(cut, start), bytes.length);
    yield bytes.subarray(start, end);
    start = end;
  }
  yield bytes.subarray(start);
}

test("lines are the bytes between newlines, wherever the chunks are cut", () => {
  const bytes = fc.array(fc.constantFrom(10, 13, 65, 0, 255), { maxLength: 60 }).map((list) => Uint8Array.from(list));
  return fc.assert(
    fc.asyncProperty(bytes, fc.array(fc.nat({ max: 60 })), async (input, cuts) => {
      const lines = await Array.fromAsync(splitLines(chunksOf(input, cuts)));
      const wanted = Buffer.from(input).toString("latin1").split("\n");
      if (wanted.at(-1) === "") wanted.pop();
      assert.deepEqual(
        lines.map((line) => Buffer.from(line).toString("latin1")),
        wanted,
      );
    }),
  );
});

test("the key is the first group; what gives none is counted", () => {
  const key = new LineKey("^(\\S+)");
  assert.equal(key.keyOf(Buffer.from("1.2.3.4 - GET")), "1.2.3.4");
  assert.equal(key.keyOf(Buffer.from("käse brot")), "käse");
  assert.equal(key.keyOf(Buffer.from(" x")), undefined);
  assert.equal(new LineKey("a(b)?").keyOf(Buffer.from("a")), undefined);
  assert.equal(key.withoutKey, 1);
  assert.throws(() => new LineKey("("), { name: "UsageError", message: /^--key-regex: Invalid regular expression/ });
  assert.throws(() => new LineKey("a|b"), { name: "UsageError", message: /has no group/ });
});

test("name=value", () => {
  assert.deepEqual(parsePairs("--header", ["a=1", "b=x=y", "c="]), { a: "1", b: "x=y", c: "" });
  for (const bad of ["a", "=1"]) assert.throws(() => parsePairs("--header", [bad]), { name: "UsageError" });
});

test("an input that breaks is a failure, unless it was ended on purpose", async () => {
  const ending = new AbortController();
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1);
    throw new Error("EIO");
  }
  await assert.rejects(Array.fromAsync(untilDestroyed(broken(), ending.signal)), { message: "EIO" });
  ending.abort();
  assert.deepEqual(await Array.fromAsync(untilDestroyed(broken(), ending.signal)), [Uint8Array.of(1)]);
});

test("blank lines and byte order marks", () => {
  for (const blank of ["", " \t\r"]) assert.equal(isBlank(Buffer.from(blank)), true);
  assert.equal(isBlank(Buffer.from(" x")), false);
  assert.deepEqual(withoutByteOrderMark(Buffer.from("\uFEFF{}")), Buffer.from("{}"));
  assert.deepEqual(withoutByteOrderMark(Buffer.from("{}")), Buffer.from("{}"));
});
