// Dead letters: where they go, what they take along, and which queues they live in.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Core } from "./core.ts";
import type { Delivery } from "./effects.ts";
import type { MovedMutation } from "./mutations.ts";
import { defaultQueueSettings } from "./queue-settings.ts";
import { Restorer } from "./restore.ts";
import { CoreDriver, type EnqueueOptions } from "./testing/core-driver.ts";
import { durableFacts } from "./testing/durable-ledger.ts";
import { verify } from "./verify.ts";

const day = 24 * 3_600_000;

function restart(driver: CoreDriver, after = 1_000): void {
  driver.wall += after;
  driver.mono = 50;
  const core = driver.newCore();
  driver.durable.restore(core, driver);
  verify(core);
  assert.deepEqual(durableFacts(core), driver.durable.facts(driver.wall));
  driver.restartOn(core);
}

/** Rejects a message of the queue; gives the mutation of the move. */
function reject(driver: CoreDriver, queue = "q"): MovedMutation {
  const consumer = driver.open({ queue });
  assert.equal(consumer.nack(consumer.pull(1)[0] as Delivery, { error: "no", deadLetter: true }), "OK");
  consumer.close(1);
  return driver.mutations.findLast((each) => each.type === "moved") as MovedMutation;
}

function deadLetter(driver: CoreDriver, options: EnqueueOptions = {}): string {
  const [id] = driver.enqueue("k", options) as [string];
  reject(driver, options.queue);
  return id;
}

describe("a dead letter", () => {
  test("keeps id, key, weight, cost, throttle keys and attempts, and has a record of its failure", () => {
    const driver = new CoreDriver();
    const [id] = driver.enqueue("tenant", { weight: 7, cost: 3, throttleKeys: ["a", "b"], bytes: 33 }) as [string];
    const worker = driver.open();
    worker.settle(worker.pull(1)[0] as Delivery, "nack");
    driver.wait(500);
    const { failure, attempts, quarantined } = reject(driver);
    const { wall } = driver;
    assert.deepEqual(failure, {
      reason: "rejected",
      error: "no",
      firstFailedAt: wall - 500,
      lastFailedAt: wall,
      sourceQueue: "q",
    });
    assert.deepEqual([attempts, quarantined], [2, false]);
    assert.equal(driver.stats().depth, 0);
    assert.equal(driver.core.state.queuesByName.get("q")?.keys.size, 0);
    restart(driver);
    const [delivery] = driver.open({ queue: "q.dlq" }).pull(1) as [Delivery];
    const { queue, fairnessKey, weight, throttleKeys, enqueuedAt } = delivery;
    assert.deepEqual(
      [delivery.id, queue, fairnessKey, weight, throttleKeys, delivery.attempts, enqueuedAt],
      [id, "q.dlq", "tenant", 7, ["a", "b"], 2, wall - 500],
    );
    const { state } = driver.core;
    const slot = state.index.get(delivery.queueNumber, delivery.sequence) as number;
    assert.deepEqual([state.table.cost(slot), state.table.length(slot)], [3, 33]);
  });

  test("is leased and settled like any message, under its queue's name", () => {
    const driver = new CoreDriver();
    const ids = [deadLetter(driver), deadLetter(driver)];
    const consumer = driver.open({ queue: "q.dlq" });
    const [one, two] = consumer.pull(2) as [Delivery, Delivery];
    assert.deepEqual([one.id, two.id], ids);
    assert.equal(driver.tell(one.id, "ack", { token: one.token, queue: "q" }), "LEASE_LOST");
    restart(driver);
    assert.equal(driver.stats("q.dlq").inFlight, 2);
    assert.equal(driver.tell(one.id, "ack", { token: one.token, queue: "q.dlq" }), "OK");
    assert.equal(driver.tell(one.id, "ack", { token: one.token, queue: "q.dlq" }), "OK");
    assert.equal(driver.tell(two.id, "release", { token: two.token, queue: "q.dlq" }), "OK");
    const { depth, inFlight } = driver.stats("q.dlq");
    assert.deepEqual([depth, inFlight], [1, 0]);
    const removed = driver.mutations.findLast((each) => each.type === "removed");
    assert.equal(removed?.hasFailure, true);
  });

  test("only backs off when it is nacked: nothing is dead-lettered twice", () => {
    const driver = new CoreDriver();
    deadLetter(driver);
    const consumer = driver.open({ queue: "q.dlq", credit: 100 });
    for (let attempts = 1; attempts < 40; attempts += 1) {
      const delivery = consumer.takeOne();
      assert.equal(delivery.attempts, attempts);
      consumer.nack(delivery, { deadLetter: true });
      driver.wait(375_000);
    }
    assert.equal(driver.core.state.queuesByName.has("q.dlq.dlq"), false);
    assert.equal(driver.mutations.filter(({ type }) => type === "moved").length, 1);
  });

  test("that a worker took since the redrive found it stays with the worker", () => {
    const driver = new CoreDriver();
    deadLetter(driver);
    deadLetter(driver);
    const worker = driver.open({ queue: "q.dlq" });
    const [held, waits] = worker.pull(2) as [Delivery, Delivery];
    assert.equal(worker.nack(waits, {}), "OK");
    driver.run({ type: "redrive", request: driver.nextNumber(), queue: "q.dlq", messages: [held, waits] });
    verify(driver.core);
    assert.deepEqual([driver.stats("q").depth, driver.stats("q.dlq").depth, driver.stats("q.dlq").inFlight], [1, 1, 1]);
    assert.equal(worker.settle(held, "ack"), "OK");
  });

  test("whose bytes cannot be read is set aside where it is", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 2 });
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 1 });
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 1 });
    const moved = driver.mutations.filter((each) => each.type === "moved");
    assert.deepEqual(
      moved.map(({ failure, quarantined }) => [failure?.reason, quarantined]),
      [["corrupt", true]],
    );
    assert.equal(driver.stats("q.dlq").depth, 1);
    assert.equal(driver.open({ queue: "q.dlq" }).pull(1).length, 0);
    reject(driver);
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 2 });
    assert.equal(driver.stats("q.dlq").depth, 2);
    restart(driver);
    assert.equal(driver.open({ queue: "q.dlq" }).pull(2).length, 0);
    driver.wait(14 * day);
    assert.equal(driver.core.state.table.size, 0);
    assert.equal(driver.core.state.setAside.size, 0);
  });

  test("is kept for as long as its queue says, over a restart too; its time to live is forgotten", () => {
    const driver = new CoreDriver();
    driver.createQueue("r.dlq", { retentionMs: 5_000 });
    driver.createQueue("r");
    deadLetter(driver, { queue: "r", ttlMs: 1_000 });
    driver.wait(2_000);
    restart(driver, 2_999);
    assert.equal(driver.stats("r.dlq").depth, 1);
    driver.wait(1);
    assert.equal(driver.stats("r.dlq").depth, 0);
    const forever = new CoreDriver();
    forever.createQueue("r.dlq", { retentionMs: 0 });
    forever.createQueue("r");
    deadLetter(forever, { queue: "r", ttlMs: 1_000 });
    forever.wait(100 * day);
    assert.equal(forever.stats("r.dlq").depth, 1);
    assert.equal(forever.core.nextDeadline, Infinity);
  });

  test("takes its weight along to a key that has another one there", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { queue: "q.dlq", weight: 9 });
    deadLetter(driver, { weight: 4 });
    deadLetter(driver);
    const weights = driver
      .open({ queue: "q.dlq" })
      .pull(3)
      .map(({ weight }) => weight);
    assert.deepEqual(weights, [1, 1, 1]);
    restart(driver);
    assert.equal(driver.core.state.queuesByName.get("q.dlq")?.keys.get("k")?.weight, 1);
  });

  test("finds an order with messages of other queues that have its sequence and its time", () => {
    const driver = new CoreDriver();
    driver.createQueue("r");
    driver.createQueue("both.dlq");
    for (const name of ["q", "r"]) driver.core.state.queuesByName.get(name)!.deadLetters = 5;
    for (const queue of ["r", "q"]) {
      driver.enqueue("k", { queue, count: 3 });
      for (let times = 0; times < 3; times += 1) reject(driver, queue);
    }
    driver.enqueue("k", { queue: "both.dlq", count: 2 });
    verify(driver.core);
    const order = driver
      .open({ queue: "both.dlq" })
      .pull(8)
      .map(({ queueNumber, sequence }) => `${sequence}:${queueNumber}`);
    assert.deepEqual(order, ["1:1", "1:3", "1:5", "2:1", "2:3", "2:5", "3:1", "3:3"]);
  });
});

describe("dead-letter queues", () => {
  test("come with their queue and go with it", () => {
    const driver = new CoreDriver();
    driver.createQueue("r");
    const created = driver.mutations.flatMap((each) => (each.type === "queue-created" ? [each] : []));
    assert.deepEqual(
      created.slice(-2).map(({ queueNumber, name, deadLetters, madeFor }) => [queueNumber, name, deadLetters, madeFor]),
      [
        [3, "r", 4, 0],
        [4, "r.dlq", 0, 3],
      ],
    );
    deadLetter(driver, { queue: "r" });
    const consumer = driver.open({ queue: "r.dlq" });
    restart(driver);
    driver.deleteQueue("r");
    assert.equal(driver.core.state.queuesByName.has("r.dlq"), false);
    assert.equal(driver.core.state.table.size, 0);
    assert.equal(consumer.ended, undefined);
    restart(driver);
    assert.deepEqual([...driver.core.state.queuesByName.keys()].sort(), ["q", "q.dlq"]);
  });

  test("that were there before are adopted, and never deleted along", () => {
    const driver = new CoreDriver();
    driver.createQueue("r.dlq", { retentionMs: 0 });
    driver.enqueue("k", { queue: "r.dlq" });
    driver.createQueue("r");
    const id = deadLetter(driver, { queue: "r" });
    assert.equal(driver.stats("r.dlq").depth, 2);
    restart(driver);
    driver.deleteQueue("r");
    restart(driver);
    const delivered = driver.open({ queue: "r.dlq" }).pull(2);
    assert.ok(delivered.some((each) => each.id === id));
    // The next queue of that name takes it up again, with what is in it.
    driver.createQueue("r");
    deadLetter(driver, { queue: "r" });
    assert.equal(driver.stats("r.dlq").depth, 3);
  });

  test("deleted by themselves come back with the next dead letter, and belong to the queue again", () => {
    const driver = new CoreDriver();
    deadLetter(driver);
    driver.deleteQueue("q.dlq");
    assert.equal(driver.core.state.queuesByName.has("q.dlq"), false);
    const id = deadLetter(driver);
    restart(driver);
    assert.deepEqual(
      driver
        .open({ queue: "q.dlq" })
        .pull(2)
        .map((each) => each.id),
      [id],
    );
    driver.deleteQueue("q");
    assert.equal(driver.core.state.queuesByName.size, 0);
  });

  test("deleted by themselves, and made anew by themselves, are their queue's at once, and stay when it goes", () => {
    const driver = new CoreDriver();
    driver.deleteQueue("q.dlq");
    driver.createQueue("q.dlq");
    const deadLetters = (): string => {
      const described = driver.ask((request) => ({ type: "describe-queue", request, queue: "q", maxKeys: 0 }));
      return described.type === "described" ? described.description.deadLetters : described.type;
    };
    assert.equal(deadLetters(), "q.dlq");
    restart(driver);
    assert.equal(deadLetters(), "q.dlq");
    driver.deleteQueue("q");
    assert.deepEqual([...driver.core.state.queuesByName.keys()], ["q.dlq"]);
  });

  test("take nothing in any more from the turn that deletes them", () => {
    const driver = new CoreDriver({ slicePerTurn: 2, dropsPerTurn: 2 });
    driver.enqueue("k", { count: 12 });
    for (let left = 10; left > 0; left -= 1) reject(driver);
    const consumer = driver.open();
    const [one, two] = consumer.pull(2) as [Delivery, Delivery];
    const nack = ({ id, token }: Delivery) => {
      const items = [{ id, token, action: "nack" as const, error: "no", deadLetter: true, extendMs: 0 }];
      return {
        type: "settle" as const,
        request: driver.nextNumber(),
        queue: "q",
        connection: 1,
        principal: "p",
        items,
      };
    };
    driver.turn([{ type: "delete-queue", request: driver.nextNumber(), name: "q.dlq" }, nack(one)]);
    // The old one is being emptied still.
    assert.ok(driver.core.state.dying.size > 0);
    driver.turn([nack(two)]);
    driver.run();
    assert.equal(driver.stats("q.dlq").depth, 2);
    assert.equal(driver.core.state.table.size, 2);
    restart(driver);
    assert.equal(driver.open({ queue: "q.dlq" }).pull(5).length, 2);
  });

  test("are made for queues of before there were any, or one that has the name is taken", () => {
    const driver = new CoreDriver();
    const core = driver.newCore();
    const restorer = new Restorer(core);
    restorer.queue(7, "old", defaultQueueSettings, 0, 0);
    restorer.queue(8, "other", defaultQueueSettings, 0, 0);
    restorer.queue(9, "other.dlq", defaultQueueSettings, 0, 0);
    restorer.finish(driver);
    driver.restartOn(core);
    const { mutations } = driver.turn();
    assert.deepEqual(
      mutations.map((each) => {
        assert.ok(each.type === "queue-created" || each.type === "queue-updated");
        return [each.type, each.queueNumber, each.name, each.deadLetters, each.madeFor];
      }),
      [
        ["queue-created", 10, "old.dlq", 0, 7],
        ["queue-updated", 7, "old", 10, 0],
        ["queue-updated", 8, "other", 9, 0],
      ],
    );
    assert.deepEqual(driver.turn().mutations, []);
    verify(core);
  });

  test("that came with their queues do not count towards the limit; those made by themselves do", () => {
    const driver = new CoreDriver({ maxQueues: 3 });
    assert.equal(driver.createQueue("a.dlq"), undefined);
    assert.equal(driver.createQueue("b"), undefined);
    assert.equal(driver.createQueue("c.dlq")?.reason, "TOO_MANY_QUEUES");
    assert.equal(driver.createQueue("a")?.reason, "TOO_MANY_QUEUES");
    restart(driver);
    assert.equal(driver.createQueue("c")?.reason, "TOO_MANY_QUEUES");
    driver.deleteQueue("b.dlq");
    assert.equal(driver.createQueue("c")?.reason, "TOO_MANY_QUEUES");
    driver.deleteQueue("b");
    assert.equal(driver.createQueue("a"), undefined);
    assert.ok(driver.core instanceof Core);
  });
});
