// Consumers: credit, the window of unwritten bytes, what a Consume stream may hold, turns among them, and how one ends.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { maxUnsettledBytes, maxUnsettledMessages, maxUnwrittenBytes, maxUnwrittenMessages } from "./consumer.ts";
import type { Delivery } from "./effects.ts";
import { CoreDriver } from "./testing/core-driver.ts";

const seed = 20_250_708;
const visibilityMs = 30_000;

describe("credit", () => {
  test("is never exceeded, and only the client gives it back", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 10 });
    const consumer = driver.open({ credit: 3 });
    const held = consumer.take();
    assert.equal(held.length, 3);
    consumer.ackAll(held);
    assert.equal(consumer.take().length, 0);
    assert.equal(consumer.pull(2).length, 2);
    driver.wait(visibilityMs);
    assert.equal(consumer.take().length, 0);
    consumer.credit(1);
    consumer.credit(1);
    assert.equal(consumer.take().length, 2);
  });

  test("is taken back by stop, for good; what was delivered stands", () => {
    const driver = new CoreDriver();
    const consumer = driver.open({ credit: 5 });
    driver.enqueue("k", { count: 2 });
    const [first, second] = consumer.take() as [Delivery, Delivery];
    consumer.stop();
    assert.equal(consumer.stopped, true);
    driver.enqueue("k", { count: 2 });
    consumer.credit(5);
    driver.run({ type: "undelivered", consumer: consumer.id, ordinals: [second.ordinal], all: false });
    assert.equal(consumer.settle(first, "release"), "OK");
    assert.equal(consumer.take().length, 0);
    const other = driver.open({ credit: 5 });
    assert.deepEqual(
      other.take().map(({ attempts }) => attempts),
      [0, 0, 0],
    );
    assert.equal(consumer.settle(second, "ack"), "OK");
  });

  test("a message enqueued while a consumer waits is delivered in the same turn", () => {
    const driver = new CoreDriver();
    const consumer = driver.open({ credit: 1 });
    const request = driver.nextNumber();
    const item = { queue: "q", fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: new Uint8Array(3) };
    const { mutations, effects } = driver.turn([{ type: "enqueue", request, items: [item] }]);
    assert.deepEqual(
      mutations.map(({ type }) => type),
      ["enqueued", "leased"],
    );
    assert.deepEqual(
      effects.map(({ type }) => type),
      ["enqueued", "deliver"],
    );
    assert.equal(consumer.received.length, 1);
  });

  test("a poll takes what is there up to its credit, and its leases stand when it is over", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 2 });
    const poll = driver.open({ kind: "poll", credit: 5 });
    const held = poll.take();
    assert.equal(held.length, 2);
    poll.close(2);
    assert.equal(driver.stats().inFlight, 2);
    assert.equal(poll.settle(held[0] as Delivery, "ack"), "OK");
    driver.wait(visibilityMs);
    assert.deepEqual([driver.stats().depth, driver.stats().inFlight], [1, 0]);
    assert.equal(driver.open({ kind: "poll", credit: 1 }).takeOne().attempts, 1);
  });

  test("a poll that is gone when its commit returns gives back without an attempt", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 2 });
    driver.open({ kind: "poll", credit: 2 }).close(0);
    const again = driver.open({ kind: "poll", credit: 2 }).take();
    assert.deepEqual(
      again.map(({ attempts }) => attempts),
      [0, 0],
    );
  });
});

describe("what a Consume stream holds", () => {
  test(`is at most ${maxUnsettledMessages} messages; ack, nack and expiry give back`, () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 200 });
    const consumer = driver.open({ kind: "consume" });
    const held = consumer.take();
    assert.equal(held.length, maxUnsettledMessages);
    consumer.settle(held[0] as Delivery, "ack");
    assert.equal(consumer.take().length, 1);
    driver.pass(1);
    consumer.settle(held[1] as Delivery, "nack");
    assert.equal(consumer.take().length, 1);
    driver.wait(visibilityMs);
    assert.equal(consumer.lost.length, maxUnsettledMessages);
    assert.equal(consumer.take().length, maxUnsettledMessages);
  });

  test("is at most 1 MiB, and always at least one message", () => {
    const driver = new CoreDriver();
    const quarter = maxUnsettledBytes / 4;
    for (const bytes of [2 * maxUnsettledBytes, quarter, quarter, quarter, quarter, 1, 0])
      driver.enqueue("k", { bytes });
    const consumer = driver.open({ kind: "consume" });
    const large = consumer.takeOne();
    assert.equal(consumer.take().length, 0);
    consumer.settle(large, "ack");
    const held = consumer.take();
    assert.equal(held.length, 4);
    // The next one is one byte too many until something is settled.
    consumer.settle(held[3] as Delivery, "ack");
    assert.equal(consumer.take().length, 2);
  });
});

describe("what is not yet written", () => {
  test(`is at most ${maxUnwrittenMessages} messages and 1 MiB, whatever the credit`, () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 2_500 });
    const consumer = driver.open({ credit: 10_000 });
    consumer.writes = false;
    assert.equal(consumer.take().length, maxUnwrittenMessages);
    consumer.written(10);
    assert.equal(consumer.take().length, 10);
    consumer.written(9);
    assert.equal(consumer.take().length, 0);
    consumer.written(1_010);
    assert.equal(consumer.take().length, 1_000);
    consumer.written(2_010);
    assert.equal(consumer.take().length, 490);
  });

  test("always leaves room for one message", () => {
    const driver = new CoreDriver();
    for (const bytes of [3 * maxUnwrittenBytes, maxUnwrittenBytes, 1, 1]) driver.enqueue("k", { bytes });
    const consumer = driver.open({ credit: 100 });
    consumer.writes = false;
    for (const [written, more] of [
      [0, 1],
      [1, 1],
      [2, 2],
    ] as const) {
      consumer.written(written);
      assert.equal(consumer.take().length, more);
    }
  });

  test("stays counted when the lease has ended meanwhile", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { bytes: maxUnwrittenBytes });
    driver.enqueue("k", { bytes: maxUnwrittenBytes });
    const consumer = driver.open({ credit: 3 });
    consumer.writes = false;
    assert.equal(consumer.take().length, 1);
    driver.wait(visibilityMs);
    assert.equal(consumer.take().length, 0);
    consumer.written(1);
    assert.equal(consumer.take().length, 1);
  });
});

describe("several consumers of a queue", () => {
  test("are served in turn", () => {
    const driver = new CoreDriver();
    const consumers = ["a", "b", "c"].map((worker) => driver.open({ worker, credit: 40 }));
    driver.enqueue("k", { count: 90 });
    assert.deepEqual(
      consumers.map(({ received }) => received.length),
      [30, 30, 30],
    );
  });

  test("share evenly while all of them ask, whatever the portions", () => {
    const portions = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 5, maxLength: 5 });
    fc.assert(
      fc.property(portions, fc.integer({ min: 2, max: 5 }), (credits, count) => {
        const driver = new CoreDriver();
        const consumers = Array.from({ length: count }, () => driver.open({ credit: 1 }));
        for (let round = 0; round < 30; round += 1) {
          // Each has credit whenever a message comes.
          for (const [at, consumer] of consumers.entries()) {
            const { credit } = driver.core.state.consumers.get(consumer.id)!;
            if (credit < 2) consumer.credit(credits[at]!);
            consumer.take();
          }
          driver.enqueue("k", { count });
        }
        const counts = consumers.map(({ received }) => received.length);
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join());
      }),
      { seed, numRuns: 20 },
    );
  });

  test("one that cannot take the next message does not keep the others from it", () => {
    const driver = new CoreDriver();
    const narrow = driver.open({ kind: "consume" });
    driver.enqueue("k", { bytes: maxUnsettledBytes - 10 });
    const held = narrow.takeOne();
    const wide = driver.open({ credit: 1 });
    driver.enqueue("k", { bytes: 100 });
    assert.equal(wide.takeOne().sequence, 2);
    driver.enqueue("k", { bytes: 100 });
    assert.equal(narrow.take().length, 0);
    narrow.settle(held, "ack");
    assert.equal(narrow.takeOne().sequence, 3);
  });

  test("the share of a closed one goes to the others at once", () => {
    const driver = new CoreDriver();
    const [first, second] = [driver.open({ credit: 10 }), driver.open({ credit: 10 })];
    first.close(0);
    driver.enqueue("k", { count: 4 });
    assert.deepEqual([first.received.length, second.received.length], [0, 4]);
    // Commands for a closed consumer are without effect.
    first.credit(5);
    first.written(1);
    first.close(0);
    assert.equal(driver.stats().consumers, 1);
  });
});

describe("a stream that ends", () => {
  test("gives unwritten deliveries back without an attempt, and ends an attempt of the others", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 5 });
    const consumer = driver.open({ credit: 5 });
    consumer.writes = false;
    const held = consumer.take();
    consumer.settle(held[0] as Delivery, "ack");
    // Released by name: no attempt, although it was written.
    consumer.settle(held[1] as Delivery, "release");
    const other = driver.open({ credit: 10 });
    driver.pass(1);
    other.take();
    consumer.close(3);
    assert.deepEqual(
      other.received.map(({ sequence, attempts }) => [sequence, attempts]),
      [
        [2, 0],
        [4, 0],
        [5, 0],
        [3, 1],
      ],
    );
    for (const delivery of held.slice(1)) assert.equal(consumer.settle(delivery, "ack"), "LEASE_LOST");
  });

  test("of which everything was settled leaves nothing", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    const consumer = driver.open({ credit: 3 });
    consumer.ackAll(consumer.take());
    consumer.close(3);
    assert.deepEqual([driver.stats().depth, driver.stats().consumers], [0, 0]);
  });

  test("is closed once its queue is deleted, and hears why", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    const consumer = driver.open({ credit: 2 });
    const [held] = consumer.take() as [Delivery];
    assert.equal(driver.deleteQueue("q"), undefined);
    assert.equal(consumer.ended?.reason, "QUEUE_NOT_FOUND");
    assert.equal(consumer.settle(held, "ack"), "QUEUE_NOT_FOUND");
    consumer.close(2);
    assert.equal(driver.core.state.table.size, 0);
    assert.equal(driver.core.nextDeadline, Infinity);
  });

  test("of a queue that does not exist never opens", () => {
    const driver = new CoreDriver();
    const consumer = driver.open({ queue: "nowhere" });
    assert.equal(consumer.opened, undefined);
    assert.equal(consumer.ended?.reason, "QUEUE_NOT_FOUND");
    consumer.close(0);
  });

  test("with ten thousand deliveries of one key ends without walking the lane for each", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 20_000 });
    const consumer = driver.open();
    for (let left = 10_000; left > 0; left -= 1_000) consumer.pull(1_000);
    const { table } = driver.core.state;
    let steps = 0;
    for (const name of ["next", "prev"] as const) {
      const plain = table[name].bind(table);
      table[name] = (slot) => {
        steps += 1;
        return plain(slot);
      };
    }
    driver.pass(1);
    consumer.close(10_000);
    assert.ok(steps <= 100_000, `${steps} steps along the lane for 10,000 messages`);
    for (const slot of table.slots()) assert.equal(table.attempts(slot), table.sequence(slot) <= 10_000 ? 1 : 0);
    driver.checked = true;
    driver.run();
  });
});

test("one for whom the next message was too large takes a smaller one, once that is next", () => {
  const large = 700_000;
  const ways: Readonly<Record<string, (driver: CoreDriver, id: string) => void>> = {
    "the large one is cancelled": (driver, id) => driver.run({ type: "cancel", request: 1, queue: "q", id }),
    "its key is paused": (driver) =>
      driver.run({ type: "set-key", request: 1, queue: "q", fairnessKey: "k", override: { paused: true } }),
    "another takes it": (driver) => driver.open({ credit: 1 }),
  };
  for (const [way, next] of Object.entries(ways)) {
    const driver = new CoreDriver();
    const consumer = driver.open({ kind: "consume" });
    driver.enqueue("k", { bytes: large });
    const [id] = driver.enqueue("k", { bytes: large });
    driver.enqueue("other");
    assert.equal(consumer.take().length, 1);
    // It holds the first one all the time.
    next(driver, id!);
    assert.deepEqual(
      consumer.take().map(({ fairnessKey }) => fairnessKey),
      ["other"],
      way,
    );
  }
});
