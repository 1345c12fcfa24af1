// Messages in time: delays by the monotonic clock, times of day by the wall clock, times to live.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Delivery } from "./effects.ts";
import { none } from "./message-table.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { durableFacts } from "./testing/durable-ledger.ts";
import { verify } from "./verify.ts";

const hour = 3_600_000;
const sequences = (deliveries: readonly Delivery[]): number[] => deliveries.map(({ sequence }) => sequence);

/** The process dies and comes back on another monotonic clock, after so much time of the wall clock. */
function restart(driver: CoreDriver, after: number): void {
  driver.wall += after;
  driver.mono = 50;
  const core = driver.newCore();
  driver.durable.restore(core, driver);
  verify(core);
  driver.restartOn(core);
}

describe("a delayed message", () => {
  test("comes when its time is over, and never before", () => {
    for (const delayMs of [1, 40, 5_000, 365 * 24 * hour]) {
      const driver = new CoreDriver();
      const consumer = driver.open({ credit: 1 });
      driver.enqueue("k", { delayMs });
      assert.equal(driver.core.nextDeadline, driver.mono + delayMs);
      driver.wait(delayMs - 0.25);
      assert.equal(consumer.received.length, 0);
      driver.wait(0.25);
      assert.equal(consumer.received.length, 1);
      assert.equal(driver.core.nextDeadline, driver.mono + 30_000);
    }
  });

  test("waits for the monotonic clock: one who sets the wall clock changes nothing", () => {
    for (const set of [-24 * hour, 24 * hour]) {
      const driver = new CoreDriver();
      const consumer = driver.open({ credit: 1 });
      driver.enqueue("k", { delayMs: 5_000 });
      driver.wall += set;
      driver.wait(4_999);
      assert.equal(consumer.received.length, 0);
      driver.wait(1);
      assert.equal(consumer.received.length, 1);
    }
  });

  test("waits over a restart for what the wall clock says is left", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { delayMs: 5_000 });
    driver.wait(1_000);
    restart(driver, 3_000);
    assert.equal(driver.core.nextDeadline, driver.mono + 1_000);
    const consumer = driver.open({ credit: 1 });
    driver.wait(999);
    assert.equal(consumer.received.length, 0);
    driver.wait(1);
    assert.equal(consumer.received.length, 1);
    const late = new CoreDriver();
    late.enqueue("k", { delayMs: 5_000 });
    restart(late, 9_000);
    assert.equal(late.open().pull(1).length, 1);
  });

  test("goes to the place of its due time among those that did not wait", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { delayMs: 20 });
    driver.enqueue("k", { delayMs: 10 });
    driver.pass(15);
    driver.enqueue("k");
    driver.pass(15);
    driver.enqueue("k");
    assert.deepEqual(sequences(driver.open().pull(4)), [2, 3, 1, 4]);
  });

  test("finds a place among the others of its time although the wall clock was set", () => {
    for (const set of [-hour, hour]) {
      const driver = new CoreDriver();
      driver.enqueue("k", { count: 2 });
      driver.enqueue("k", { delayMs: 10 });
      driver.wait(5);
      driver.wall += set;
      driver.enqueue("k");
      driver.wait(10);
      driver.enqueue("k");
      assert.deepEqual(sequences(driver.open().pull(5)), [1, 2, 4, 3, 5], `set by ${set}`);
    }
  });

  test("has a place of whole milliseconds, which a store can hold", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { initialBackoffMs: 100 });
    driver.mono += 0.375;
    driver.enqueue("k", { queue: "r", count: 20 });
    const consumer = driver.open({ queue: "r" });
    driver.settleAll(
      consumer.pull(20).map(({ id, token }) => ({ id, token, action: "nack", error: "", extendMs: 0 })),
      { queue: "r" },
    );
    driver.mono += 200.5;
    driver.wall += 200;
    for (const delivery of consumer.pull(10)) consumer.settle(delivery, "release");
    const { table } = driver.core.state;
    for (const slot of table.slots()) assert.ok(Number.isInteger(table.readyAt(slot)), `${table.readyAt(slot)}`);
    for (const each of driver.mutations) {
      if (each.type === "returned") assert.ok(Number.isInteger(each.readyAt), `${each.readyAt}`);
    }
  });

  test("is woken in slices, and counts in depth all the time", () => {
    const driver = new CoreDriver({ slicePerTurn: 10 });
    driver.enqueue("k", { count: 25, delayMs: 100 });
    assert.equal(driver.stats().depth, 25);
    driver.pass(100);
    const woken: number[] = [];
    for (let more = true; more;) {
      ({ more } = driver.turn());
      woken.push(25 - driver.core.state.delayed.size);
    }
    assert.deepEqual(woken, [10, 20, 25]);
    assert.equal(driver.open().pull(25).length, 25);
  });

  test("with a weight sets it at once", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { delayMs: 100, weight: 5 });
    driver.enqueue("k");
    assert.equal(driver.open().pull(1)[0]?.weight, 5);
  });
});

describe("a scheduled message", () => {
  test("comes when the wall clock shows its time, and never before", () => {
    const driver = new CoreDriver();
    const consumer = driver.open({ credit: 1 });
    driver.enqueue("k", { deliverAt: driver.wall + 700 });
    assert.equal(driver.core.nextDeadline, driver.mono + 700);
    driver.wait(699);
    assert.equal(consumer.received.length, 0);
    driver.wait(1);
    assert.equal(consumer.received.length, 1);
  });

  test("follows a wall clock that is set, which is looked at every second", () => {
    const driver = new CoreDriver();
    const consumer = driver.open({ credit: 1 });
    driver.enqueue("k", { deliverAt: driver.wall + 2 * hour });
    assert.equal(driver.core.nextDeadline, driver.mono + 1_000);
    driver.wall -= hour;
    driver.wait(2 * hour);
    assert.equal(consumer.received.length, 0);
    driver.wall += hour;
    assert.ok(driver.core.nextDeadline <= driver.mono + 1_000);
    driver.run();
    assert.equal(consumer.received.length, 1);
  });

  test("whose time is past is ready", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { deliverAt: driver.wall });
    driver.enqueue("k", { deliverAt: 1 });
    assert.equal(driver.core.nextDeadline, Infinity);
    assert.deepEqual(sequences(driver.open().pull(2)), [1, 2]);
  });

  test("keeps its time over a restart", () => {
    const driver = new CoreDriver();
    const at = driver.wall + 10_000;
    driver.enqueue("k", { deliverAt: at });
    driver.wait(1_000);
    restart(driver, 8_999);
    const consumer = driver.open({ credit: 1 });
    assert.equal(consumer.received.length, 0);
    driver.wait(1);
    assert.equal(driver.wall, at);
    assert.equal(consumer.received.length, 1);
  });

  test("goes to the place of its time", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { deliverAt: driver.wall + 30 });
    driver.enqueue("k", { deliverAt: driver.wall + 20 });
    driver.pass(25);
    driver.enqueue("k");
    driver.pass(10);
    assert.deepEqual(sequences(driver.open().pull(3)), [2, 3, 1]);
  });
});

describe("a time to live", () => {
  test("ends a message that waits, in whatever way: not before, and gone in the store", () => {
    for (const waits of [{}, { delayMs: 9_000 }, { deliverAt: 1_750_000_009_000 }]) {
      const driver = new CoreDriver();
      driver.enqueue("k", { ttlMs: 1_000, ...waits });
      assert.equal(driver.core.nextDeadline, driver.mono + 1_000);
      driver.wait(999.75);
      assert.equal(driver.stats().depth, 1);
      driver.wait(0.25);
      assert.equal(driver.stats().depth, 0);
      assert.equal(driver.core.state.table.size, 0);
      assert.equal(driver.core.nextDeadline, Infinity);
      assert.deepEqual(durableFacts(driver.core), driver.durable.facts(driver.wall));
      const removed = driver.mutations.flatMap((each) => (each.type === "removed" ? [each.by] : []));
      assert.deepEqual(removed, ["ttl"]);
    }
  });

  test("is a duration: one who sets the wall clock neither ends nor prolongs it", () => {
    for (const set of [-24 * hour, 24 * hour]) {
      const driver = new CoreDriver();
      driver.enqueue("k", { ttlMs: 1_000 });
      driver.wall += set;
      driver.wait(999);
      assert.equal(driver.stats().depth, 1);
      driver.wait(1);
      assert.equal(driver.stats().depth, 0);
    }
  });

  test("goes on over a restart by the wall clock", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { ttlMs: 1_000 });
    driver.enqueue("k", { ttlMs: 2_000 });
    driver.wait(400);
    restart(driver, 600);
    driver.run();
    assert.equal(driver.stats().depth, 1);
    driver.wait(999);
    assert.equal(driver.stats().depth, 1);
    driver.wait(1);
    assert.equal(driver.stats().depth, 0);
  });

  test("that ends while a worker has the message: an ack still counts", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { ttlMs: 1_000 });
    const consumer = driver.open();
    const [held] = consumer.pull(1) as [Delivery];
    driver.wait(1_000);
    assert.equal(driver.stats().inFlight, 1);
    assert.equal(consumer.settle(held, "ack"), "OK");
    const removed = driver.mutations.flatMap((each) => (each.type === "removed" ? [each.by] : []));
    assert.deepEqual(removed, ["ack"]);
  });

  test("that ended while a worker had a dead letter, which then cannot be read: it is gone", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { queue: "q.dlq", ttlMs: 1_000 });
    driver.open({ queue: "q.dlq" }).pull(1);
    driver.wait(1_000);
    driver.run({ type: "quarantine", queueNumber: 2, sequence: 1 });
    driver.wait(1);
    assert.equal(driver.stats("q.dlq").depth, 0);
    const removed = driver.mutations.flatMap((each) => (each.type === "removed" ? [each.by] : []));
    assert.deepEqual(removed, ["ttl"]);
  });

  test("that ended while a worker had the message: nobody gets it again", () => {
    for (const end of ["nack", "release", "expiry", "close"] as const) {
      const driver = new CoreDriver();
      driver.enqueue("k", { ttlMs: 1_000 });
      const consumer = driver.open();
      const [held] = consumer.pull(1) as [Delivery];
      driver.wait(1_000);
      if (end === "nack" || end === "release") assert.equal(consumer.settle(held, end), "OK");
      else if (end === "close") consumer.close(1);
      else driver.wait(29_000);
      assert.equal(driver.stats().depth, 0, end);
      const removed = driver.mutations.flatMap((each) => (each.type === "removed" ? [each.by] : []));
      assert.deepEqual(removed, ["ttl"]);
      assert.deepEqual(durableFacts(driver.core), driver.durable.facts(driver.wall));
    }
  });

  test("goes on after a lease that ended in time", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { ttlMs: 1_000, count: 2 });
    const consumer = driver.open();
    const [one, two] = consumer.pull(2) as [Delivery, Delivery];
    driver.wait(500);
    consumer.settle(one, "release");
    consumer.nack(two, { delayMs: 5_000 });
    driver.wait(499);
    assert.equal(driver.stats().depth, 2);
    driver.wait(1);
    assert.equal(driver.stats().depth, 0);
  });

  test("that ended under a lease before a restart takes effect when that lease ends", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { ttlMs: 1_000 });
    const [held] = driver.open({ session: "s" }).pull(1) as [Delivery];
    driver.wait(1_500);
    restart(driver, 10);
    const again = driver.open({ session: "s" });
    assert.equal(again.opened?.adopted.length, 1);
    assert.equal(again.settle(held, "nack"), "OK");
    assert.equal(driver.stats().depth, 0);
  });

  test("an ack that comes after it is refused", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { ttlMs: 1_000 });
    const consumer = driver.open();
    const [held] = consumer.pull(1) as [Delivery];
    driver.wait(30_000);
    assert.equal(driver.stats().depth, 0);
    assert.equal(consumer.settle(held, "ack"), "LEASE_LOST");
  });

  test("leads to the dead-letter queue where the queue says so", () => {
    const driver = new CoreDriver();
    driver.createQueue("r", { expiredTo: "dead-letter" });
    const [id] = driver.enqueue("k", { queue: "r", ttlMs: 1_000, delayMs: 5_000 });
    driver.wait(1_000);
    assert.equal(driver.stats("r").depth, 0);
    const moved = driver.mutations.findLast((each) => each.type === "moved");
    assert.equal(moved?.failure?.reason, "ttl");
    const [delivery] = driver.open({ queue: "r.dlq" }).pull(1);
    assert.deepEqual([delivery?.id, delivery?.attempts], [id, 0]);
    // There it lives as long as that queue keeps its dead letters.
    const { state } = driver.core;
    const [slot] = [...state.table.slots()] as [number];
    assert.equal(state.table.expiresAt(slot), driver.wall + 14 * 24 * hour);
  });

  test("is ended in slices", () => {
    const driver = new CoreDriver({ slicePerTurn: 10 });
    driver.enqueue("k", { count: 25, ttlMs: 100 });
    driver.pass(100);
    const left: number[] = [];
    for (let more = true; more;) {
      ({ more } = driver.turn());
      left.push(driver.stats().depth);
    }
    assert.equal(driver.core.state.expiries.first, none);
    assert.equal(left.at(-1), 0);
    assert.ok(left.length >= 2);
  });
});
