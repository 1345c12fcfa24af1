// Leases: who may settle what, and how a lease ends.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Delivery } from "./effects.ts";
import { DeadlineHeap, Lease } from "./lease.ts";
import { CoreDriver } from "./testing/core-driver.ts";

const seed = 20_250_707;
const visibilityMs = 30_000;

/** A message whose lease was lost to another worker: the old delivery, the new one, and both workers. */
function overtaken() {
  const driver = new CoreDriver();
  const [id] = driver.enqueue("k") as [string];
  const old = driver.open({ worker: "old" });
  const [before] = old.pull(1) as [Delivery];
  const young = driver.open({ worker: "young", credit: 1 });
  driver.wait(visibilityMs);
  const after = young.takeOne();
  return { driver, id, old, before, young, after };
}

describe("fencing", () => {
  test("a worker that lost its lease gets LEASE_LOST, and the new holder is untouched", () => {
    for (const action of ["ack", "nack", "extend", "release"] as const) {
      const { driver, id, old, before, young, after } = overtaken();
      assert.equal(before.id, after.id);
      assert.notDeepEqual(before.token, after.token);
      assert.deepEqual(old.lost, [{ id, token: before.token }]);
      assert.equal(old.settle(before, action), "LEASE_LOST");
      assert.equal(driver.stats().inFlight, 1);
      driver.wait(visibilityMs - 1);
      assert.equal(young.settle(after, "ack"), "OK");
      assert.equal(driver.stats().depth, 0);
      // Also when the message is gone.
      assert.equal(old.settle(before, action), "LEASE_LOST");
    }
  });

  test("a second settlement with the same token is OK, for its own action and message only", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 4 });
    const consumer = driver.open();
    const [one, two, three, four] = consumer.pull(4) as [Delivery, Delivery, Delivery, Delivery];
    for (const [delivery, action] of [
      [one, "ack"],
      [two, "nack"],
      [three, "release"],
    ] as const) {
      assert.equal(consumer.settle(delivery, action), "OK");
      const { depth, inFlight } = driver.stats();
      assert.equal(consumer.settle(delivery, action), "OK");
      assert.deepEqual([driver.stats().depth, driver.stats().inFlight], [depth, inFlight]);
      for (const other of ["ack", "nack", "release", "extend"] as const) {
        if (other !== action) assert.equal(consumer.settle(delivery, other), "LEASE_LOST");
      }
    }
    // The token of a settled lease proves nothing about another message.
    assert.equal(driver.tell(four.id, "ack", { token: one.token }), "LEASE_LOST");
    assert.equal(driver.tell(two.id, "ack", { token: one.token }), "LEASE_LOST");
    assert.equal(consumer.settle(four, "ack"), "OK");
  });

  test("the second settlement does not touch the message's next lease", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const consumer = driver.open({ credit: 2 });
    const [first] = consumer.take() as [Delivery];
    assert.equal(consumer.settle(first, "nack"), "OK");
    const second = consumer.takeOne();
    assert.equal(consumer.settle(first, "nack"), "OK");
    assert.equal(second.attempts, 1);
    assert.equal(driver.stats().inFlight, 1);
    assert.equal(consumer.settle(second, "ack"), "OK");
  });

  test("each half of the token and the principal are compared", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const consumer = driver.open();
    const [{ id, token }] = consumer.pull(1) as [Delivery];
    const { high, low } = token;
    for (const wrong of [
      { high: high ^ 1, low },
      { high, low: low ^ 1 },
      { high: low, low: high },
    ]) {
      assert.equal(driver.tell(id, "ack", { token: wrong }), "LEASE_LOST");
    }
    assert.equal(driver.tell(id, "ack", { token, principal: "other" }), "LEASE_LOST");
    assert.equal(driver.tell(id, "ack", { token }), "OK");
  });

  test("what no message of this queue could be called is NOT_FOUND", () => {
    const driver = new CoreDriver();
    driver.createQueue("other");
    driver.enqueue("k", { queue: "other" });
    const [{ id, token }] = driver.open({ queue: "other" }).pull(1) as [Delivery];
    driver.enqueue("k");
    assert.equal(driver.tell(id, "ack", { token }), "MESSAGE_NOT_FOUND");
    assert.equal(driver.tell("not an id", "ack", { token }), "MESSAGE_NOT_FOUND");
    assert.equal(driver.tell(id, "ack", { token, queue: "nowhere" }), "QUEUE_NOT_FOUND");
    // The salt says that another store gave it, the sequence that it was never given.
    const foreign = `${id.slice(0, -1)}${id.endsWith("0") ? "1" : "0"}`;
    assert.equal(driver.tell(foreign, "ack", { token, queue: "other" }), "MESSAGE_NOT_FOUND");
    const future = `${id.slice(0, 28)}00ffff${id.slice(34)}`;
    assert.equal(driver.tell(future, "ack", { token, queue: "other" }), "MESSAGE_NOT_FOUND");
    const wrongTime = `00000000${id.slice(8)}`;
    assert.equal(driver.tell(wrongTime, "ack", { token, queue: "other" }), "LEASE_LOST");
    assert.equal(driver.tell(id, "ack", { token, queue: "other" }), "OK");
  });

  test("one outcome per item, in order, each on its own", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 5 });
    const consumer = driver.open();
    const held = consumer.pull(5);
    const bad = { high: 1, low: 1 };
    const actions = ["release", "release", "ack", "release", "nack"] as const;
    const items = held.map(({ id, token }, at) => ({
      id,
      token: at === 1 ? bad : token,
      action: actions[at]!,
      error: "",
      extendMs: 0,
    }));
    const outcomes = driver.settleAll(items).map((each) => (typeof each === "object" ? each.reason : each));
    assert.deepEqual(outcomes, [undefined, "LEASE_LOST", undefined, undefined, undefined]);
    assert.deepEqual(
      consumer.pull(5).map(({ sequence }) => sequence),
      [1, 4, 5],
    );
  });
});

describe("the form without token", () => {
  test("settles what was leased over Consume to the same principal", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    const consumer = driver.open({ kind: "consume" });
    const [one, two, three] = consumer.take() as [Delivery, Delivery, Delivery];
    assert.equal(consumer.settleBare(one.id, "ack"), "OK");
    assert.equal(consumer.settleBare(two.id, "nack"), "OK");
    assert.equal(consumer.takeOne().id, two.id);
    assert.equal(driver.tell(three.id, "ack", { principal: "other" }), "MESSAGE_NOT_FOUND");
    // Another connection of the same principal that never held it.
    assert.equal(driver.tell(three.id, "ack", { connection: 999 }), "OK");
    assert.equal(consumer.settleBare(three.id, "ack"), "MESSAGE_NOT_FOUND");
  });

  test("does not extend or release, and does not settle leases of other kinds", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    const stream = driver.open();
    const [one] = stream.pull(1) as [Delivery];
    assert.equal(stream.settleBare(one.id, "ack"), "TOKEN_REQUIRED");
    const poll = driver.open({ kind: "poll", credit: 1 });
    assert.equal(poll.settleBare(poll.takeOne().id, "ack"), "TOKEN_REQUIRED");
    const consume = driver.open({ kind: "consume" });
    const three = consume.takeOne();
    assert.equal(consume.settleBare(three.id, "extend"), "TOKEN_REQUIRED");
    assert.equal(consume.settleBare(three.id, "release"), "TOKEN_REQUIRED");
    assert.equal(consume.settle(three, "ack"), "OK");
  });

  test("is NOT_FOUND for a connection that lost its lease of the message and is not the holder now", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const old = driver.open({ kind: "consume" });
    const { id } = old.takeOne();
    driver.enqueue("k");
    const held = old.takeOne();
    old.close(2);
    const young = driver.open({ kind: "consume" });
    assert.equal(young.take().length, 2);
    for (const action of ["ack", "nack"] as const) {
      assert.equal(old.settleBare(id, action), "MESSAGE_NOT_FOUND");
    }
    assert.equal(driver.stats().inFlight, 2);
    // The connection's next stream holds it: then it is the holder again.
    young.close(2);
    const again = driver.open({ kind: "consume", connection: old.connection });
    assert.equal(again.take().length, 2);
    assert.equal(again.settleBare(id, "ack"), "OK");
    // What is remembered of a connection goes with it, in whatever order its streams and itself are reported.
    driver.run({ type: "disconnect", connection: again.connection });
    again.close(2);
    const last = driver.open({ kind: "consume" });
    assert.equal(last.takeOne().id, held.id);
    assert.equal(driver.tell(held.id, "ack", { connection: again.connection }), "OK");
    for (const each of [old, young, last]) driver.run({ type: "disconnect", connection: each.connection });
    last.close(1);
    assert.equal(driver.core.formerHolders.size, 0);
  });

  test("remembers no more than the latest 10,000 losses of a connection", () => {
    const driver = new CoreDriver();
    const { formerHolders } = driver.core;
    for (let sequence = 1; sequence <= 10_001; sequence += 1) formerHolders.add(5, 1, sequence);
    assert.deepEqual(
      [1, 2, 10_001].map((sequence) => formerHolders.has(5, 1, sequence)),
      [false, true, true],
    );
  });
});

describe("expiry", () => {
  test("ends the lease at its deadline, not before, and counts an attempt", () => {
    const driver = new CoreDriver();
    driver.createQueue("short", { visibilityMs: 1_000 });
    driver.enqueue("k", { queue: "short" });
    const consumer = driver.open({ queue: "short" });
    const [delivery] = consumer.pull(1) as [Delivery];
    assert.equal(delivery.leaseExpiresAt, driver.wall + 1_000);
    assert.equal(driver.core.nextDeadline, driver.mono + 1_000);
    driver.wait(999);
    assert.equal(consumer.lost.length, 0);
    driver.wait(1);
    assert.deepEqual(consumer.lost, [{ id: delivery.id, token: delivery.token }]);
    const [again] = consumer.pull(1) as [Delivery];
    assert.deepEqual([again.id, again.attempts], [delivery.id, 1]);
    assert.equal(driver.core.nextDeadline, driver.mono + 1_000);
    consumer.settle(again, "ack");
    assert.equal(driver.core.nextDeadline, Infinity);
  });

  test("follows the monotonic clock, whatever the wall clock does", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const consumer = driver.open();
    const [delivery] = consumer.pull(1) as [Delivery];
    driver.wall += 86_400_000;
    driver.run();
    driver.wall -= 2 * 86_400_000;
    driver.run();
    assert.equal(consumer.settle(delivery, "ack"), "OK");
  });

  test("comes after the input that had arrived, however late the turn is", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const consumer = driver.open();
    const [delivery] = consumer.pull(1) as [Delivery];
    driver.pass(10 * visibilityMs);
    assert.equal(consumer.settle(delivery, "ack"), "OK");
    assert.equal(driver.stats().depth, 0);
  });

  test("waits while the shell still reads what had arrived", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const consumer = driver.open();
    const [delivery] = consumer.pull(1) as [Delivery];
    driver.pass(visibilityMs);
    driver.core.begin(driver);
    assert.equal(driver.core.finish(false).mutations.length, 0);
    assert.equal(consumer.settle(delivery, "ack"), "OK");
  });

  test("an extension counts from now, may be shorter, and 0 means the lease's own duration", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const consumer = driver.open({ visibilityMs: 10_000 });
    const [delivery] = consumer.pull(1) as [Delivery];
    driver.wait(9_999);
    assert.equal(consumer.settle(delivery, "extend"), driver.wall + 10_000);
    driver.wait(9_999);
    assert.equal(consumer.settle(delivery, "extend", 60_000), driver.wall + 60_000);
    driver.wait(59_999);
    assert.equal(consumer.settle(delivery, "extend", 5), driver.wall + 5);
    driver.wait(4);
    assert.equal(driver.stats().inFlight, 1);
    driver.wait(1);
    assert.equal(driver.stats().inFlight, 0);
    assert.equal(consumer.settle(delivery, "extend"), "LEASE_LOST");
  });

  test("of many leases goes in slices, each on its turn", () => {
    const driver = new CoreDriver({ slicePerTurn: 7 });
    driver.enqueue("k", { count: 20 });
    driver.open().pull(20);
    driver.pass(visibilityMs);
    const left: number[] = [];
    for (let more = true; more; left.push(driver.core.state.leases.size)) ({ more } = driver.turn());
    assert.deepEqual(left, [13, 6, 0]);
  });

  test("of thousands of leases of one key at one time does not walk the lane for each", () => {
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
    driver.wait(visibilityMs);
    assert.equal(consumer.lost.length, 10_000);
    assert.ok(steps <= 100_000, `${steps} steps along the lane for 10,000 messages`);
  });

  test("the heap of deadlines gives them in order, whatever is moved and removed", () => {
    const step = fc.tuple(fc.constantFrom("add", "move", "remove", "pop"), fc.nat(1_000), fc.nat(20));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
        const heap = new DeadlineHeap();
        const model: Lease[] = [];
        const holder = { kind: "stream", principal: "", worker: "", session: "" } as const;
        for (const [what, which, deadline] of steps) {
          const lease = model[which % Math.max(1, model.length)];
          if (what === "add" || lease === undefined) {
            const fresh = new Lease(model.length, { high: 0, low: 0 }, 1, holder, 0, deadline);
            model.push(fresh);
            heap.add(fresh);
          } else if (what === "move") heap.move(lease, deadline);
          else {
            const gone = what === "pop" ? (heap.first as Lease) : lease;
            model.splice(model.indexOf(gone), 1);
            heap.remove(gone);
            assert.equal(gone.heapIndex, -1);
          }
          assert.equal(heap.size, model.length);
          // Of one deadline, the one that was granted first.
          const [least] = model.toSorted((a, b) => a.deadline - b.deadline || a.serial - b.serial);
          assert.equal(heap.first, least);
          for (const [at, each] of [...heap.all()].entries()) assert.equal(each.heapIndex, at);
        }
      }),
      { seed, numRuns: 60 },
    );
  });
});
