// For each thing that can hold a message: the state, explain names it first, and without it the message is delivered.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Explanation } from "./explain.ts";
import type { ConsumerDriver } from "./testing/consumer-driver.ts";
import { CoreDriver } from "./testing/core-driver.ts";

interface Held {
  readonly driver: CoreDriver;
  readonly id: string;
  /** A worker that would take it. */
  readonly worker?: ConsumerDriver | undefined;
  /** Takes away what holds it, and only that. */
  readonly remove: () => void;
  readonly says: Explanation;
}

function asking(driver: CoreDriver, id: string, queue = "q"): Explanation {
  const reply = driver.ask((request) => ({ type: "explain", request, queue, id }));
  return reply.type === "explained" ? reply.explanation : assert.fail(reply.type);
}

function update(driver: CoreDriver, settings: object): void {
  driver.ask((request) => ({ type: "update-queue", request, name: "q", settings }));
}

function setKey(driver: CoreDriver, paused: boolean): void {
  driver.ask((request) => ({ type: "set-key", request, queue: "q", fairnessKey: "k", override: { paused } }));
}

/** A message that a worker has, who has credit for one more. */
function leased(): { driver: CoreDriver; id: string; worker: ConsumerDriver } {
  const driver = new CoreDriver();
  const worker = driver.open({ worker: "anna", credit: 2 });
  const [id] = driver.enqueue("k");
  return { driver, id: id!, worker };
}

const causes: Readonly<Record<Exclude<Explanation["why"], "unknown" | "unreadable" | "not-its-turn">, () => Held>> = {
  leased: () => {
    const { driver, id, worker } = leased();
    const until = driver.wall + 30_000;
    return {
      driver,
      id,
      worker,
      remove: () => worker.settle(worker.takeOne(), "release"),
      says: { why: "leased", worker: "anna", until, attempt: 0 },
    };
  },
  deciding: () => {
    const { driver, id, worker } = leased();
    update(driver, { onFailureScript: "asked" });
    worker.nack(worker.takeOne());
    const { queueNumber, sequence, attempt } = driver.questions[0]!;
    const decision = { type: "retry", delayMs: 0 } as const;
    const remove = (): void => driver.run({ type: "decided", queueNumber, sequence, attempt, decision });
    return { driver, id, worker, remove, says: { why: "deciding", attempt: 1 } };
  },
  delayed: () => {
    const driver = new CoreDriver();
    const worker = driver.open({ credit: 1 });
    const [id] = driver.enqueue("k", { delayMs: 700 });
    const until = driver.wall + 700;
    return { driver, id: id!, worker, remove: () => driver.wait(700), says: { why: "delayed", until } };
  },
  "queue-paused": () => {
    const driver = new CoreDriver();
    update(driver, { paused: true });
    const worker = driver.open({ credit: 1 });
    const [id] = driver.enqueue("k");
    const remove = (): void => update(driver, { paused: false });
    return { driver, id: id!, worker, remove, says: { why: "queue-paused" } };
  },
  "key-paused": () => {
    const driver = new CoreDriver();
    setKey(driver, true);
    const worker = driver.open({ credit: 1 });
    const [id] = driver.enqueue("k");
    return {
      driver,
      id: id!,
      worker,
      remove: () => setKey(driver, false),
      says: { why: "key-paused", fairnessKey: "k" },
    };
  },
  throttled: () => {
    const driver = new CoreDriver();
    driver.ask((request) => ({ type: "set-config", request, key: "throttle.t", value: "2,1" }));
    const worker = driver.open({ credit: 5 });
    const [, id] = driver.enqueue("k", { count: 2, throttleKeys: ["t", "none"] });
    driver.wait(100);
    const numbers = { tokens: 0.2, rate: 2, burst: 1, place: 1 };
    const says = { why: "throttled", throttleKey: "t", ...numbers, nextAt: driver.wall + 400 } as const;
    return { driver, id: id!, worker, remove: () => driver.wait(400.02), says };
  },
  "concurrency-full": () => {
    const { driver, id, worker } = leased();
    update(driver, { maxInFlightPerKey: 1 });
    const [next] = driver.enqueue("k");
    const remove = (): unknown => driver.tell(id, "ack", { token: worker.takeOne().token });
    const says = { why: "concurrency-full", cap: 1, fairnessKey: "k", workers: ["anna"] } as const;
    return { driver, id: next!, worker, remove, says };
  },
  "no-consumer": () => {
    const driver = new CoreDriver();
    const [id] = driver.enqueue("k");
    return { driver, id: id!, remove: () => driver.open({ credit: 1 }), says: { why: "no-consumer" } };
  },
  "no-credit": () => {
    const driver = new CoreDriver();
    const worker = driver.open();
    const [id] = driver.enqueue("k");
    const says = { why: "no-credit", consumers: 1, because: { credit: 1 } } as const;
    return { driver, id: id!, worker, remove: () => worker.credit(1), says };
  },
  "dead-lettered": () => {
    const { driver, id, worker } = leased();
    const delivery = worker.takeOne();
    worker.nack(delivery, { deadLetter: true });
    const remove = (): void =>
      driver.run({ type: "redrive", request: driver.nextNumber(), queue: "q.dlq", messages: [delivery] });
    return { driver, id, worker, remove, says: { why: "dead-lettered", queue: "q.dlq" } };
  },
};

describe("explain names what holds a message, and without it the message comes", () => {
  for (const [why, make] of Object.entries(causes)) {
    test(why, () => {
      const { driver, id, remove, says } = make();
      assert.deepEqual(asking(driver, id), says);
      const before = driver.mutations.length;
      remove();
      const granted = driver.mutations.slice(before).filter(({ type }) => type === "leased");
      assert.equal(granted.length, 1);
      assert.equal(asking(driver, id).why, "leased");
    });
  }

  test("not-its-turn: in the turn in which somebody comes, behind those that go first", () => {
    const driver = new CoreDriver();
    driver.enqueue("other", { count: 2 });
    const ids = driver.enqueue("k", { count: 3 });
    const worker = driver.open();
    const reply = driver.ask((request) => ({ type: "explain", request, queue: "q", id: ids[2]! }), {
      type: "credit",
      consumer: worker.id,
      messages: 5,
    });
    const turns = { messagesAhead: 2, keysAhead: 1, deliveriesAhead: 4, atLeast: false };
    assert.deepEqual(reply, {
      type: "explained",
      request: reply.request,
      explanation: { why: "not-its-turn", ...turns },
    });
    assert.deepEqual(
      worker.take().map(({ fairnessKey }) => fairnessKey),
      ["other", "k", "other", "k", "k"],
    );
  });

  test("several things: the first one, in a fixed order", () => {
    const driver = new CoreDriver();
    update(driver, { paused: true });
    setKey(driver, true);
    const [id] = driver.enqueue("k", { delayMs: 10 });
    const order: string[] = [];
    const next = (): void => void order.push(asking(driver, id!).why);
    next();
    driver.wait(10);
    next();
    update(driver, { paused: false });
    next();
    setKey(driver, false);
    next();
    const worker = driver.open();
    next();
    worker.credit(1);
    next();
    worker.settle(worker.takeOne(), "ack");
    next();
    const due = ["delayed", "queue-paused", "key-paused", "no-consumer", "no-credit", "leased", "unknown"];
    assert.deepEqual(order, due);
  });

  test("unknown: settled, cancelled, purged, of another queue, or a dead letter whose queue was deleted", () => {
    const driver = new CoreDriver({ dropsPerTurn: 1 });
    driver.createQueue("other");
    const [cancelled, purged, dead, more] = driver.enqueue("k", { count: 4 });
    driver.ask((request) => ({ type: "cancel", request, queue: "q", id: cancelled! }));
    assert.deepEqual(asking(driver, cancelled!), { why: "unknown" });
    assert.deepEqual(asking(driver, purged!, "other"), { why: "unknown" });
    const worker = driver.open();
    const deliveries = worker.pull(3);
    for (const delivery of deliveries.slice(1)) worker.nack(delivery, { deadLetter: true });
    worker.settle(deliveries[0]!, "release");
    assert.equal(asking(driver, dead!).why, "dead-lettered");
    // Its messages go in slices; they are gone at once nevertheless.
    driver.turn([{ type: "delete-queue", request: driver.nextNumber(), name: "q.dlq" }]);
    assert.deepEqual(asking(driver, more!), { why: "unknown" });
    driver.ask((request) => ({ type: "purge", request, queue: "q" }));
    assert.deepEqual(asking(driver, purged!), { why: "unknown" });
  });
});
