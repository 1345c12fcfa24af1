// What operators see when the store gives back less, or something else, than was written.
import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordType } from "../../storage/journal/keys.ts";
import { type Storage, StorageError } from "../../storage/port.ts";
import type { SearchFilter, StoredMessage } from "../operations-contract.ts";
import { BrokerRig, bodyOf, itemOf, settlement, valueOf } from "../testing/broker-rig.ts";
import { GatedStorage } from "../testing/gated-storage.ts";

type Value = Uint8Array | undefined;

interface Damaged {
  readonly rig: BrokerRig;
  /** What becomes of values on their way from the disk. */
  onRead: (key: Uint8Array, value: Value) => Value | Promise<Value>;
}

/** One dead letter and one message that waits, nothing of them in the cache. */
async function start(): Promise<Damaged> {
  const storage = new GatedStorage();
  const open = async (): Promise<Storage> => {
    const inner = await storage.open();
    return {
      limits: inner.limits,
      close: () => inner.close(),
      openShard: async (id) => {
        const shard = await inner.openShard(id);
        return {
          commit: (ops) => shard.commit(ops),
          scan: (range) => shard.scan(range),
          release: () => shard.release(),
          lost: shard.lost,
          getMany: async (keys) => {
            const values = await shard.getMany(keys);
            return Promise.all(values.map(async (value, at) => made.onRead(keys[at]!, value)));
          },
        };
      },
    };
  };
  const rig = await BrokerRig.open({ storage, open, payloadCacheBytes: 0 });
  const made: Damaged = { rig, onRead: (_key, value) => value };
  valueOf(await rig.broker.createQueue("q", {}));
  await rig.enqueue(itemOf("q", "dead"));
  const [delivery] = await rig.lease("q");
  await rig.settle("q", settlement(delivery!, "nack", { deadLetter: true, error: "why" }));
  await rig.enqueue(itemOf("q", "waits"));
  return made;
}

async function list({ rig }: Damaged, queue: string, filter: SearchFilter = {}): Promise<readonly StoredMessage[]> {
  const query = { queue, filter, after: undefined, limit: 10, withBodies: true };
  return valueOf(await rig.broker.operations.listMessages(query)).messages;
}

const flipped = (value: Value): Value => value?.map((byte, at) => (at === value.length - 1 ? byte ^ 1 : byte));

test("a message whose bytes are damaged is shown as unreadable, without them, and a search of bodies passes it over", async () => {
  const damaged = await start();
  const [whole] = await list(damaged, "q");
  assert.deepEqual([whole?.body, whole?.unreadable], [Buffer.from(bodyOf("waits")), false]);
  for (const broken of [flipped, () => undefined]) {
    damaged.onRead = (key, value) => (key[0] === RecordType.payload ? broken(value) : value);
    const [message] = await list(damaged, "q");
    assert.deepEqual([message?.body, message?.unreadable, message?.view.state], [undefined, true, "ready"]);
    assert.deepEqual(await list(damaged, "q", { body: () => true }), []);
  }
  assert.equal(valueOf(await damaged.rig.broker.queueStats("q", 1)).depth, 1, "looking changes nothing");
});

test("a dead letter whose failure is damaged is shown without it, and no reason matches it", async () => {
  const damaged = await start();
  assert.equal((await list(damaged, "q.dlq", { reason: "rejected", errorContains: "hy" }))[0]?.failure?.error, "why");
  for (const broken of [flipped, () => undefined]) {
    damaged.onRead = (key, value) => (key[0] === RecordType.failure ? broken(value) : value);
    const [message] = await list(damaged, "q.dlq");
    assert.deepEqual([message?.failure, message?.body], [undefined, Buffer.from(bodyOf("dead"))]);
    assert.deepEqual(await list(damaged, "q.dlq", { reason: "rejected" }), []);
    assert.deepEqual(await list(damaged, "q.dlq", { errorContains: "w" }), []);
  }
});

test("a message that ends while its bytes are being read is left out", async () => {
  const damaged = await start();
  const { broker } = damaged.rig;
  damaged.onRead = async (key, value) => {
    if (key[0] !== RecordType.payload) return value;
    valueOf(await broker.operations.purgeQueue("q"));
    return undefined;
  };
  assert.deepEqual(await list(damaged, "q"), []);
});

test("a store that cannot be read is named as such, and the broker goes on", async () => {
  const damaged = await start();
  const { operations } = damaged.rig.broker;
  damaged.onRead = () => Promise.reject(new StorageError("io", "the disk is gone: /secret/path"));
  const query = { queue: "q.dlq", filter: {}, after: undefined, limit: 10, withBodies: true };
  const page = await operations.listMessages(query);
  assert.ok(!page.ok);
  assert.equal(page.failure.reason, "STORAGE_UNAVAILABLE");
  assert.doesNotMatch(page.failure.message, /secret/);
  damaged.onRead = (_key, value) => value;
  assert.equal((await list(damaged, "q.dlq")).length, 1);
});
