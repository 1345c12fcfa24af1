// What every storage adapter must do, whatever it stores in. An adapter's test file calls storageSuite with a way to open it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { failingStorage } from "./failing-storage.ts";
import {
  type Op,
  type ScanEntry,
  type ScanRange,
  type Shard,
  type Storage,
  StorageError,
} from "../../server/src/storage/port.ts";

export interface Adapter {
  readonly name: string;
  /** A new, empty place. */
  create(): Promise<Place>;
}

/** Something that outlives a Storage: a directory, a memory disk, a database. */
export interface Place {
  open(): Promise<Storage>;
  /** Removes it. The suite has closed all that it opened. */
  remove(): Promise<void>;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const put = (key: string, value: string): Op => ({ put: text(key), value: text(value) });
const del = (key: string): Op => ({ del: text(key) });
const EVERYTHING: ScanRange = { gte: bytes(), lt: new Uint8Array(300).fill(255) };

/** Asserts that a promise rejects with this code, and returns the error. */
export async function rejection(promise: Promise<unknown>, code: StorageError["code"]): Promise<StorageError> {
  const error = await promise.then(
    () => assert.fail(`expected a rejection with ${code}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof StorageError, `not a StorageError: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

async function collect(shard: Shard, range: ScanRange = EVERYTHING): Promise<ScanEntry[]> {
  const found: ScanEntry[] = [];
  for await (const chunk of shard.scan(range)) {
    assert.ok(chunk.length > 0, "chunks are never empty");
    found.push(...chunk);
  }
  return found;
}

/** Entries as [hex, hex], for comparing. */
export async function contents(shard: Shard, range: ScanRange = EVERYTHING): Promise<[string, string][]> {
  const entries = await collect(shard, range);
  return entries.map(({ key, value }) => [Buffer.from(key).toString("hex"), Buffer.from(value).toString("hex")]);
}

async function one(shard: Shard, key: string): Promise<string | undefined> {
  const [value] = await shard.getMany([text(key)]);
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

/** Runs the body with a place, and afterwards closes what it opened and removes the place. */
async function withPlace(adapter: Adapter, body: (open: () => Promise<Storage>) => Promise<void>): Promise<void> {
  const place = await adapter.create();
  const opened: Storage[] = [];
  try {
    await body(async () => {
      const storage = await place.open();
      opened.push(storage);
      return storage;
    });
  } finally {
    for (const storage of opened) await storage.close();
    await place.remove();
  }
}

async function withShard(adapter: Adapter, body: (shard: Shard, storage: Storage) => Promise<void>): Promise<void> {
  await withPlace(adapter, async (open) => {
    const storage = await open();
    await body(await storage.openShard(1), storage);
  });
}

export function storageSuite(adapter: Adapter): void {
  describe(`storage conformance: ${adapter.name}`, () => {
    describe("reading and writing", () => readingAndWriting(adapter));
    describe("scan", () => scanning(adapter));
    describe("durability", () => durability(adapter));
    describe("ownership", () => ownership(adapter));
    describe("failure", () => failure(adapter));
    test("behaves like a sorted map", () => likeAModel(adapter));
  });
}

function readingAndWriting(adapter: Adapter): void {
  test("getMany answers in the order of its keys, undefined where there is nothing", () =>
    withShard(adapter, async (shard) => {
      await shard.commit([put("a", "1"), put("b", "2")]);
      const values = await shard.getMany([text("b"), text("zz"), text("a"), text("b")]);
      assert.deepEqual(
        values.map((value) => value && new TextDecoder().decode(value)),
        ["2", undefined, "1", "2"],
      );
      assert.deepEqual(await shard.getMany([]), []);
    }));

  test("a commit without operations resolves", () => withShard(adapter, (shard) => shard.commit([])));

  test("a single put, a single delete", () =>
    withShard(adapter, async (shard) => {
      await shard.commit([put("a", "1")]);
      await shard.commit([put("a", "2")]);
      assert.equal(await one(shard, "a"), "2");
      await shard.commit([del("a")]);
      assert.equal(await one(shard, "a"), undefined);
      await shard.commit([del("a")]);
    }));

  for (const padding of [0, 200]) {
    test(`within one commit later operations win (${padding} others)`, () =>
      withShard(adapter, async (shard) => {
        const others = Array.from({ length: padding }, (_, index) => put(`other ${index}`, "x"));
        await shard.commit([put("a", "1"), put("b", "1"), ...others, del("a"), put("a", "2"), del("b")]);
        assert.equal(await one(shard, "a"), "2");
        assert.equal(await one(shard, "b"), undefined);
        assert.equal((await collect(shard)).length, padding + 1);
      }));
  }

  test("binary, long and prefix keys; empty and large values", () =>
    withShard(adapter, async (shard) => {
      const keys = [
        bytes(0),
        bytes(0, 0),
        bytes(0, 255),
        bytes(127),
        bytes(128),
        bytes(255),
        bytes(255, 0),
        bytes(255, 255),
      ];
      const long = new Uint8Array(64 * 1024).fill(254);
      const large = Uint8Array.from({ length: 3 * 1024 * 1024 }, (_, index) => index % 251);
      await shard.commit(keys.map((key) => ({ put: key, value: key })));
      await shard.commit([{ put: long, value: large }]);
      await shard.commit([{ put: bytes(1), value: bytes() }]);
      const values = await shard.getMany([...keys, long, bytes(1)]);
      const expected = [...keys, large, bytes()];
      values.forEach((value, index) => assert.equal(Buffer.compare(value ?? bytes(9), expected[index] ?? bytes()), 0));
    }));

  test("commits of one shard take effect in the order of the calls", () =>
    withShard(adapter, async (shard) => {
      const commits = Array.from({ length: 50 }, (_, index) => shard.commit([put("last", String(index))]));
      await Promise.all(commits);
      assert.equal(await one(shard, "last"), "49");
    }));

  test("a commit of maxCommitBytes is taken, a larger one refused without harm", () =>
    withShard(adapter, async (shard, storage) => {
      const { maxCommitBytes } = storage.limits;
      const value = new Uint8Array(1024 * 1024).fill(7);
      const ops: Op[] = [];
      let left = maxCommitBytes;
      for (let index = 0; left > 0; index++) {
        const key = text(`large ${String(index).padStart(6, "0")}`);
        const size = Math.min(value.length, left - key.length);
        ops.push({ put: key, value: value.subarray(0, size) });
        left -= key.length + size;
      }
      await shard.commit(ops);
      assert.equal((await collect(shard, { ...EVERYTHING, keysOnly: true })).length, ops.length);
      await rejection(shard.commit([...ops, put("one more", "")]), "too_large");
      assert.equal(await one(shard, "one more"), undefined);
      assert.equal(shard.lost.aborted, false);
      await shard.commit([put("after", "1")]);
    }));
}

function scanning(adapter: Adapter): void {
  test("bounds: gte is in, lt is out, in the order of unsigned bytes", () =>
    withShard(adapter, async (shard) => {
      const keys = [bytes(1), bytes(255), bytes(1, 0), bytes(0, 9), bytes(128), bytes(1, 255), bytes(2)];
      await shard.commit(keys.map((key) => ({ put: key, value: key })));
      const found = await contents(shard, { gte: bytes(1), lt: bytes(128) });
      assert.deepEqual(
        found.map(([key]) => key),
        ["01", "0100", "01ff", "02"],
      );
      assert.deepEqual(await contents(shard, { gte: bytes(3), lt: bytes(4) }), []);
      assert.deepEqual(await contents(shard, { gte: bytes(9), lt: bytes(2) }), []);
    }));

  test("keysOnly leaves the values out", () =>
    withShard(adapter, async (shard) => {
      await shard.commit([put("a", "1"), put("b", "2")]);
      const found = await collect(shard, { ...EVERYTHING, keysOnly: true });
      assert.deepEqual(
        found.map(({ key, value }) => [new TextDecoder().decode(key), value.length]),
        [
          ["a", 0],
          ["b", 0],
        ],
      );
    }));

  test("comes in chunks, and does not see commits made meanwhile", () =>
    withShard(adapter, async (shard) => {
      const key = (index: number): string => `key ${String(index).padStart(5, "0")}`;
      await shard.commit(Array.from({ length: 3000 }, (_, index) => put(key(index), "old")));
      let chunks = 0;
      const seen: string[] = [];
      for await (const chunk of shard.scan(EVERYTHING)) {
        if (chunks++ === 0) {
          await shard.commit([...Array.from({ length: 2990 }, (_, index) => put(key(index), "new")), del(key(2999))]);
          await shard.commit([put("key 00500 and a half", "new")]);
        }
        seen.push(...chunk.map(({ value }) => new TextDecoder().decode(value)));
      }
      assert.ok(chunks > 1, "more than one chunk");
      assert.equal(seen.length, 3000);
      assert.ok(seen.every((value) => value === "old"));
      assert.equal((await collect(shard)).length, 3000);
    }));

  test("can be left early", () =>
    withShard(adapter, async (shard, storage) => {
      await shard.commit(Array.from({ length: 2000 }, (_, index) => put(`key ${index}`, "x")));
      for await (const chunk of shard.scan(EVERYTHING)) if (chunk.length > 0) break;
      await storage.close();
    }));
}

function durability(adapter: Adapter): void {
  test("reopening keeps everything", () =>
    withPlace(adapter, async (open) => {
      const storage = await open();
      const shard = await storage.openShard(1);
      await shard.commit([put("a", "1"), put("b", "2")]);
      await shard.commit([put("b", "3"), del("a")]);
      const before = await contents(shard);
      await storage.close();
      const again = await (await open()).openShard(1);
      assert.deepEqual(await contents(again), before);
      assert.equal(await one(again, "b"), "3");
    }));

  test("close waits for the commits under way", () =>
    withPlace(adapter, async (open) => {
      const storage = await open();
      const shard = await storage.openShard(1);
      const commits = Array.from({ length: 20 }, (_, index) => shard.commit([put(`key ${index}`, "x")]));
      await storage.close();
      await Promise.all(commits);
      assert.equal((await contents(await (await open()).openShard(1))).length, 20);
    }));

  test("many sessions, one history", () =>
    withPlace(adapter, async (open) => {
      for (let session = 0; session < 5; session++) {
        const storage = await open();
        const shard = await storage.openShard(1);
        assert.equal((await contents(shard)).length, session);
        await shard.commit([put(`session ${session}`, "x")]);
        await storage.close();
      }
    }));
}

function ownership(adapter: Adapter): void {
  test("a shard has one owner, and a released one can be taken again", () =>
    withShard(adapter, async (shard, storage) => {
      await rejection(storage.openShard(1), "in_use");
      await shard.commit([put("a", "1")]);
      const system = await storage.openShard(0);
      await system.commit([put("system", "1")]);
      await shard.release();
      await shard.release();
      await rejection(shard.commit([put("a", "2")]), "closed");
      await rejection(shard.getMany([text("a")]), "closed");
      await rejection(collect(shard), "closed");
      assert.equal(shard.lost.aborted, false);
      const next = await storage.openShard(1);
      assert.equal(await one(next, "a"), "1");
      await next.commit([put("a", "3")]);
    }));

  test("a place has one owner, and a closed one can be opened again", () =>
    withPlace(adapter, async (open) => {
      const first = await open();
      const shard = await first.openShard(1);
      await rejection(open(), "in_use");
      await shard.commit([put("a", "1")]);
      await first.close();
      await first.close();
      await rejection(shard.commit([put("a", "2")]), "closed");
      await rejection(first.openShard(0), "closed");
      assert.equal(shard.lost.aborted, false);
      assert.equal(await one(await (await open()).openShard(1), "a"), "1");
    }));
}

/** Failures are injected above the adapter; those of a real disk are in test/faults/. */
function failure(adapter: Adapter): void {
  for (const fate of ["rejected, absent", "rejected, present"] as const) {
    test(`after a commit that is ${fate}, nothing is taken until reopened; then it is there wholly or not at all`, () =>
      withPlace(adapter, async (open) => {
        const inner = await open();
        const storage = failingStorage(inner, (commit) => (commit === 2 ? fate : "done"));
        const [system, shard] = [await storage.openShard(0), await storage.openShard(1)];
        await shard.commit([put("a", "1"), put("b", "1")]);
        const error = await rejection(shard.commit([put("a", "2"), del("b"), put("c", "2")]), "io");
        assert.equal(shard.lost.reason, error);
        assert.equal(system.lost.aborted, true, "the other shard writes to the same store");
        const refused = await rejection(shard.commit([put("d", "3")]), "failed");
        assert.equal(refused.cause, error);
        await rejection(system.commit([put("e", "3")]), "failed");
        await rejection(storage.openShard(2), "failed");
        await storage.close();
        const again = await (await open()).openShard(1);
        const found = (await collect(again)).map(({ key, value }) => [
          Buffer.from(key).toString(),
          Buffer.from(value).toString(),
        ]);
        const without = [
          ["a", "1"],
          ["b", "1"],
        ];
        assert.deepEqual(
          found,
          fate === "rejected, absent"
            ? without
            : [
                ["a", "2"],
                ["c", "2"],
              ],
        );
        await again.commit([put("d", "4")]);
        assert.equal(again.lost.aborted, false);
      }));
  }
}

/** Few and close keys, so that operations meet. */
const keys = fc
  .uint8Array({ minLength: 1, maxLength: 3 })
  .map((key) => key.map((byte) => [0, 1, 127, 128, 255][byte % 5] ?? 0));
const ops = fc.array(
  fc.oneof(fc.record({ put: keys, value: fc.uint8Array({ maxLength: 40 }) }), fc.record({ del: keys })),
  { maxLength: 30 },
);

async function likeAModel(adapter: Adapter): Promise<void> {
  const steps = fc.array(
    fc.oneof({ weight: 8, arbitrary: ops }, { weight: 1, arbitrary: fc.constant("reopen" as const) }),
    { maxLength: 25 },
  );
  const history = fc.asyncProperty(steps, keys, keys, (history, gte, lt) =>
    withPlace(adapter, async (open) => {
      const model = new Map<string, string>();
      let storage = await open();
      let shard = await storage.openShard(1);
      for (const step of history) {
        if (step === "reopen") {
          await storage.close();
          storage = await open();
          shard = await storage.openShard(1);
        } else {
          await shard.commit(step);
          applyToModel(model, step);
        }
      }
      const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(await contents(shard), sorted);
      const [from, to] = [Buffer.from(gte).toString("hex"), Buffer.from(lt).toString("hex")];
      assert.deepEqual(
        await contents(shard, { gte, lt }),
        sorted.filter(([key]) => key >= from && key < to),
      );
    }),
  );
  await fc.assert(history, { numRuns: 40 });
}

/** Keys and values in hex, which sorts as the bytes do. */
export function applyToModel(model: Map<string, string>, step: readonly Op[]): void {
  for (const op of step) {
    if ("put" in op) model.set(Buffer.from(op.put).toString("hex"), Buffer.from(op.value).toString("hex"));
    else model.delete(Buffer.from(op.del).toString("hex"));
  }
}
