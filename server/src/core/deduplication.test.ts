// Idempotency keys as producers meet them: what a second use answers, for how long, and how many are remembered.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnqueueItem, IdempotencyKey } from "./commands.ts";
import type { EnqueueOutcome } from "./effects.ts";
import { CoreDriver } from "./testing/core-driver.ts";

const windowMs = 10_000;

function using(n: number): EnqueueItem {
  const idempotencyKey: IdempotencyKey = { a: n, b: n, c: 0, d: 0, text: `key ${n}` };
  const body = new Uint8Array(1);
  return { queue: "r", fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body, idempotencyKey };
}

function what(outcome: EnqueueOutcome | undefined): string {
  if (typeof outcome === "string") return "stored";
  return outcome === undefined ? "nothing" : "reason" in outcome ? outcome.reason : `as ${outcome.duplicateOf}`;
}

test("beyond the limit a new key is refused, and none is forgotten before its window is over", () => {
  const driver = new CoreDriver({ maxIdempotencyKeys: 3 });
  driver.createQueue("r", { dedupWindowMs: windowMs });
  const use = (n: number): string => what(driver.enqueueItems([using(n)])[0]);
  const ids = [1, 2, 3].map((n) => {
    const [id] = driver.enqueueItems([using(n)]);
    driver.wait(1_000);
    return id as string;
  });
  const check = (known: readonly number[]): void => {
    for (const n of known) assert.equal(use(n), `as ${ids[n - 1]}`);
  };

  const [refused] = driver.enqueueItems([using(4)]);
  assert.ok(typeof refused === "object" && "reason" in refused);
  assert.equal(refused.reason, "IDEMPOTENCY_WINDOW_FULL");
  // Keys go together, up to a second after the first of them may.
  assert.equal(refused.retryAfterMs, windowMs - 3_000 + 1_000);
  assert.equal(driver.stats("r").depth, 3);
  driver.enqueue("k", { queue: "r" });
  assert.equal(driver.stats("r").depth, 4, "without a key there is always room");
  assert.equal(
    what(driver.enqueueItems([{ ...using(4), queue: "q" }])[0]),
    "stored",
    "another queue has room of its own",
  );

  driver.wait(windowMs - 3_001);
  check([1, 2, 3]);
  assert.equal(use(4), "IDEMPOTENCY_WINDOW_FULL");
  driver.wait(1);
  check([2, 3]);
  driver.wait(999);
  check([2, 3]);
  assert.equal(use(1), "IDEMPOTENCY_WINDOW_FULL");
  driver.wait(1);
  assert.equal(use(4), "stored", "after the time that the refusal named");
  check([3]);
  assert.equal(use(1), "stored", "its window is over");
  driver.wait(windowMs);
  assert.equal(use(3), "stored");
});
