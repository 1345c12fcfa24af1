import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IdempotencyRecords, type KeyHash } from "./idempotency.ts";

/** Few first words, so that keys meet in the index. */
const key = (n: number): KeyHash => ({ a: n % 3, b: n, c: 7, d: 9 });

test("answers as a map with expiry would, whatever was released and forgotten in between", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant("use"), n: fc.nat(40) }),
    fc.record({ what: fc.constant("release"), n: fc.nat(40) }),
    fc.record({ what: fc.constant("forget"), n: fc.nat(5) }),
    fc.record({ what: fc.constant("pass"), n: fc.nat(30) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const records = new IdempotencyRecords();
      const model = new Map<number, { sequence: number; expiresAt: number }>();
      let steady = 1_000;
      let sequence = 0;
      for (const { what, n } of steps) {
        if (what === "pass") steady += n;
        else if (what === "forget") records.forget(steady, n);
        else if (what === "release") {
          const known = model.get(n);
          const released = records.release(key(n));
          if (known !== undefined && known.expiresAt > steady) assert.equal(released, true);
          model.delete(n);
        } else if (records.find(key(n), steady) === undefined) {
          sequence += 1;
          records.add(key(n), { sequence, enqueuedAt: steady }, steady + 50);
          model.set(n, { sequence, expiresAt: steady + 50 });
        }
        for (let each = 0; each <= 40; each += 1) {
          const known = model.get(each);
          const expected = known !== undefined && known.expiresAt > steady ? known.sequence : undefined;
          assert.equal(records.find(key(each), steady)?.sequence, expected);
        }
      }
      records.forget(Infinity, Infinity);
      assert.equal(records.size, 0);
      assert.equal(records.firstExpiry, Infinity);
    }),
    { numRuns: 150 },
  );
});

test("goes on over many chunks and keeps nothing of what is forgotten", () => {
  const records = new IdempotencyRecords();
  const wide = (n: number): KeyHash => ({ a: Math.imul(n, 0x9e3779b1) >>> 0, b: n, c: 0, d: 0 });
  for (let round = 0; round < 5; round += 1) {
    for (let n = 0; n < 10_000; n += 1) {
      records.add(wide(round * 10_000 + n), { sequence: n + 1, enqueuedAt: 0 }, round + 1);
    }
    assert.equal(records.find(wide(round * 10_000 + 9_999), round + 0.5)?.sequence, 10_000);
    assert.equal(records.forget(round + 1, Infinity), 10_000);
    assert.equal(records.find(wide(round * 10_000), 0), undefined);
  }
  assert.equal(records.size, 0);
});
