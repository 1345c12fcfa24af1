import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readCursor, writeCursor } from "./cursor.ts";

test("a cursor gives its place back, to its own scope only", () => {
  const place = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.string(), fc.string(), place, (scope, other, numbers) => {
      const cursor = writeCursor(scope, numbers);
      assert.match(cursor, /^[\w-]+$/);
      assert.deepEqual(readCursor(scope, cursor, numbers.length), numbers);
      if (other !== scope) assert.throws(() => readCursor(other, cursor, numbers.length));
      assert.throws(() => readCursor(scope, cursor, numbers.length + 1));
    }),
  );
});

test("no text makes a place that is not whole numbers", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String(),
        fc.uint8Array().map((b) => Buffer.from(b).toString("base64url")),
      ),
      (text) => {
        let place: readonly number[] | undefined;
        try {
          place = readCursor("scope", text, 2);
        } catch {
          return;
        }
        assert.ok(text === "" || place?.every(Number.isSafeInteger));
      },
    ),
    { numRuns: 1_000 },
  );
  for (const odd of [NaN, -1, 0.5, Infinity]) assert.throws(() => readCursor("s", writeCursor("s", [odd]), 1));
});
