// Leases that end while the bytes of their messages are on the way from the disk.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConsumerKind } from "../core/commands.ts";
import { BrokerRig, itemOf, textOf, valueOf } from "./testing/broker-rig.ts";
import { Listener } from "./testing/listener.ts";

/** Every payload is read from the disk, and arrives when `arrive` is called. */
async function slowRig() {
  const reading = Promise.withResolvers<undefined>();
  const disk = Promise.withResolvers<undefined>();
  const rig = await BrokerRig.open({ payloadCacheBytes: 0 });
  rig.storage.onRead = async (values) => {
    reading.resolve(undefined);
    await disk.promise;
    return values;
  };
  valueOf(await rig.broker.createQueue("q", { visibilityMs: 1_000 }));
  return { rig, reading: reading.promise, arrive: () => disk.resolve(undefined) };
}

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
    assert.deepEqual(listener.deliveries.map(textOf), ["next"]);
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
