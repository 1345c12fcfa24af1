import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConsumerKind } from "../core/commands.ts";
import { StorageError } from "../storage/port.ts";
import type { Broker, Consumer } from "./contract.ts";
import { BrokerRig, itemOf, settlement, textOf, valueOf } from "./testing/broker-rig.ts";
import type { GatedStorage } from "./testing/gated-storage.ts";
import { Listener } from "./testing/listener.ts";

type Read = GatedStorage["onRead"];

/** Each message has a payload record of its own, and nothing stays in the cache. */
async function openRig(checkpointJournalBytes = 1 << 24): Promise<BrokerRig> {
  const rig = await BrokerRig.open({ payloadCacheBytes: 0, checkpointJournalBytes });
  valueOf(await rig.broker.createQueue("q", { visibilityMs: 1_000 }));
  return rig;
}

async function enqueue(rig: BrokerRig, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    const [outcome] = await rig.enqueue(itemOf("q", text));
    assert.equal(typeof outcome, "string");
  }
}

function consume(broker: Broker, listener: Listener, kind: ConsumerKind, credit: number): Consumer {
  const who = { connection: 1, principal: "anonymous", worker: "w", session: "" };
  return broker.openConsumer({ queue: "q", kind, visibilityMs: 0, credit, ...who }, listener);
}

/** Flips a bit in every record that holds this text. */
function damage(text: string): Read {
  return (values) =>
    values.map((value) => {
      if (value === undefined || !Buffer.from(value).includes(text)) return value;
      const damaged = Buffer.from(value);
      damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
      return damaged;
    });
}

for (const kind of ["stream", "consume", "poll"] as const) {
  test(`damaged bytes do not use up the credit of a ${kind}, and those behind them come`, async () => {
    const rig = await openRig();
    await enqueue(rig, "bad", "good");
    rig.storage.onRead = damage("bad");
    const listener = new Listener();
    consume(rig.broker, listener, kind, 1);
    await listener.until((told) => told.deliveries.length === 1);
    assert.deepEqual(listener.deliveries.map(textOf), ["good"]);
  });
}

test("stopped is told behind deliveries whose bytes are still being read", async () => {
  const rig = await openRig();
  const { broker } = rig;
  await enqueue(rig, "slow");
  const slow = Promise.withResolvers<undefined>();
  const started = Promise.withResolvers<undefined>();
  rig.storage.onRead = async (values) => {
    started.resolve(undefined);
    await slow.promise;
    return values;
  };
  const listener = new Listener();
  const consumer = consume(broker, listener, "stream", 2);
  await started.promise;
  consumer.stop();
  // Answered in a later turn than the one that stops.
  await broker.queueStats("q", 1);
  assert.equal(listener.isStopped, false);
  slow.resolve(undefined);
  await listener.until((told) => told.isStopped);
  assert.deepEqual(listener.deliveries.map(textOf), ["slow"]);
});

test("messages that end while they are being read leave their consumer able to take more", async () => {
  const rig = await openRig();
  const { broker, clock } = rig;
  await enqueue(rig, ...Array.from({ length: 128 }, (_, at) => `old ${at}`));
  let letGo = (): void => undefined;
  const slow = new Promise<void>((resolve) => (letGo = resolve));
  const started = new Promise<void>((resolve) => {
    rig.storage.onRead = async (values) => {
      rig.storage.onRead = (again) => again;
      resolve();
      await slow;
      return values.map(() => undefined);
    };
  });
  const late = new Listener();
  consume(broker, late, "stream", 128);
  await started;
  clock.advance(1_001);
  const quick = new Listener();
  const taker = consume(broker, quick, "stream", 128);
  await quick.until((told) => told.deliveries.length === 128);
  taker.written(128);
  await rig.settle("q", ...quick.deliveries.map((delivery) => settlement(delivery, "ack")));
  letGo();
  await enqueue(rig, "new");
  await late.until((told) => told.deliveries.length > 0);
  assert.deepEqual(late.deliveries.map(textOf), ["new"]);
});

test("when a stream's bytes cannot be read, what was written to it before ends an attempt", async () => {
  const rig = await openRig();
  const { broker } = rig;
  await enqueue(rig, "held", "unread");
  const listener = new Listener();
  const consumer = consume(broker, listener, "stream", 1);
  await listener.until((told) => told.deliveries.length === 1);
  consumer.written(1);
  rig.storage.onRead = () => Promise.reject(new StorageError("unwritable", "no"));
  consumer.credit(1);
  await listener.until((told) => told.failure !== undefined);
  rig.storage.onRead = (values) => values;
  const next = new Listener();
  consume(broker, next, "stream", 2);
  await next.until((told) => told.deliveries.length === 2);
  const attempts = next.deliveries.map(({ body, attempts }) => `${textOf({ body })} ${attempts}`);
  assert.deepEqual(attempts.sort(), ["held 1", "unread 0"]);
});

test("a value that the store itself finds damaged costs its own messages only", async () => {
  const rig = await openRig();
  await enqueue(rig, "bad", "good", "better");
  rig.storage.onRead = (values) => {
    const isBad = values.some((value) => value !== undefined && Buffer.from(value).includes("bad"));
    return isBad ? Promise.reject(new StorageError("corrupt", "a damaged block")) : values;
  };
  const listener = new Listener();
  consume(rig.broker, listener, "stream", 2);
  await listener.until((told) => told.deliveries.length === 2);
  assert.deepEqual(listener.deliveries.map(textOf), ["good", "better"]);
});

test("a read and a commit that fail together reopen the store once", async () => {
  // A checkpoint begins with the first message, and reads its bytes to move them.
  const rig = await openRig(25);
  const { broker, clock, storage } = rig;
  let refuse = (): void => undefined;
  const reading = new Promise<void>((started) => {
    rig.storage.onRead = () => {
      started();
      return new Promise((_, reject) => (refuse = () => reject(new StorageError("unwritable", "no"))));
    };
  });
  await enqueue(rig, "a");
  await reading;
  storage.gated = true;
  const doubtful = assert.rejects(rig.enqueue(itemOf("q", "b")));
  const commit = await storage.nextHeld();
  refuse();
  await doubtful;
  commit.reject("failed", false);
  storage.gated = false;
  rig.storage.onRead = (values) => values;
  for (let times = 0; times < 200; times += 1) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(broker.state, "serving");
  assert.equal(storage.opened, 2);
  await broker.stop(0);
  assert.equal(clock.timers, 0);
});
