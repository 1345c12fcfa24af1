// Over a restart: what was written down comes back as it was, and leases stand until someone takes them up.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Delivery } from "./effects.ts";
import { adoptionMs } from "./orphans.ts";
import { Restorer } from "./restore.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { durableFacts } from "./testing/durable-ledger.ts";
import { restarted } from "./testing/restarted.ts";
import { verify } from "./verify.ts";
import { defaultQueueSettings } from "./queue-settings.ts";

const seed = 20_250_709;
const visibilityMs = 30_000;

describe("leases over a restart", () => {
  test("stand, and start their full visibility timeout anew", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 2 });
    const poll = driver.open({ kind: "poll" });
    const [first, second] = poll.pull(2) as [Delivery, Delivery];
    driver.wait(visibilityMs - 1);
    restarted(driver);
    driver.wait(visibilityMs - 1);
    assert.equal(driver.tell(first.id, "ack", { token: first.token }), "OK");
    assert.equal(driver.stats().inFlight, 1);
    driver.wait(1);
    assert.equal(driver.stats().inFlight, 0);
    assert.equal(driver.open().pull(1)[0]?.attempts, 1);
    assert.equal(driver.tell(second.id, "ack", { token: second.token }), "LEASE_LOST");
  });

  test("of a session are taken up by its next stream", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    const before = driver.open({ session: "s" });
    const [one, two, three] = before.pull(3) as [Delivery, Delivery, Delivery];
    restarted(driver);
    assert.equal(driver.tell(one.id, "ack", { token: one.token }), "OK");
    driver.wait(adoptionMs - 1);
    const after = driver.open({ session: "s" });
    const adopted = (after.opened?.adopted ?? []).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const leaseExpiresAt = driver.wall + visibilityMs;
    assert.deepEqual(
      adopted,
      [two, three].map(({ id, token }) => ({ id, token, leaseExpiresAt })),
    );
    // They take no credit, and nothing happens to them after five seconds.
    driver.wait(visibilityMs - 1);
    assert.equal(driver.stats().inFlight, 2);
    assert.equal(after.settle(two, "ack"), "OK");
    assert.equal(driver.core.nextDeadline, driver.mono + 1);
    after.close(0);
    assert.equal(driver.open().pull(1)[0]?.attempts, 1);
  });

  test("nobody takes up after 5 s end an attempt", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 4 });
    driver.open({ session: "s" }).pull(1);
    driver.open().pull(1);
    driver.open({ kind: "consume" }).close(2);
    const consume = driver.open({ kind: "consume" });
    assert.equal(consume.take().length, 2);
    restarted(driver);
    assert.equal(driver.core.nextDeadline, driver.mono + adoptionMs);
    driver.wait(adoptionMs - 1);
    assert.equal(driver.stats().inFlight, 4);
    driver.wait(1);
    assert.equal(driver.stats().inFlight, 0);
    assert.deepEqual(
      driver
        .open()
        .pull(4)
        .map(({ attempts }) => attempts),
      [1, 1, 2, 2],
    );
    assert.equal(driver.open({ session: "s" }).opened?.adopted.length, 0);
  });

  test("are adopted by the same session of the same principal and queue only, of a StreamLease", () => {
    const driver = new CoreDriver();
    driver.createQueue("r");
    driver.enqueue("k");
    driver.open({ session: "s", principal: "p" }).pull(1);
    restarted(driver);
    const others = [
      { session: "t" },
      { session: "" },
      { session: "s", principal: "q" },
      { session: "s", queue: "r" },
      { session: "s", kind: "consume" as const },
      { session: "s", kind: "poll" as const },
    ];
    for (const options of others) assert.equal(driver.open(options).opened?.adopted.length, 0, JSON.stringify(options));
    assert.equal(driver.open({ session: "s" }).opened?.adopted.length, 1);
    assert.equal(driver.open({ session: "s" }).opened?.adopted.length, 0);
  });

  test("go with their message as without one", () => {
    const driver = new CoreDriver({ slicePerTurn: 3, dropsPerTurn: 3 });
    driver.createQueue("r");
    driver.enqueue("k", { count: 10, queue: "r" });
    driver.enqueue("k", { count: 4 });
    driver.open({ queue: "r", session: "s" }).pull(10);
    const held = driver.open({ session: "s" }).pull(4);
    restarted(driver);
    driver.run({ type: "quarantine", queueNumber: 1, sequence: 1 });
    assert.equal(driver.tell(held[1]!.id, "nack", { token: held[1]!.token }), "OK");
    assert.equal(driver.tell(held[2]!.id, "release", { token: held[2]!.token }), "OK");
    driver.deleteQueue("r");
    driver.wait(adoptionMs);
    driver.deleteQueue("q.dlq");
    assert.equal(driver.core.nextDeadline, Infinity);
    assert.equal(driver.core.state.table.size, 3);
  });

  test("a token-less ack settles what was leased over Consume before", () => {
    const driver = new CoreDriver();
    driver.enqueue("k");
    const { id } = driver.open({ kind: "consume" }).takeOne();
    restarted(driver);
    assert.equal(driver.tell(id, "ack", { connection: 77, principal: "other" }), "MESSAGE_NOT_FOUND");
    assert.equal(driver.tell(id, "ack", { connection: 77 }), "OK");
  });
});

describe("everything else over a restart", () => {
  test("an ack whose answer was lost in the crash is OK again", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 2 });
    const [one, two] = driver.open().pull(2) as [Delivery, Delivery];
    // What the restorer learns from events, not from their sum.
    const core = driver.newCore();
    const restorer = new Restorer(core);
    restorer.queue(1, "q", defaultQueueSettings, 2, 0);
    restorer.queue(2, "q.dlq", defaultQueueSettings, 0, 1);
    for (const mutation of driver.mutations) {
      if (mutation.type === "enqueued") {
        const { sequence, enqueuedAt, readyAt, cost, body, lane } = mutation;
        const place = { record: 0, offset: 0, page: 0, length: body.byteLength };
        restorer.message(lane, { queueNumber: 1, sequence, enqueuedAt, readyAt, attempts: 0, cost, ...place });
      } else if (mutation.type === "leased") restorer.leased(restorer.find(1, mutation.sequence)!, mutation);
    }
    restorer.removed(restorer.find(1, 1)!, true);
    restorer.finish(driver);
    verify(core);
    driver.restartOn(core);
    assert.equal(driver.tell(one.id, "ack", { token: one.token }), "OK");
    assert.equal(driver.tell(two.id, "ack", { token: one.token }), "LEASE_LOST");
    assert.equal(driver.tell(two.id, "ack", { token: two.token }), "OK");
  });

  test("neither numbers of queues nor sequences are given again", () => {
    const driver = new CoreDriver();
    const [id] = driver.enqueue("k") as [string];
    const consumer = driver.open();
    consumer.ackAll(consumer.pull(1));
    driver.createQueue("gone");
    driver.deleteQueue("gone");
    restarted(driver, 0);
    assert.notEqual(driver.enqueue("k")[0], id);
    driver.createQueue("gone");
    assert.equal(driver.core.state.queuesByName.get("gone")?.number, 5);
  });

  test("weights come back with their keys", () => {
    const driver = new CoreDriver();
    driver.enqueue("a", { count: 20, weight: 3 });
    driver.enqueue("b", { count: 20 });
    restarted(driver);
    const keys = driver
      .open()
      .pull(8)
      .map(({ fairnessKey }) => fairnessKey);
    assert.equal(keys.sort().join(""), "aaaaaabb");
  });

  test("a wall clock that went back while the broker was down changes no order", () => {
    const driver = new CoreDriver();
    driver.enqueue("k", { count: 3 });
    restarted(driver, -3_600_000);
    driver.enqueue("k");
    const sequences = driver
      .open()
      .pull(4)
      .map(({ sequence }) => sequence);
    assert.deepEqual(sequences, [1, 2, 3, 4]);
  });

  test("the rebuilt state equals the live one at every commit", () => {
    const step = fc.record({
      what: fc.constantFrom(
        "enqueue",
        "pull",
        "ack",
        "nack",
        "release",
        "wait",
        "close",
        "recreate",
        "quarantine",
        "restart",
      ),
      key: fc.constantFrom("a", "b", "c"),
      throttle: fc.subarray(["x", "y"]),
      number: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: "max" }), (steps) => {
        const driver = new CoreDriver({ leasesPerTurn: 3, slicePerTurn: 3, dropsPerTurn: 3 });
        let consumer = driver.open({ session: "s" });
        let held: Delivery[] = [];
        for (const { what, key, throttle, number } of steps) {
          if (what === "enqueue") driver.enqueue(key, { count: number, weight: number, throttleKeys: throttle });
          else if (what === "pull") held.push(...consumer.pull(number));
          else if (what === "wait") driver.wait(number * 8_000);
          else if (what === "close") consumer.close(number);
          else if (what === "quarantine") driver.run({ type: "quarantine", queueNumber: 1, sequence: number });
          else if (what === "recreate") {
            driver.deleteQueue("q");
            driver.createQueue("q");
          } else if (what === "restart") restarted(driver);
          else for (const delivery of held.splice(0, number)) consumer.settle(delivery, what);
          if (what === "close" || what === "recreate" || what === "restart") {
            consumer = driver.open({ session: "s" });
            held = [];
          }
          assert.deepEqual(durableFacts(driver.core), driver.durable.facts(driver.wall));
        }
      }),
      { seed, numRuns: 80 },
    );
  });
});
