// What operators see when the store gives back less, or something else, than was written.
import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordType } from "../../storage/journal/keys.ts";
import { StorageError } from "../../storage/port.ts";
import type { SearchFilter, StoredMessage } from "../operations-contract.ts";
import { BrokerRig, bodyOf, itemOf, settlement, valueOf } from "../testing/broker-rig.ts";

type Value = Uint8Array | undefined;

/** What becomes of the values of a type of record on their way from the disk. */
function damage({ storage }: BrokerRig, type: number, onRead: (value: Value) => Value | Promise<Value>): void {
  storage.onRead = (values, keys) =>
    Promise.all(values.map(async (value, at) => (keys[at]![0] === type ? onRead(value) : value)));
}

/** One dead letter and one message that waits, nothing of them in the cache. */
async function start(): Promise<BrokerRig> {
  const rig = await BrokerRig.open({ payloadCacheBytes: 0 });
  valueOf(await rig.broker.createQueue("q", {}));
  await rig.enqueue(itemOf("q", "dead"));
  const [delivery] = await rig.lease("q");
  await rig.settle("q", settlement(delivery!, "nack", { deadLetter: true, error: "why" }));
  await rig.enqueue(itemOf("q", "waits"));
  return rig;
}

async function list(rig: BrokerRig, queue: string, filter: SearchFilter = {}): Promise<readonly StoredMessage[]> {
  const query = { queue, filter, after: undefined, limit: 10, withBodies: true };
  return valueOf(await rig.broker.operations.listMessages(query)).messages;
}

const flipped = (value: Value): Value => value?.map((byte, at) => (at === value.length - 1 ? byte ^ 1 : byte));

test("a message whose bytes are damaged is shown as unreadable, without them, and a search of bodies passes it over", async () => {
  const rig = await start();
  const [whole] = await list(rig, "q");
  assert.deepEqual([whole?.body, whole?.unreadable], [Buffer.from(bodyOf("waits")), false]);
  for (const broken of [flipped, () => undefined]) {
    damage(rig, RecordType.payload, broken);
    const [message] = await list(rig, "q");
    assert.deepEqual([message?.body, message?.unreadable, message?.view.state], [undefined, true, "ready"]);
    assert.deepEqual(await list(rig, "q", { body: () => true }), []);
  }
  assert.equal(valueOf(await rig.broker.queueStats("q", 1)).depth, 1, "looking changes nothing");
});

test("a dead letter whose failure is damaged is shown without it, and no reason matches it", async () => {
  const rig = await start();
  assert.equal((await list(rig, "q.dlq", { reason: "rejected", errorContains: "hy" }))[0]?.failure?.error, "why");
  for (const broken of [flipped, () => undefined]) {
    damage(rig, RecordType.failure, broken);
    const [message] = await list(rig, "q.dlq");
    assert.deepEqual([message?.failure, message?.body], [undefined, Buffer.from(bodyOf("dead"))]);
    assert.deepEqual(await list(rig, "q.dlq", { reason: "rejected" }), []);
    assert.deepEqual(await list(rig, "q.dlq", { errorContains: "w" }), []);
  }
});

test("a message that ends while its bytes are being read is left out", async () => {
  const rig = await start();
  const { broker } = rig;
  damage(rig, RecordType.payload, async () => {
    valueOf(await broker.operations.purgeQueue("q"));
    return undefined;
  });
  assert.deepEqual(await list(rig, "q"), []);
});

test("a store that cannot be read is named as such, and the broker goes on", async () => {
  const rig = await start();
  const { operations } = rig.broker;
  rig.storage.onRead = () => Promise.reject(new StorageError("io", "the disk is gone: /secret/path"));
  const query = { queue: "q.dlq", filter: {}, after: undefined, limit: 10, withBodies: true };
  const page = await operations.listMessages(query);
  assert.ok(!page.ok);
  assert.equal(page.failure.reason, "STORAGE_UNAVAILABLE");
  assert.doesNotMatch(page.failure.message, /secret/);
  rig.storage.onRead = (values) => values;
  assert.equal((await list(rig, "q.dlq")).length, 1);
});
