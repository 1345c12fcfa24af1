import assert from "node:assert/strict";
import { test } from "node:test";
import type { EnqueueItem, SettleAction } from "../core/commands.ts";
import type { EnqueueOutcome, SettleOutcome } from "../core/effects.ts";
import type { Failure } from "../core/errors.ts";
import { InvariantError } from "../core/errors.ts";
import { StorageError } from "../storage/port.ts";
import type { Broker, Consumer } from "./contract.ts";
import { openBroker } from "./open-broker.ts";
import { GatedStorage } from "./testing/gated-storage.ts";
import { Listener } from "./testing/listener.ts";
import { ManualClock } from "./testing/manual-clock.ts";

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface Rig {
  readonly broker: Broker;
  readonly storage: GatedStorage;
  readonly clock: ManualClock;
  readonly fatal: unknown[];
}

async function rig(storage = new GatedStorage(), more: { payloadCacheBytes?: number } = {}): Promise<Rig> {
  const clock = new ManualClock();
  const fatal: unknown[] = [];
  const broker = await openBroker({
    open: storage.open,
    log: silent,
    fatal: (error) => fatal.push(error),
    clock,
    ...more,
  });
  await broker.createQueue("q", {});
  return { broker, storage, clock, fatal };
}

function item(body: string, fairnessKey = "k"): EnqueueItem {
  return { queue: "q", fairnessKey, weight: 0, cost: 1, throttleKeys: [], body: Buffer.from(body) };
}

function enqueue(broker: Broker, ...items: EnqueueItem[]): Promise<readonly EnqueueOutcome[] | Failure> {
  return new Promise((resolve) => broker.enqueue(items, resolve));
}

function consume(
  broker: Broker,
  listener: Listener,
  credit = 100,
  session = "",
  kind: "stream" | "poll" = "stream",
): Consumer {
  const who = { connection: 1, principal: "anonymous", worker: "w" };
  return broker.openConsumer({ queue: "q", kind, session, visibilityMs: 0, credit, ...who }, listener);
}

function settle(
  broker: Broker,
  listener: Listener,
  at: number,
  action: SettleAction,
): Promise<readonly SettleOutcome[] | Failure> {
  const { id, token } = listener.deliveries[at] as Listener["deliveries"][number];
  const who = { connection: 1, principal: "anonymous" };
  return new Promise((resolve) => broker.settle("q", [{ id, token, action, error: "", extendMs: 0 }], who, resolve));
}

test("no reply and no delivery is ahead of the disk, and one commit carries a message from producer to consumer", async () => {
  const { broker, storage } = await rig();
  const listener = new Listener();
  consume(broker, listener);
  await listener.until((told) => told.isOpen);
  storage.gated = true;
  let answered = false;
  const reply = enqueue(broker, item("a")).then((outcomes) => {
    answered = true;
    return outcomes;
  });
  const commit = await storage.nextHeld();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answered, false);
  assert.equal(listener.deliveries.length, 0);
  commit.allow();
  const outcomes = await reply;
  await listener.until((told) => told.deliveries.length === 1);
  assert.ok(Array.isArray(outcomes));
  assert.equal(listener.deliveries[0]?.id, outcomes[0]);
  assert.equal(Buffer.from(listener.deliveries[0]?.body ?? []).toString(), "a");
  assert.equal(storage.held.length, 0, "the delivery needed no second commit");
});

test("one commit is outstanding; what arrives meanwhile is the next one", async () => {
  const { broker, storage } = await rig();
  storage.gated = true;
  const first = enqueue(broker, item("a"));
  const commit = await storage.nextHeld();
  const others = Array.from({ length: 50 }, (_, at) => enqueue(broker, item(`b${at}`)));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(storage.held.length, 0);
  commit.allow();
  await first;
  (await storage.nextHeld()).allow();
  await Promise.all(others);
  assert.equal(storage.held.length, 0);
});

test("a read waits for the commit before it: it may have seen undurable state", async () => {
  const { broker, storage } = await rig();
  storage.gated = true;
  const stored = enqueue(broker, item("a"));
  const commit = await storage.nextHeld();
  let depth: number | undefined;
  const read = broker.queueStats("q", 10).then((stats) => {
    depth = stats.ok ? stats.value.depth : -1;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(depth, undefined);
  commit.allow();
  await Promise.all([stored, read]);
  assert.equal(depth, 1);
});

for (const written of [false, true]) {
  test(`after a rejected commit ${written ? "that is there" : "that is not there"} the core is rebuilt from the store`, async () => {
    const { broker, storage, clock } = await rig();
    await enqueue(broker, item("kept"));
    const listener = new Listener();
    consume(broker, listener, 0);
    await listener.until((told) => told.isOpen);
    storage.gated = true;
    const doubtful = enqueue(broker, item("doubtful"));
    const commit = await storage.nextHeld();
    const gathered = enqueue(broker, item("gathered"));
    commit.reject("failed", written);
    for (const answer of await Promise.all([doubtful, gathered])) {
      assert.equal("reason" in answer && answer.reason, "STORAGE_UNAVAILABLE");
    }
    await listener.until((told) => told.failure !== undefined);
    assert.equal(listener.failure?.reason, "STORAGE_UNAVAILABLE");
    assert.equal(broker.state, "readonly");
    const refused = await enqueue(broker, item("too early"));
    assert.equal("reason" in refused && refused.reason, "STORAGE_UNAVAILABLE");
    storage.gated = false;
    while ((broker.state as string) !== "serving") {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(storage.opened, 2);
    const stats = await broker.queueStats("q", 10);
    assert.equal(stats.ok && stats.value.depth, written ? 2 : 1);
    const again = new Listener();
    consume(broker, again);
    await again.until((told) => told.deliveries.length === (written ? 2 : 1));
    assert.deepEqual(
      again.deliveries.map((delivery) => Buffer.from(delivery.body).toString()),
      written ? ["kept", "doubtful"] : ["kept"],
    );
  });
}

test("a failed fsync ends the process, and is not tried again", async () => {
  const { broker, storage, fatal } = await rig();
  storage.gated = true;
  void enqueue(broker, item("a"));
  (await storage.nextHeld()).reject("io", false);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(fatal.length, 1);
  assert.ok(fatal[0] instanceof StorageError);
  assert.equal(storage.opened, 1);
});

test("a full disk is named as such until the store is open again", async () => {
  const { broker, storage } = await rig();
  storage.gated = true;
  void enqueue(broker, item("a"));
  (await storage.nextHeld()).reject("disk_full", false);
  await new Promise((resolve) => setImmediate(resolve));
  const refused = await enqueue(broker, item("b"));
  assert.ok("reason" in refused);
  assert.equal(refused.reason, "STORAGE_FULL");
  assert.ok((refused.retryAfterMs ?? 0) > 0);
});

test("leases expire by the clock, and their holder is told", async () => {
  const { broker, clock } = await rig();
  const listener = new Listener();
  consume(broker, listener, 1);
  await enqueue(broker, item("a"));
  await listener.until((told) => told.deliveries.length === 1);
  const second = new Listener();
  consume(broker, second, 1);
  await second.until((told) => told.isOpen);
  clock.advance(29_999);
  await broker.queueStats("q", 1);
  assert.equal(second.deliveries.length, 0);
  clock.advance(1);
  await second.until((told) => told.deliveries.length === 1);
  await listener.until((told) => told.lostLeases.length === 1);
  assert.equal(second.deliveries[0]?.attempts, 1);
  const [late] = (await settle(broker, listener, 0, "ack")) as SettleOutcome[];
  assert.ok(typeof late === "object" && late.reason === "LEASE_LOST");
  assert.deepEqual(await settle(broker, second, 0, "ack"), [undefined]);
});

test("after a stall of the loop, an ack that has arrived goes before the expiry of its lease", async () => {
  const { broker, clock } = await rig();
  const listener = new Listener();
  consume(broker, listener, 1);
  await enqueue(broker, item("a"));
  await listener.until((told) => told.deliveries.length === 1);
  // The timer fires late, and the socket is read only after it.
  clock.advance(31_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await settle(broker, listener, 0, "ack"), [undefined]);
});

test("bytes that are not in the cache are read back, in order", async () => {
  const { broker } = await rig(new GatedStorage(), { payloadCacheBytes: 0 });
  const bodies = Array.from({ length: 300 }, (_, at) => `body ${at}`);
  for (let at = 0; at < 300; at += 3) await enqueue(broker, ...bodies.slice(at, at + 3).map((body) => item(body)));
  const listener = new Listener();
  const consumer = consume(broker, listener, 1_000);
  await listener.until((told) => {
    consumer.written(told.deliveries.at(-1)?.ordinal ?? 0);
    return told.deliveries.length === 300;
  });
  assert.deepEqual(
    listener.deliveries.map((delivery) => Buffer.from(delivery.body).toString()),
    bodies,
  );
});

test("a drain takes nothing new, lets held messages be settled, and ends idle streams at once", async () => {
  const { broker } = await rig();
  await enqueue(broker, item("a"), item("b"));
  const idle = new Listener();
  const busy = new Listener();
  consume(broker, busy, 1);
  await busy.until((told) => told.deliveries.length === 1);
  consume(broker, idle, 0);
  await idle.until((told) => told.isOpen);
  const stopped = broker.stop(10_000);
  await idle.until((told) => told.failure !== undefined);
  assert.equal(idle.failure?.reason, "DRAINING");
  assert.equal(busy.isDraining, true);
  const refused = await enqueue(broker, item("c"));
  assert.equal("reason" in refused && refused.reason, "DRAINING");
  assert.deepEqual(await settle(broker, busy, 0, "ack"), [undefined]);
  await stopped;
  assert.equal(busy.failure?.reason, "DRAINING");
  assert.equal(busy.deliveries.length, 1, "nothing was leased during the drain");
});

test("a drain ends at its deadline, and leases stand over the restart", async () => {
  const storage = new GatedStorage();
  const { broker, clock } = await rig(storage);
  await enqueue(broker, item("a"));
  const listener = new Listener();
  consume(broker, listener, 1, "session-1");
  await listener.until((told) => told.deliveries.length === 1);
  const stopped = broker.stop(5_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(broker.state, "draining");
  clock.advance(5_000);
  await stopped;
  assert.equal(broker.state, "stopped");
  const next = await openBroker({ open: storage.open, log: silent, fatal: () => undefined, clock });
  const back = new Listener();
  consume(next, back, 0, "session-1");
  await back.until((told) => told.isOpen);
  assert.equal(back.adopted, 1);
  assert.deepEqual(await settle(next, listener, 0, "ack"), [undefined]);
});

test("whoever asked for it is told of every change of state, until it is taken off", async () => {
  const { broker, storage, clock } = await rig();
  const told: string[] = [];
  const stopListening = broker.onStateChange((state) => {
    assert.equal(broker.state, state);
    told.push(state);
  });
  const early: string[] = [];
  broker.onStateChange((state) => early.push(state))();
  storage.gated = true;
  const doubtful = enqueue(broker, item("a"));
  (await storage.nextHeld()).reject("failed", false);
  await doubtful;
  storage.gated = false;
  while (told.length < 2) {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await broker.stop(0);
  assert.deepEqual(told, ["readonly", "serving", "draining", "stopped"]);
  assert.deepEqual(early, []);
  stopListening();
});

test("a broken invariant is fatal, and nothing of its turn is answered", async () => {
  const { broker, fatal } = await rig();
  let answered = false;
  broker.enqueue([{ ...item("a"), weight: 5_000 }], () => {
    answered = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(fatal[0] instanceof InvariantError);
  assert.equal(answered, false);
});

test("producers are refused when too much waits for the disk", async () => {
  const { broker, storage } = await rig();
  storage.gated = true;
  void enqueue(broker, item("a"));
  const commit = await storage.nextHeld();
  const large = "x".repeat(1_048_576);
  const waiting = Array.from({ length: 64 }, () => enqueue(broker, item(large)));
  const refused = await enqueue(broker, item("one more"));
  assert.equal("reason" in refused && refused.reason, "OVERLOADED");
  storage.gated = false;
  commit.allow();
  for (const outcomes of await Promise.all(waiting)) assert.ok(Array.isArray(outcomes));
});

test("a poll learns in the turn that opens it that there is nothing", async () => {
  const { broker } = await rig();
  const empty = new Listener();
  consume(broker, empty, 10, "", "poll");
  await empty.until((told) => told.isIdle);
  await enqueue(broker, item("a"));
  await empty.until((told) => told.deliveries.length === 1);
  await enqueue(broker, item("b"));
  const served = new Listener();
  consume(broker, served, 10, "", "poll");
  await served.until((told) => told.deliveries.length === 1);
  assert.equal(served.isIdle, false);
});

test("an idle broker holds no timer", async () => {
  const { broker, clock } = await rig();
  await enqueue(broker, item("a"));
  assert.equal(clock.timers, 0);
  await broker.stop(0);
});
