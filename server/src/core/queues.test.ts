// Queues: created, deleted in slices, listed, described; and messages whose bytes cannot be read.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Delivery } from "./effects.ts";
import type { Failure } from "./errors.ts";
import { maxQueueNumber } from "./message-id.ts";
import { CoreDriver, item } from "./testing/core-driver.ts";
import { defaultQueueSettings } from "./queue-settings.ts";

const visibilityMs = 30_000;

describe("scripts of a queue", () => {
  const proven = (driver: CoreDriver) => driver.core.state.queuesByName.get("r")?.settings.provenOnEnqueue;
  const set = (driver: CoreDriver, onEnqueueScript: string): void =>
    driver.run({ type: "update-queue", request: 90, name: "r", settings: { onEnqueueScript } });
  const worked = (driver: CoreDriver, script: string): void =>
    driver.run({ type: "script-worked", queueNumber: 3, hook: "on_enqueue", script });

  test("the last one that worked is remembered, whatever came after it", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { onEnqueueScript: "one" });
    worked(driver, "one");
    assert.deepEqual(proven(driver), { current: true, before: "" });
    set(driver, "one");
    assert.deepEqual(proven(driver), { current: true, before: "" });
    set(driver, "two");
    assert.deepEqual(proven(driver), { current: false, before: "one" });
    set(driver, "three");
    assert.deepEqual(proven(driver), { current: false, before: "one" });
    worked(driver, "three");
    set(driver, "");
    assert.deepEqual(proven(driver), { current: false, before: "three" });
  });

  test("word of one that was replaced meanwhile says nothing about the new one, and none is written twice", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { onEnqueueScript: "one" });
    set(driver, "two");
    worked(driver, "one");
    assert.deepEqual(proven(driver), { current: false, before: "" });
    const written = driver.mutations.length;
    worked(driver, "two");
    worked(driver, "two");
    assert.equal(driver.mutations.length, written + 1);
  });
});

describe("a message that a hook has decided about", () => {
  test("is for the queue that was asked, and for no later one of its name", () => {
    const driver = new CoreDriver();
    driver.createQueue("r");
    const decided = { ...item("k", { queue: "r" }), queueNumber: 3 };
    const enqueue = (): unknown => driver.enqueueItems([decided])[0];
    assert.equal(typeof enqueue(), "string");
    driver.run({ type: "delete-queue", request: 91, name: "r" });
    driver.createQueue("r");
    assert.equal((enqueue() as Failure).reason, "QUEUE_NOT_FOUND");
    assert.equal(driver.stats("r").depth, 0);
  });
});

describe("creating queues", () => {
  test("a name is taken once, and there is a limit", () => {
    const driver = new CoreDriver({ maxQueues: 2 });
    assert.equal(driver.createQueue("q")?.reason, "QUEUE_EXISTS");
    assert.equal(driver.createQueue("r"), undefined);
    assert.equal(driver.createQueue("s")?.reason, "TOO_MANY_QUEUES");
    assert.equal(driver.deleteQueue("r"), undefined);
    assert.equal(driver.createQueue("s"), undefined);
    assert.equal(driver.deleteQueue("r")?.reason, "QUEUE_NOT_FOUND");
  });

  test("a number that no id can carry is never given", () => {
    const driver = new CoreDriver();
    driver.core.state.nextQueueNumber = maxQueueNumber - 1;
    assert.equal(driver.createQueue("last"), undefined);
    const [id] = driver.enqueue("k", { queue: "last" });
    const [delivery] = driver.open({ queue: "last" }).pull(1);
    assert.equal(delivery?.id, id);
    assert.equal(driver.tell(id as string, "ack", { queue: "last", token: delivery?.token }), "OK");
    assert.equal(driver.deleteQueue("last"), undefined);
    assert.equal(driver.createQueue("one more")?.reason, "TOO_MANY_QUEUES");
  });

  test("a consumer has the queue's visibility timeout unless it names its own", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { visibilityMs: 1_234 });
    assert.equal(driver.open({ queue: "r" }).opened?.visibilityMs, 1_234);
    assert.equal(driver.open({ queue: "r", visibilityMs: 9 }).opened?.visibilityMs, 9);
  });

  test("what is enqueued to an unknown queue fails alone", () => {
    const driver = new CoreDriver();
    const outcomes = driver.enqueueItems([item("k"), item("k", { queue: "nowhere" }), item("k")]);
    assert.deepEqual(
      outcomes.map((each) => (typeof each === "string" || !("reason" in each) ? "stored" : each.reason)),
      ["stored", "QUEUE_NOT_FOUND", "stored"],
    );
    assert.equal(driver.stats().depth, 2);
  });
});

describe("deleting a queue", () => {
  test("answers at once and goes on in slices, while the name is in use again", () => {
    const driver = new CoreDriver({ dropsPerTurn: 10 });
    for (const key of ["a", "b", "c"]) driver.enqueue(key, { count: 20, weight: 2, throttleKeys: [key] });
    const stream = driver.open();
    const poll = driver.open({ kind: "poll" });
    const held = [...stream.pull(5), ...poll.pull(5)];
    poll.close(5);
    const request = driver.nextNumber();
    driver.turn([{ type: "delete-queue", request, name: "q" }]);
    const again = driver.nextNumber();
    driver.turn([{ type: "create-queue", request: again, name: "q", settings: defaultQueueSettings }]);
    const [id] = driver.enqueue("a") as [string];
    // Slices go on with every turn; the new queue knows nothing of them.
    assert.equal(driver.stats().depth, 1);
    const consumer = driver.open({ credit: 10 });
    assert.equal(consumer.takeOne().id, id);
    assert.equal(consumer.received[0]?.weight, 1);
    for (const { id: old, token } of held) assert.equal(driver.tell(old, "ack", { token }), "LEASE_LOST");
    driver.run();
    // What a poll held goes when its leases end.
    assert.equal(driver.core.state.table.size, 1 + 5);
    driver.wait(visibilityMs);
    assert.equal(driver.core.state.table.size, 1);
    assert.equal(driver.core.state.queuesByNumber.size, 2);
    const dropped = driver.mutations.filter(({ type }) => type === "dropped");
    assert.equal(dropped.length, 60);
  });

  test("its number is never given again", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    driver.deleteQueue("q");
    driver.createQueue("q");
    const numbers = driver.mutations.flatMap((each) => (each.type === "queue-created" ? [each.queueNumber] : []));
    assert.deepEqual(numbers, [1, 2, 3, 4]);
  });

  test("moves no more than a slice in a turn", () => {
    const driver = new CoreDriver({ dropsPerTurn: 7 });
    driver.enqueue("k", { count: 50 });
    driver.turn([{ type: "delete-queue", request: driver.nextNumber(), name: "q" }]);
    const { table } = driver.core.state;
    for (let before = table.size; before > 0; before = table.size) {
      const { mutations, more } = driver.turn();
      assert.ok(mutations.length <= 7 && table.size === before - mutations.length);
      assert.equal(more, table.size > 0 || driver.core.state.dying.size > 0);
    }
  });

  test("does not hold up the expiry of leases of other queues", () => {
    const driver = new CoreDriver({ slicePerTurn: 10, dropsPerTurn: 10 });
    driver.createQueue("r");
    driver.enqueue("k", { count: 1_000 });
    driver.enqueue("k", { queue: "r" });
    const consumer = driver.open({ queue: "r" });
    consumer.pull(1);
    driver.turn([{ type: "delete-queue", request: driver.nextNumber(), name: "q" }]);
    driver.pass(visibilityMs);
    driver.turn();
    assert.ok(driver.core.state.dying.size > 0);
    assert.equal(consumer.lost.length, 1);
  });

  test("sets quarantined messages free, too", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 2 });
    driver.deleteQueue("q");
    assert.equal(driver.core.state.setAside.size, 0);
    assert.equal(driver.core.state.table.size, 0);
  });
});

describe("what operators see", () => {
  test("a list in pages, by name", () => {
    const driver = new CoreDriver();
    for (const name of ["b", "a", "é", "A", "c"]) driver.createQueue(name);
    for (const name of ["b", "a", "é", "A", "c", "q"]) driver.deleteQueue(`${name}.dlq`);
    driver.enqueue("k", { queue: "b", count: 3 });
    driver.open({ queue: "b" }).pull(1);
    const page = (after: string, limit: number) => {
      const reply = driver.ask((request) => ({ type: "list-queues", request, after, limit }));
      assert.ok(reply.type === "queues");
      return { names: reply.queues.map(({ name }) => name).join(), more: reply.more, total: reply.total, reply };
    };
    const first = page("", 3);
    assert.deepEqual([first.names, first.more, first.total], ["A,a,b", true, 6]);
    assert.deepEqual(first.reply.queues[2], { name: "b", depth: 3, inFlight: 1, consumers: 1 });
    const second = page("b", 3);
    assert.deepEqual([second.names, second.more], ["c,q,é", false]);
    assert.deepEqual([page("é", 3).names, page("é", 3).more], ["", false]);
  });

  test("numbers of a queue, and its busiest keys", () => {
    const driver = new CoreDriver();
    for (let at = 0; at < 40; at += 1) driver.enqueue(`k${at}`, { count: 1 + ((at * 17) % 40), weight: 1 + (at % 3) });
    const consumer = driver.open();
    const held = consumer.pull(10);
    consumer.settle(held[0] as Delivery, "nack");
    const stats = driver.stats("q", 5);
    const { keys, ...rest } = stats;
    assert.deepEqual(rest, {
      name: "q",
      depth: 820,
      inFlight: 9,
      consumers: 1,
      activeKeys: driver.core.state.queuesByNumber.get(1)!.ring.size,
      visibilityMs,
      delayed: 0,
      deciding: 0,
      paused: false,
      throttles: [],
      truncated: true,
    });
    const all = driver.stats("q", 100).keys;
    assert.equal(all.length, 40);
    assert.deepEqual(keys, all.slice(0, 5));
    assert.equal(
      all.reduce((sum, { pending }) => sum + pending, 0),
      820 - 9,
    );
    for (const [at, { pending }] of all.entries()) assert.ok(at === 0 || pending <= all[at - 1]!.pending);
    assert.deepEqual(driver.stats("q", 0).keys, []);
    assert.equal(driver.stats("q", 40).truncated, false);
  });

  test("an unknown queue has no numbers", () => {
    const driver = new CoreDriver();
    const reply = driver.ask((request) => ({ type: "queue-stats", request, name: "nowhere", topKeys: 1 }));
    assert.equal(reply.type === "failed" && reply.failure.reason, "QUEUE_NOT_FOUND");
  });
});

describe("a message whose bytes cannot be read", () => {
  test("is dead-lettered, set aside there, and never delivered again", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    const consumer = driver.open({ kind: "consume" });
    const [, second] = consumer.take() as [Delivery, Delivery, Delivery];
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 2 });
    assert.deepEqual(consumer.lost, [{ id: second.id, token: second.token }]);
    assert.equal(consumer.settle(second, "ack"), "LEASE_LOST");
    consumer.close(3);
    const other = driver.open({ credit: 10 });
    assert.deepEqual(
      other.take().map(({ sequence }) => sequence),
      [1, 3],
    );
    assert.deepEqual([driver.stats().depth, driver.stats("q.dlq").depth], [2, 1]);
    assert.deepEqual(driver.open({ queue: "q.dlq", credit: 1 }).take(), []);
    // Twice is once; and what is ready, or gone, is no trouble either.
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 2 });
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 99 });
    driver.enqueue("k");
    other.take();
    driver.enqueue("k", { count: 20 });
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 20 });
    assert.equal(driver.core.state.setAside.size, 2);
  });
});

describe("a broker that drains", () => {
  test("leases nothing more, and still takes settlements", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    const consumer = driver.open();
    const [held] = consumer.pull(1) as [Delivery];
    driver.core.draining = true;
    assert.equal(consumer.pull(5).length, 0);
    assert.equal(consumer.settle(held, "ack"), "OK");
    assert.equal(driver.stats().depth, 2);
  });
});
