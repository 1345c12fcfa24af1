// Leases that end while the bytes of their messages are on the way from the disk.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConsumerKind } from "../core/commands.ts";
import type { Storage } from "../storage/port.ts";
import { BrokerRig, itemOf, valueOf } from "./testing/broker-rig.ts";
import { GatedStorage } from "./testing/gated-storage.ts";
import { Listener } from "./testing/listener.ts";

/** Every payload is read from the disk, and arrives when `arrive` is called. */
async function slowRig() {
  const storage = new GatedStorage();
  const reading = Promise.withResolvers<undefined>();
  const disk = Promise.withResolvers<undefined>();
  const open = async (): Promise<Storage> => {
    const inner = await storage.open();
    return {
      limits: inner.limits,
      close: () => inner.close(),
      openShard: async (id) => {
        const shard = await inner.openShard(id);
        return Object.assign(Object.create(shard) as typeof shard, {
          getMany: async (keys: readonly Uint8Array[]) => {
            reading.resolve(undefined);
            await disk.promise;
            return shard.getMany(keys);
          },
        });
      },
    };
  };
  const rig = await BrokerRig.open({ storage, open, payloadCacheBytes: 0 });
  valueOf(await rig.broker.createQueue("q", { visibilityMs: 1_000 }));
  return { rig, reading: reading.promise, arrive: () => disk.resolve(undefined) };
}

const texts = (listener: Listener): string[] =>
  listener.deliveries.map(({ body }) => Buffer.from(body.subarray(2)).toString());

for (const kind of ["stream", "consume", "poll"] as const satisfies readonly ConsumerKind[]) {
  test(`a ${kind} never gets a message that was cancelled before its bytes came, and gets the next one for it`, async () => {
    const { rig, reading, arrive } = await slowRig();
    const { broker } = rig;
    const [cancelled] = await rig.enqueue(itemOf("q", "cancelled"));
    const listener = new Listener();
    const who = { connection: 1, principal: "p", worker: "w", session: "", visibilityMs: 0 };
    broker.openConsumer({ queue: "q", kind, credit: 1, ...who }, listener);
    await reading;
    valueOf(await broker.operations.cancelMessage("q", cancelled as string));
    await rig.enqueue(itemOf("q", "next"));
    arrive();
    await listener.until(({ deliveries }) => deliveries.length > 0);
    assert.deepEqual(texts(listener), ["next"]);
    assert.deepEqual(listener.lostLeases, [], "what it never had it has not lost");
  });
}

test("a lease that expired before the bytes came is not delivered; the message is, with its next lease", async () => {
  const { rig, reading, arrive } = await slowRig();
  const { broker, clock } = rig;
  await rig.enqueue(itemOf("q", "slow"));
  const listener = new Listener();
  const who = { connection: 1, principal: "p", worker: "w", session: "", visibilityMs: 0 };
  broker.openConsumer({ queue: "q", kind: "stream", credit: 1, ...who }, listener);
  await reading;
  clock.advance(1_000);
  while (valueOf(await broker.queueStats("q", 1)).inFlight > 0);
  arrive();
  await listener.until(({ deliveries }) => deliveries.length > 0);
  assert.deepEqual(
    listener.deliveries.map(({ attempts }) => attempts),
    [1],
  );
  assert.deepEqual(listener.lostLeases, []);
});
