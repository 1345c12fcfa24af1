import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import test from "node:test";
import { Limited } from "./list-output.ts";

async function* endless(): AsyncGenerator<number, void, undefined> {
  for (let i = 0; ; i++) yield i;
}

test("a list goes no faster than its reader, up to its limit, and leaves no listeners behind", async () => {
  const stdout = new PassThrough({ highWaterMark: 1 });
  const listeners = (): number[] => ["drain", "error", "close"].map((event) => stdout.listenerCount(event));
  const before = listeners();
  const list = new Limited(endless(), 20, stdout);
  let given = 0;
  for await (const item of list) {
    given++;
    stdout.write(`${item}`);
    // What was written is read only now: the list waits for it.
    stdout.once("newListener", () => setImmediate(() => stdout.read()));
  }
  assert.deepEqual([given, list.truncated, listeners()], [20, true, before]);
});

test("a list ends with its reader", async () => {
  const stdout = new PassThrough({ highWaterMark: 1 });
  let given = 0;
  for await (const item of new Limited(endless(), 20, stdout)) {
    given++;
    stdout.write(`${item}`);
    const closed = once(stdout, "close");
    stdout.destroy();
    await closed;
  }
  assert.equal(given, 1);
});
