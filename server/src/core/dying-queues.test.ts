// A deleted queue leaves nothing behind, whatever its messages were in.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decisionMs } from "./attempts.ts";
import type { Command } from "./commands.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { verify } from "./verify.ts";

/** A queue with messages in every state that waits, and others that must not notice. */
function world(dropsPerTurn: number): CoreDriver {
  const driver = new CoreDriver({ slicePerTurn: dropsPerTurn, dropsPerTurn });
  driver.createQueue("r", { onFailureScript: "asked", maxAttempts: 1, expiredTo: "dead-letter" });
  for (const queue of ["r", "q"]) {
    driver.enqueue("a", { queue, count: 4, weight: 3 });
    driver.enqueue("b", { queue, count: 5, delayMs: 700, ttlMs: 900 });
    driver.enqueue("c", { queue, count: 5, deliverAt: driver.wall + 800, throttleKeys: ["x"] });
    driver.enqueue("d", { queue, count: 5, ttlMs: decisionMs });
  }
  const consumer = driver.open({ queue: "r" });
  for (const delivery of consumer.pull(6)) consumer.settle(delivery, "nack");
  consumer.pull(1);
  return driver;
}

function deleteQueue(driver: CoreDriver, name: string): Command {
  return { type: "delete-queue", request: driver.nextNumber(), name };
}

function checkNothingLeft(driver: CoreDriver): void {
  const { state } = driver.core;
  assert.equal(state.undecided.size, 0);
  assert.equal(state.dying.size, 0);
  assert.equal(state.delayed.size, 5);
  assert.equal(state.scheduled.size, 5);
  assert.equal(state.expiries.size, 10);
  assert.equal(state.table.size, 19);
  assert.equal([...state.lanes()].length, 4);
  assert.deepEqual([...state.queuesByNumber.keys()], [1, 2]);
  verify(driver.core);
}

describe("a deleted queue", () => {
  for (const slice of [1, 3, 1_000]) {
    test(`leaves nothing of what was ready, leased, delayed, scheduled or deciding, in slices of ${slice}`, () => {
      const driver = world(slice);
      driver.run(deleteQueue(driver, "r"));
      checkNothingLeft(driver);
      const of = (type: string): number => driver.mutations.filter((each) => each.type === type).length;
      assert.deepEqual([of("dropped"), of("removed"), of("moved")], [19, 0, 0]);
    });
  }

  test("dead-letters nothing any more, though times to live and the hooks' second are over with its end", () => {
    const driver = world(1);
    driver.pass(decisionMs);
    driver.run(deleteQueue(driver, "r"));
    assert.equal(driver.core.state.undecided.size, 0);
    assert.equal(driver.core.state.table.size, 19 - 10);
    const late = driver.mutations.filter(({ type }) => type === "moved" || type === "decided" || type === "removed");
    assert.deepEqual(
      late.map((each) => ("queueNumber" in each ? [each.type, each.queueNumber] : [])),
      new Array(10).fill(["removed", 1]),
    );
    assert.deepEqual([...driver.core.state.queuesByName.keys()], ["q", "q.dlq"]);
  });

  test("is not made again by a hook's late answer, nor is its dead-letter queue", () => {
    const driver = world(1);
    driver.turn([deleteQueue(driver, "r")]);
    const answers = driver.questions.map(({ queueNumber, sequence, attempt }): Command => {
      return { type: "decided", queueNumber, sequence, attempt, decision: { type: "dead-letter", reason: "hook" } };
    });
    driver.run(...answers);
    checkNothingLeft(driver);
    assert.equal(driver.mutations.filter(({ type }) => type === "queue-created").length, 4);
  });

  test("that another queue's messages moved to leaves nothing of them, nor of their failures", () => {
    const driver = new CoreDriver({ dropsPerTurn: 2 });
    driver.createQueue("r", { maxAttempts: 1 });
    driver.enqueue("k", { queue: "r", count: 5 });
    const consumer = driver.open({ queue: "r" });
    for (const delivery of consumer.pull(5)) consumer.settle(delivery, "nack");
    driver.enqueue("k", { queue: "r.dlq" });
    driver.open({ queue: "r.dlq" }).pull(2);
    driver.run(deleteQueue(driver, "r.dlq"));
    assert.equal(driver.core.state.table.size, 0);
    const failures = driver.mutations.flatMap((each) => (each.type === "dropped" ? [each.failure] : []));
    assert.deepEqual(failures.map((each) => `${each?.queueNumber}:${each?.sequence}`).sort(), [
      "3:1",
      "3:2",
      "3:3",
      "3:4",
      "3:5",
      "4:1",
    ]);
  });
});
