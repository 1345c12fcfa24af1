import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GrowingBytes, recycle } from "./growing-bytes.ts";

test("messages are whole, and keep their bytes until they are given back", () => {
  const message = fc.record({ size: fc.integer({ min: 1, max: 300_000 }), chunk: fc.integer({ min: 1, max: 70_000 }) });
  const step = fc.record({ message, giveBack: fc.boolean(), twice: fc.boolean(), which: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const held: { bytes: Buffer; fill: number; size: number }[] = [];
      const growing = new GrowingBytes();
      steps.forEach(({ message: { size, chunk }, giveBack, twice, which }, at) => {
        const fill = (at % 255) + 1;
        for (let from = 0; from < size; from += chunk) {
          growing.add(Buffer.alloc(Math.min(chunk, size - from), fill), size);
        }
        held.push({ bytes: growing.take(), fill, size });
        if (giveBack) {
          const [given] = held.splice(which % held.length, 1);
          if (given !== undefined) recycle(given.bytes);
          if (twice && given !== undefined) recycle(given.bytes);
        }
        for (const { bytes, fill: expected, size: length } of held) {
          assert.equal(bytes.length, length);
          assert.ok(bytes.every((byte) => byte === expected));
        }
      });
    }),
    { seed: 3, numRuns: 25 },
  );
});

test("memory that is not ours is left alone", () => {
  const foreign = Buffer.alloc(100_000, 7);
  recycle(foreign);
  const growing = new GrowingBytes();
  growing.add(Buffer.alloc(20_000, 1), 20_000);
  assert.notEqual(growing.take().buffer, foreign.buffer);
});
