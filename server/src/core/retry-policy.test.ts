// When a failed message comes again: delays, their jitter, and the end of all attempts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type QueueSettings, defaultQueueSettings } from "./queue-settings.ts";
import { type AttemptEnd, backoffMs, decide, errorOf, spreadOf } from "./retry-policy.ts";

const seed = 20_250_712;

function settingsWith(given: Partial<QueueSettings>): QueueSettings {
  return { ...defaultQueueSettings, ...given };
}

function nack(says: Partial<Extract<AttemptEnd, { by: "nack" }>> = {}): AttemptEnd {
  return { by: "nack", error: "boom", delayMs: undefined, deadLetter: false, ...says };
}

describe("the backoff after a nack", () => {
  test("doubles from the initial delay up to the largest, with at most a quarter added and nothing taken off", () => {
    const numbers = { initial: fc.integer({ min: 0, max: 10_000 }), most: fc.integer({ min: 0, max: 3_600_000 }) };
    fc.assert(
      fc.property(
        fc.record({ ...numbers, attempts: fc.integer({ min: 1, max: 1_000_000 }), sequence: fc.nat(2 ** 40) }),
        ({ initial, most, attempts, sequence }) => {
          const settings = settingsWith({ initialBackoffMs: initial, maxBackoffMs: most, maxAttempts: 0 });
          const base = Math.min(most, initial * 2 ** Math.min(attempts - 1, 60));
          const decision = decide(settings, nack(), attempts, sequence, false);
          assert.ok(decision.type === "retry");
          assert.ok(Number.isInteger(decision.delayMs));
          assert.ok(decision.delayMs >= base && decision.delayMs <= base * 1.25, `${decision.delayMs} for ${base}`);
        },
      ),
      { seed, numRuns: 500 },
    );
  });

  test("is the default's: 100 ms, 200 ms, 400 ms, up to five minutes", () => {
    const bases = [1, 2, 3, 4, 12, 13, 40].map((attempts) => backoffMs(defaultQueueSettings, attempts, 0));
    assert.deepEqual(bases, [100, 200, 400, 800, 204_800, 300_000, 300_000]);
    assert.equal(backoffMs(defaultQueueSettings, 1, 1), 125);
  });

  test("differs from message to message and from attempt to attempt, over the whole quarter", () => {
    const spreads = [...Array(4_000).keys()].map((at) => spreadOf(1 + (at >> 2), 1 + (at & 3)));
    const tenths = new Array<number>(10).fill(0);
    for (const spread of spreads) tenths[Math.min(9, Math.floor(spread * 10))]! += 1;
    for (const count of tenths) assert.ok(count > 300 && count < 500, tenths.join());
    assert.ok(new Set(spreads).size > 3_990);
    assert.equal(spreadOf(7, 2), spreadOf(7, 2));
  });
});

describe("what comes after an ended attempt", () => {
  const settings = settingsWith({ maxAttempts: 3, initialBackoffMs: 1_000 });

  test("an expiry and a stream that died are tried again at once", () => {
    for (const by of ["expiry", "dead-stream"] as const) {
      assert.deepEqual(decide(settings, { by }, 2, 5, false), { type: "retry", delayMs: 0 });
      assert.deepEqual(decide(settings, { by }, 2, 5, true), { type: "retry", delayMs: 0 });
    }
  });

  test("the delay that a worker asks for stands in for the backoff, also none", () => {
    for (const delayMs of [0, 1, 86_400_000]) {
      assert.deepEqual(decide(settings, nack({ delayMs }), 2, 5, false), { type: "retry", delayMs });
    }
  });

  test("after the last attempt the message is dead-lettered, however it ended; 0 = never", () => {
    const ends: AttemptEnd[] = [nack(), nack({ delayMs: 5 }), { by: "expiry" }, { by: "dead-stream" }];
    for (const end of ends) {
      assert.deepEqual(decide(settings, end, 3, 5, false), { type: "dead-letter", reason: "max_attempts" });
      assert.deepEqual(decide(settings, end, 4, 5, false), { type: "dead-letter", reason: "max_attempts" });
      assert.equal(decide(settings, end, 2, 5, false).type, "retry");
      assert.equal(decide(settingsWith({ maxAttempts: 0 }), end, 1_000_000, 5, false).type, "retry");
    }
  });

  test("a worker's word that another attempt is of no use goes first", () => {
    const rejected = { type: "dead-letter", reason: "rejected" };
    assert.deepEqual(decide(settings, nack({ deadLetter: true }), 1, 5, false), rejected);
    assert.deepEqual(decide(settings, nack({ deadLetter: true, delayMs: 9 }), 3, 5, false), rejected);
  });

  test("there is no dead-letter queue of a dead-letter queue: a nack only backs off", () => {
    const decision = decide(settings, nack({ deadLetter: true }), 50, 5, true);
    assert.equal(decision.type, "retry");
    assert.deepEqual(decide(settings, nack({ deadLetter: true, delayMs: 7 }), 50, 5, true), {
      type: "retry",
      delayMs: 7,
    });
  });

  test("the record of a failure says what is known of it", () => {
    assert.equal(errorOf(nack()), "boom");
    assert.match(errorOf({ by: "expiry" }), /expired/);
    assert.match(errorOf({ by: "dead-stream" }), /stream ended/);
  });
});
