import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConsumerKind, EnqueueItem } from "../core/commands.ts";
import type { EnqueueOutcome } from "../core/effects.ts";
import { RecordType } from "../storage/journal/keys.ts";
import { type Storage, StorageError } from "../storage/port.ts";
import type { Broker, Consumer } from "./contract.ts";
import { openBroker } from "./open-broker.ts";
import { GatedStorage } from "./testing/gated-storage.ts";
import { Listener } from "./testing/listener.ts";
import { ManualClock } from "./testing/manual-clock.ts";

type Read = (values: readonly (Uint8Array | undefined)[]) => Promise<(Uint8Array | undefined)[]>;

interface Rig {
  readonly broker: Broker;
  readonly clock: ManualClock;
  readonly storage: GatedStorage;
  /** What becomes of payload records on their way from the disk. */
  onRead: Read;
}

/** Each message has a payload record of its own, and nothing stays in the cache. */
async function rig(checkpointJournalBytes = 1 << 24): Promise<Rig> {
  const storage = new GatedStorage();
  const clock = new ManualClock();
  const onRead: Read = (values) => Promise.resolve([...values]);
  const open = async (): Promise<Storage> => {
    const inner = await storage.open();
    return {
      limits: inner.limits,
      close: () => inner.close(),
      openShard: async (id) => {
        const shard = await inner.openShard(id);
        return Object.assign(Object.create(shard) as typeof shard, {
          commit: shard.commit.bind(shard),
          scan: shard.scan.bind(shard),
          release: shard.release.bind(shard),
          getMany: async (keys: readonly Uint8Array[]) => {
            assert.ok(keys.every((key) => key[0] === RecordType.payload));
            return made.onRead(await shard.getMany(keys));
          },
        });
      },
    };
  };
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const broker = await openBroker({
    open,
    log,
    fatal: (error) => assert.fail(String(error)),
    clock,
    payloadCacheBytes: 0,
    checkpointJournalBytes,
  });
  const made: Rig = { broker, clock, storage, onRead };
  await broker.createQueue("q", { visibilityMs: 1_000 });
  return made;
}

function messageOf(body: string): EnqueueItem {
  return { queue: "q", fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: Buffer.from(body) };
}

async function enqueue(broker: Broker, ...bodies: string[]): Promise<void> {
  for (const body of bodies) {
    const outcomes = await new Promise<unknown>((resolve) => broker.enqueue([messageOf(body)], resolve));
    assert.equal(typeof (outcomes as EnqueueOutcome[])[0], "string");
  }
}

function consume(broker: Broker, listener: Listener, kind: ConsumerKind, credit: number): Consumer {
  const who = { connection: 1, principal: "p", worker: "w", session: "" };
  return broker.openConsumer({ queue: "q", kind, visibilityMs: 0, credit, ...who }, listener);
}

function bodies(listener: Listener): string[] {
  return listener.deliveries.map(({ body }) => Buffer.from(body).toString());
}

/** Flips a bit in every record that holds this text. */
function damage(text: string): Read {
  return (values) =>
    Promise.resolve(
      values.map((value) => {
        if (value === undefined || !Buffer.from(value).includes(text)) return value;
        const damaged = Buffer.from(value);
        damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
        return damaged;
      }),
    );
}

for (const kind of ["stream", "consume", "poll"] as const) {
  test(`damaged bytes do not use up the credit of a ${kind}, and those behind them come`, async () => {
    const made = await rig();
    await enqueue(made.broker, "bad", "good");
    made.onRead = damage("bad");
    const listener = new Listener();
    consume(made.broker, listener, kind, 1);
    await listener.until((told) => told.deliveries.length === 1);
    assert.deepEqual(bodies(listener), ["good"]);
  });
}

test("stopped is told behind deliveries whose bytes are still being read", async () => {
  const made = await rig();
  const { broker } = made;
  await enqueue(broker, "slow");
  const slow = Promise.withResolvers<undefined>();
  const started = Promise.withResolvers<undefined>();
  made.onRead = async (values) => {
    started.resolve(undefined);
    await slow.promise;
    return [...values];
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
  assert.deepEqual(bodies(listener), ["slow"]);
});

test("messages that end while they are being read leave their consumer able to take more", async () => {
  const made = await rig();
  const { broker, clock } = made;
  await enqueue(broker, ...Array.from({ length: 128 }, (_, at) => `old ${at}`));
  let letGo = (): void => undefined;
  const slow = new Promise<void>((resolve) => (letGo = resolve));
  const started = new Promise<void>((resolve) => {
    made.onRead = async (values) => {
      made.onRead = (again) => Promise.resolve([...again]);
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
  const who = { connection: 1, principal: "p" };
  const items = quick.deliveries.map(({ id, token }) => ({
    id,
    token,
    action: "ack" as const,
    error: "",
    extendMs: 0,
  }));
  await new Promise((resolve) => broker.settle("q", items, who, resolve));
  letGo();
  await enqueue(broker, "new");
  await late.until((told) => told.deliveries.length > 0);
  assert.deepEqual(bodies(late), ["new"]);
});

test("when a stream's bytes cannot be read, what was written to it before ends an attempt", async () => {
  const made = await rig();
  const { broker } = made;
  await enqueue(broker, "held", "unread");
  const listener = new Listener();
  const consumer = consume(broker, listener, "stream", 1);
  await listener.until((told) => told.deliveries.length === 1);
  consumer.written(1);
  made.onRead = () => Promise.reject(new StorageError("unwritable", "no"));
  consumer.credit(1);
  await listener.until((told) => told.failure !== undefined);
  made.onRead = (values) => Promise.resolve([...values]);
  const next = new Listener();
  consume(broker, next, "stream", 2);
  await next.until((told) => told.deliveries.length === 2);
  const attempts = next.deliveries.map(({ body, attempts }) => `${Buffer.from(body).toString()} ${attempts}`);
  assert.deepEqual(attempts.sort(), ["held 1", "unread 0"]);
});

test("a value that the store itself finds damaged costs its own messages only", async () => {
  const made = await rig();
  await enqueue(made.broker, "bad", "good", "better");
  made.onRead = (values) => {
    const isBad = values.some((value) => value !== undefined && Buffer.from(value).includes("bad"));
    return isBad ? Promise.reject(new StorageError("corrupt", "a damaged block")) : Promise.resolve([...values]);
  };
  const listener = new Listener();
  consume(made.broker, listener, "stream", 2);
  await listener.until((told) => told.deliveries.length === 2);
  assert.deepEqual(bodies(listener), ["good", "better"]);
});

test("a read and a commit that fail together reopen the store once", async () => {
  // A checkpoint begins with the first message, and reads its bytes to move them.
  const made = await rig(25);
  const { broker, clock, storage } = made;
  let refuse = (): void => undefined;
  const reading = new Promise<void>((started) => {
    made.onRead = () => {
      started();
      return new Promise((_, reject) => (refuse = () => reject(new StorageError("unwritable", "no"))));
    };
  });
  await enqueue(broker, "a");
  await reading;
  storage.gated = true;
  const doubtful = new Promise<unknown>((resolve) => broker.enqueue([messageOf("b")], resolve));
  const commit = await storage.nextHeld();
  refuse();
  await doubtful;
  commit.reject("failed", false);
  storage.gated = false;
  made.onRead = (values) => Promise.resolve([...values]);
  for (let times = 0; times < 200; times += 1) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(broker.state, "serving");
  assert.equal(storage.opened, 2);
  await broker.stop(0);
  assert.equal(clock.timers, 0);
});
