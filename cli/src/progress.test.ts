import assert from "node:assert/strict";
import test from "node:test";
import { Progress } from "./progress.ts";

test("on a terminal one line is written over itself, ten times a second at most, and taken away at the end", () => {
  let now = 5_000;
  const written: string[] = [];
  const progress = new Progress({ isTTY: true, write: (text) => written.push(text) }, true, () => now);
  for (let count = 1; count <= 2_000; count++) {
    now++;
    progress.update(count * 10);
  }
  assert.equal(written.length, 20);
  assert.equal(written.at(-1), "\r\u001b[2K20,000 message(s), 10,000 per second");
  assert.ok(written.every((text) => !text.includes("\n")));
  progress.clear();
  progress.clear();
  assert.deepEqual(written.slice(20), ["\r\u001b[2K"]);
});

test("nothing is written where nobody watches, or nobody wants it, or nothing takes long", () => {
  const written: string[] = [];
  let now = 0;
  const write = (text: string): unknown => written.push(text);
  for (const progress of [
    new Progress({ write }, true, () => now),
    new Progress({ isTTY: true, write }, false, () => now),
  ]) {
    now += 1_000;
    progress.update(1);
    progress.clear();
  }
  const short = new Progress({ isTTY: true, write }, true, () => now);
  now += 99;
  short.update(1);
  short.clear();
  assert.deepEqual(written, []);
});
