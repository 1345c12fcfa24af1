import assert from "node:assert/strict";
import { test } from "node:test";
import { Core } from "../../core/core.ts";
import { Restorer } from "../../core/restore.ts";
import type { Mutation } from "../../core/mutations.ts";
import { type Op, StorageError } from "../port.ts";
import { Catalog } from "./catalog.ts";
import { formatVersion, seal } from "./envelope.ts";
import { Journal } from "./journal.ts";
import { RecordType } from "./keys.ts";
import { PayloadCache } from "./payload-cache.ts";
import { type Recovered, Recovery } from "./recovery.ts";
import { defaultQueueSettings } from "../../core/queue-settings.ts";

const now = { mono: 0, wall: 1_700_000_000_000 };

function newCore(): Core {
  return new Core(5, { words: new Uint32Array(64), left: 64 });
}

/** What a store holds after these commits, in key order. */
function written(commits: number): [Buffer, Buffer][] {
  const core = newCore();
  const catalog = new Catalog({ nextQueueNumber: 1, commit: 0, salt: 5 });
  const journal = new Journal(core.state.table, new PayloadCache(0), 0);
  const rows = new Map<string, Buffer>();
  const keep = (ops: readonly Op[]): void => {
    for (const op of ops) {
      if ("put" in op) rows.set(Buffer.from(op.put).toString("hex"), Buffer.from(op.value));
      else rows.delete(Buffer.from(op.del).toString("hex"));
    }
  };
  for (let at = 0; at < commits; at += 1) {
    core.begin(now);
    if (at === 0) core.step({ type: "create-queue", request: 1, name: "q", settings: defaultQueueSettings });
    const item = {
      queue: "q",
      fairnessKey: "k",
      weight: 3,
      cost: 1,
      throttleKeys: [],
      body: Buffer.from(`body ${at}`),
    };
    core.step({ type: "enqueue", request: 2, items: [item] });
    const mutations: readonly Mutation[] = core.finish().mutations;
    keep(catalog.encode(mutations));
    keep(journal.encode(mutations, now.wall));
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [Buffer.from(key, "hex"), value]);
}

function recover(rows: readonly [Buffer, Buffer][], core = newCore()): Recovered {
  const recovery = new Recovery(core, new Restorer(core));
  for (const [key, value] of rows) if ((key[0] as number) < RecordType.payload) recovery.add(key, value);
  return recovery.finish(now, new PayloadCache(0));
}

function corruptionOf(change: (rows: [Buffer, Buffer][]) => void): StorageError {
  const rows = written(5);
  change(rows);
  try {
    recover(rows);
  } catch (error) {
    assert.ok(error instanceof StorageError);
    return error;
  }
  return assert.fail("the store was accepted");
}

const isJournal = ([key]: [Buffer, Buffer]): boolean => key[0] === RecordType.journal;

test("a store is read back without a look at payload records", () => {
  const core = newCore();
  const { journal, damage } = recover(written(5), core);
  assert.equal(journal.commit, 5);
  assert.deepEqual(damage, []);
  const stats = core.stats("q", 10);
  assert.equal(stats?.depth, 5);
  assert.deepEqual(stats?.keys, [{ key: "k", pending: 5, deficit: 0, weight: 3 }]);
});

test("a hole in the journal is refused, and the message names the commit", () => {
  const error = corruptionOf((rows) => rows.splice(rows.findIndex(isJournal) + 2, 1));
  assert.equal(error.code, "corrupt");
  assert.match(error.message, /commit 3 is missing/);
});

test("a flipped bit in a journal record or in the catalog is refused", () => {
  for (const type of [RecordType.journal, RecordType.queue, RecordType.numbers]) {
    const error = corruptionOf((rows) => {
      const value = (rows.find(([key]) => key[0] === type) as [Buffer, Buffer])[1];
      value[value.length - 1] = (value.at(-1) as number) ^ 4;
    });
    assert.equal(error.code, "corrupt");
    assert.match(error.message, /checksum/);
  }
});

test("a record that strayed under another key is refused", () => {
  const error = corruptionOf((rows) => {
    const at = rows.findIndex(isJournal);
    (rows[at] as [Buffer, Buffer])[1] = Buffer.from((rows[at + 1] as [Buffer, Buffer])[1]);
  });
  assert.equal(error.code, "corrupt");
});

test("a damaged page is left out and named, and the rest is served", () => {
  const rows = written(5);
  const key = Buffer.from(`${Buffer.of(RecordType.page).toString("hex")}000000010000000000000001`, "hex");
  const value = seal(key, Buffer.from("00000000000102", "hex"));
  value[6] = 0xff;
  const core = newCore();
  const { damage } = recover(
    [...rows, [key, value] as [Buffer, Buffer]].sort(([a], [b]) => a.compare(b)),
    core,
  );
  assert.equal(damage.length, 1);
  assert.match(damage[0] as string, /20000000010000000000000001/);
  assert.equal(core.stats("q", 1)?.depth, 5);
});

test("a record of a newer format is refused as such, a flipped version byte as damage", async () => {
  const { crc32 } = await import("node:zlib");
  const newer = corruptionOf((rows) => {
    const [key, value] = rows.find(isJournal) as [Buffer, Buffer];
    value[0] = formatVersion + 1;
    value.writeUInt32BE(crc32(value.subarray(5), crc32(key, formatVersion + 1)), 1);
  });
  assert.equal(newer.code, "newer_format");
  const flipped = corruptionOf((rows) => {
    const [, value] = rows.find(isJournal) as [Buffer, Buffer];
    value[0] = formatVersion + 1;
  });
  assert.equal(flipped.code, "corrupt");
});
