// How attempts end and what comes next: by the policy, or by a hook that is asked.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decisionMs } from "./attempts.ts";
import type { Delivery } from "./effects.ts";
import { adoptionMs } from "./orphans.ts";
import type { Decision, HookAnswer } from "./retry-policy.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { durableFacts } from "./testing/durable-ledger.ts";
import { verify } from "./verify.ts";

const visibilityMs = 30_000;

const day = 24 * 3_600_000;

function restart(driver: CoreDriver, after: number): void {
  driver.wall += after;
  driver.mono = 50;
  const core = driver.newCore();
  driver.durable.restore(core, driver);
  verify(core);
  assert.deepEqual(durableFacts(core), driver.durable.facts(driver.wall));
  driver.restartOn(core);
}

/** The reason of each move to a dead-letter queue. */
function deadLettered(driver: CoreDriver): string[] {
  return driver.mutations.flatMap((each) => (each.type === "moved" ? [each.failure?.reason ?? "redriven"] : []));
}

/** A message whose attempt has ended by a nack, in a queue whose hook is asked. */
function undecided(maxAttempts = 0, ttlMs = 0) {
  const driver = new CoreDriver();
  driver.createQueue("r", { onFailureScript: "asked", maxAttempts, initialBackoffMs: 100 });
  const [id] = driver.enqueue("k", { queue: "r", ttlMs }) as [string];
  const consumer = driver.open({ queue: "r" });
  const [delivery] = consumer.pull(1) as [Delivery];
  assert.equal(consumer.nack(delivery, { error: "boom" }), "OK");
  const decide = (decision: HookAnswer, attempt = 1): void =>
    driver.run({ type: "decided", queueNumber: 3, sequence: 1, attempt, decision });
  return { driver, id, consumer, delivery, decide };
}

describe("the end of an attempt", () => {
  test("by a nack is followed by the backoff: never early, and never more than a quarter late", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { initialBackoffMs: 100, maxBackoffMs: 500 });
    driver.enqueue("k", { queue: "r", count: 8 });
    const consumer = driver.open({ queue: "r" });
    for (const base of [100, 200, 400, 500, 500]) {
      const held = consumer.pull(8);
      assert.equal(held.length, 8);
      for (const delivery of held) assert.equal(consumer.settle(delivery, "nack"), "OK");
      driver.wait(base - 1);
      assert.equal(consumer.pull(8).length, 0);
      consumer.credit(-8);
      driver.wait(base / 4 + 1);
    }
    assert.deepEqual(
      consumer.pull(8).map(({ attempts }) => attempts),
      [5, 5, 5, 5, 5, 5, 5, 5],
    );
  });

  test("by an expiry, a stream that died or one that nobody took up again is tried again at once", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { initialBackoffMs: 60_000 });
    driver.enqueue("k", { queue: "r" });
    driver.open({ queue: "r", kind: "poll" }).pull(1);
    driver.wait(visibilityMs);
    const dying = driver.open({ queue: "r" });
    assert.equal(dying.pull(1)[0]?.attempts, 1);
    dying.close(1);
    assert.equal(driver.open({ queue: "r", session: "s" }).pull(1)[0]?.attempts, 2);
    restart(driver, 10);
    driver.wait(adoptionMs);
    assert.equal(driver.open({ queue: "r" }).pull(1)[0]?.attempts, 3);
  });

  test("counts towards the largest number of attempts, whatever ended it", () => {
    for (const end of ["nack", "expiry", "close"] as const) {
      const driver = new CoreDriver();
      driver.createQueue("r", { maxAttempts: 3 });
      driver.enqueue("k", { queue: "r" });
      for (const attempts of [0, 1, 2]) {
        const consumer = driver.open({ queue: "r" });
        const [delivery] = consumer.pull(1) as [Delivery];
        assert.equal(delivery.attempts, attempts);
        assert.deepEqual(deadLettered(driver), []);
        if (end === "nack") consumer.settle(delivery, "nack");
        else if (end === "expiry") driver.wait(visibilityMs);
        else consumer.close(1);
      }
      assert.deepEqual(deadLettered(driver), ["max_attempts"], end);
      assert.equal(driver.stats("r").depth, 0);
      assert.equal(driver.open({ queue: "r.dlq" }).pull(1)[0]?.attempts, 3);
    }
  });

  test("a release is no attempt", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { maxAttempts: 1 });
    driver.enqueue("k", { queue: "r" });
    const consumer = driver.open({ queue: "r" });
    for (let times = 0; times < 3; times += 1) consumer.settle(consumer.pull(1)[0] as Delivery, "release");
    assert.equal(consumer.pull(1)[0]?.attempts, 0);
  });

  test("a worker may ask for a delay of its own, and for none", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { initialBackoffMs: 10_000 });
    driver.enqueue("k", { queue: "r" });
    const consumer = driver.open({ queue: "r", credit: 3 });
    consumer.nack(consumer.takeOne(), { delayMs: 0 });
    consumer.nack(consumer.takeOne(), { delayMs: 777 });
    driver.wait(776);
    assert.equal(consumer.take().length, 0);
    driver.wait(1);
    assert.equal(consumer.takeOne().attempts, 2);
  });

  test("a worker may say that another attempt is of no use", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const consumer = driver.open();
    consumer.nack(consumer.pull(1)[0] as Delivery, { error: "no such account", deadLetter: true });
    assert.deepEqual(deadLettered(driver), ["rejected"]);
    const moved = driver.mutations.findLast((each) => each.type === "moved");
    assert.equal(moved?.failure?.error, "no such account");
  });

  test("keeps the time of the first failure, also of one long after its enqueue, or on a clock that was set back", () => {
    for (const [delayMs, setBack] of [
      [100, 0],
      [300 * day, 0],
      [100, day],
    ] as const) {
      const driver = new CoreDriver();
      driver.createQueue("r", { maxAttempts: 2 });
      driver.enqueue("k", { queue: "r", delayMs });
      const consumer = driver.open({ queue: "r" });
      driver.wall -= setBack;
      driver.wait(delayMs);
      const first = driver.wall;
      consumer.settle(consumer.pull(1)[0] as Delivery, "nack");
      restart(driver, 5_000);
      const next = driver.open({ queue: "r" });
      next.settle(next.pull(1)[0] as Delivery, "nack");
      const moved = driver.mutations.findLast((each) => each.type === "moved");
      assert.deepEqual([moved?.failure?.firstFailedAt, moved?.failure?.lastFailedAt], [first, driver.wall]);
    }
  });
});

describe("a queue that asks its hook", () => {
  test("asks once, with what is known of the attempt; meanwhile the message counts, but is nobody's", () => {
    const { driver, id, consumer } = undecided();
    assert.deepEqual(driver.questions, [
      {
        type: "decide",
        queue: "r",
        id,
        queueNumber: 3,
        sequence: 1,
        fairnessKey: "k",
        throttleKeys: [],
        attempt: 1,
        end: { by: "nack", error: "boom", delayMs: undefined, deadLetter: false },
      },
    ]);
    consumer.credit(1);
    driver.wait(decisionMs - 1);
    assert.equal(driver.questions.length, 1);
    const { depth, inFlight } = driver.stats("r");
    assert.deepEqual([depth, inFlight, consumer.take().length], [1, 0, 0]);
    assert.deepEqual(durableFacts(driver.core), driver.durable.facts(driver.wall));
  });

  test("does what it is told: again now, again later, or no more", () => {
    const now = undecided();
    now.decide({ type: "retry", delayMs: 0 });
    assert.equal(now.consumer.pull(1)[0]?.attempts, 1);
    const later = undecided();
    later.consumer.credit(1);
    later.decide({ type: "retry", delayMs: 2_500 });
    later.driver.wait(2_499);
    assert.equal(later.consumer.take().length, 0);
    later.driver.wait(1);
    assert.equal(later.consumer.takeOne().attempts, 1);
    const never = undecided();
    never.decide({ type: "dead-letter", reason: "hook" });
    assert.deepEqual(deadLettered(never.driver), ["hook"]);
    const moved = never.driver.mutations.findLast((each) => each.type === "moved");
    assert.deepEqual([moved?.failure?.error, moved?.attempts], ["boom", 1]);
    for (const { driver } of [now, later, never]) {
      assert.deepEqual(durableFacts(driver.core), driver.durable.facts(driver.wall));
    }
  });

  test("takes an answer for the attempt that it was asked about only, and only one", () => {
    const { driver, consumer, decide } = undecided();
    consumer.credit(1);
    for (const attempt of [0, 2]) decide({ type: "retry", delayMs: 0 }, attempt);
    assert.equal(consumer.take().length, 0);
    decide({ type: "retry", delayMs: 0 });
    const again = consumer.takeOne();
    decide({ type: "dead-letter", reason: "hook" });
    assert.equal(driver.stats("r").inFlight, 1);
    consumer.settle(again, "nack");
    // The answer to the first question is too late for the second one.
    decide({ type: "dead-letter", reason: "hook" }, 1);
    assert.equal(driver.stats("r").depth, 1);
    assert.equal(driver.questions.length, 2);
    decide({ type: "dead-letter", reason: "hook" }, 2);
    assert.equal(driver.stats("r").depth, 0);
    decide({ type: "retry", delayMs: 0 }, 2);
    driver.run({ type: "decided", queueNumber: 99, sequence: 1, attempt: 1, decision: { type: "retry", delayMs: 0 } });
    assert.equal(driver.stats("r.dlq").depth, 1);
  });

  test("goes by the policy when no answer has come after a second", () => {
    const { driver, consumer } = undecided();
    consumer.credit(1);
    assert.equal(driver.core.nextDeadline, driver.mono + decisionMs);
    driver.wait(decisionMs);
    assert.equal(driver.core.state.undecided.size, 0);
    driver.wait(99);
    assert.equal(consumer.take().length, 0);
    driver.wait(26);
    assert.equal(consumer.takeOne().attempts, 1);
    const last = undecided(1);
    last.driver.wait(decisionMs - 1);
    assert.deepEqual(deadLettered(last.driver), []);
    last.driver.wait(1);
    assert.deepEqual(deadLettered(last.driver), ["max_attempts"]);
  });

  test("hears an answer that arrived in time, though a stall of the broker has passed the second", () => {
    const { driver, consumer, decide } = undecided();
    driver.pass(decisionMs + 500);
    driver.entropy.refill();
    driver.core.begin(driver);
    driver.core.finish(false);
    assert.equal(driver.core.state.undecided.size, 1);
    decide({ type: "retry", delayMs: 0 });
    assert.equal(consumer.pull(1).length, 1);
  });

  test("asks again after a restart, at once and though nobody calls", () => {
    const { driver, consumer } = undecided();
    consumer.close(1);
    restart(driver, 200);
    assert.equal(driver.questions.length, 1);
    assert.equal(driver.core.nextDeadline, driver.mono);
    driver.run();
    assert.equal(driver.questions.length, 2);
    assert.deepEqual(driver.questions[1], driver.questions[0]);
    driver.run();
    assert.equal(driver.questions.length, 2);
    const decision: Decision = { type: "retry", delayMs: 0 };
    driver.run({ type: "decided", queueNumber: 3, sequence: 1, attempt: 1, decision });
    assert.equal(driver.open({ queue: "r" }).pull(1)[0]?.attempts, 1);
  });

  test("leaves it to the policy when the hook says so, the largest number of attempts included", () => {
    const { driver, decide } = undecided(1);
    decide({ type: "policy" });
    assert.deepEqual(deadLettered(driver), ["max_attempts"]);
  });

  test("takes the policy's delay when the hook names none, and holds to the hook beyond the largest number of attempts", () => {
    const { driver, consumer, decide } = undecided(1);
    decide({ type: "backoff" });
    assert.deepEqual(deadLettered(driver), []);
    driver.wait(99);
    assert.equal(consumer.pull(1).length, 0);
    driver.wait(26);
    assert.equal(consumer.pull(1).length, 1);
  });

  test("does not ask about dead letters", () => {
    const driver = new CoreDriver();
    driver.createQueue("r.dlq", { onFailureScript: "asked" });
    driver.enqueue("k", { queue: "r.dlq" });
    const consumer = driver.open({ queue: "r.dlq" });
    consumer.settle(consumer.pull(1)[0] as Delivery, "nack");
    assert.deepEqual(driver.questions, []);
    assert.equal(consumer.pull(1)[0]?.attempts, 1);
  });

  test("lets a time to live end what it decides to try again, and keeps what it gives up", () => {
    const again = undecided(0, 500);
    again.driver.wait(600);
    assert.equal(again.driver.stats("r").depth, 1);
    again.decide({ type: "retry", delayMs: 0 });
    assert.equal(again.driver.stats("r").depth, 0);
    assert.deepEqual(deadLettered(again.driver), []);
    const over = undecided(0, 500);
    over.driver.wait(decisionMs);
    assert.equal(over.driver.stats("r").depth, 0);
    const kept = undecided(0, 500);
    kept.driver.wait(600);
    kept.decide({ type: "dead-letter", reason: "hook" });
    assert.deepEqual(deadLettered(kept.driver), ["hook"]);
    kept.driver.wait(60_000);
    assert.equal(kept.driver.stats("r.dlq").depth, 1);
  });
});
