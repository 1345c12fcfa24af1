// "A flipped bit in the .log silently drops the rest of the block; only LevelDB's text LOG says so; a torn tail leaves no trace."
import assert from "node:assert/strict";
import { appendFile, cp, open, readFile, readdir, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Level } from "level";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import { judgeLog } from "../../server/src/storage/level/damage.ts";
import { crc32c } from "../../server/src/storage/level/log-format.ts";
import { StorageError } from "../../server/src/storage/port.ts";
import { rejection } from "../conformance/storage-suite.ts";
import { keyOf } from "./level-writer-child.ts";
import { temporaryDirectory } from "../temporary.ts";
import { present } from "./level-writer.ts";
import { Seeded } from "./seeded.ts";

const COUNT = 120;
const ALL = Array.from({ length: COUNT }, (_, index) => index + 1);

/** A closed store whose log holds numbers 1 to COUNT, over several blocks of 32 KiB. */
async function logged(): Promise<{ dataDir: string; log: string; folder: string }> {
  const folder = temporaryDirectory("damage");
  const dataDir = join(folder, "data");
  const storage = await openLevelStorage(dataDir);
  const shard = await storage.openShard(1);
  const random = new Seeded(3);
  for (const number of ALL) await shard.commit([{ put: keyOf(number), value: random.bytes(1000) }]);
  await storage.close();
  return { folder, dataDir, log: await logOf(dataDir) };
}

async function logOf(dataDir: string): Promise<string> {
  const name = (await readdir(join(dataDir, "db"))).find((file) => file.endsWith(".log"));
  return join(dataDir, "db", name ?? "no log");
}

async function flip(path: string, offset: number, bit = 0): Promise<void> {
  const file = await open(path, "r+");
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
  buffer.writeUInt8(buffer.readUInt8(0) ^ (1 << bit), 0);
  await file.write(buffer, 0, 1, offset);
  await file.close();
}

async function acceptedNumbers(dataDir: string): Promise<Set<number>> {
  await (await openLevelStorage(dataDir, { acceptDamage: true })).close();
  return present(dataDir, ALL);
}

test("crc32c", () => {
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
});

test("the trap: LevelDB opens a damaged log, and only what it lost is missing", async () => {
  const { dataDir, log } = await logged();
  await flip(log, 40_000);
  const level = new Level<Uint8Array, Uint8Array>(join(dataDir, "db"), { keyEncoding: "view", valueEncoding: "view" });
  const values = await level.getMany(ALL.map(keyOf));
  await level.close();
  assert.ok(values.some((value) => value === undefined));
  assert.ok(values.at(-1) !== undefined, "commits behind the hole are there");
});

test("a damaged log is refused, again and again, and can be accepted", async () => {
  const { dataDir, log } = await logged();
  await flip(log, 40_000);
  const original = await readFile(log);
  for (let attempt = 0; attempt < 3; attempt++) {
    const error = await rejection(openLevelStorage(dataDir), "corrupt");
    assert.match(error.message, /damaged.*acceptDamage/);
  }
  const [kept] = await readdir(join(dataDir, "recovery"));
  assert.deepEqual(await readFile(join(dataDir, "recovery", kept ?? "")), original, "the evidence is kept");
  const storage = await openLevelStorage(dataDir, { acceptDamage: true });
  const shard = await storage.openShard(1);
  const values = await shard.getMany(ALL.map(keyOf));
  assert.ok(values.some((value) => value === undefined) && values.at(-1) !== undefined);
  await shard.commit([{ put: keyOf(0), value: keyOf(0) }]);
  await storage.close();
  assert.equal((await present(dataDir, [0])).size, 1, "accepted once, it opens as any other");
  const names = await readdir(dataDir);
  assert.ok(names.some((name) => name.startsWith("damaged-")) && !names.includes("recovery"), names.join());
});

test("LevelDB's LOG alone is enough to refuse", async () => {
  const { dataDir, log } = await logged();
  // A whole fragment with a good checksum that is too small for a batch: LevelDB drops it, and says so.
  const body = Uint8Array.of(1, 9, 9, 9);
  const crc = crc32c(body);
  const header = Buffer.alloc(6);
  header.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  header.writeUInt16LE(body.length - 1, 4);
  await appendFile(log, Buffer.concat([header, body]));
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = await rejection(openLevelStorage(dataDir), "corrupt");
    assert.match(error.message, /dropping 3 bytes/);
  }
  assert.equal((await acceptedNumbers(dataDir)).size, COUNT);
  assert.equal((await present(dataDir, ALL)).size, COUNT, "accepted once, it opens as any other");
});

test("wherever a bit of the log flips: refused, or nothing is missing but the very last commit", async () => {
  const { folder, dataDir, log } = await logged();
  const { size } = await stat(log);
  const random = new Seeded(11);
  let refused = 0;
  for (let trial = 0; trial < 150; trial++) {
    const copy = join(folder, `trial-${trial}`);
    await cp(dataDir, copy, { recursive: true });
    // Every third within the last block, where LevelDB takes a wrong length for a torn end.
    const offset = trial % 3 === 0 ? random.between(size - (size % 32_768), size - 1) : random.between(0, size - 1);
    await flip(await logOf(copy), offset, random.between(0, 7));
    const found = await present(copy, ALL).catch((reason: unknown) => reason);
    if (found instanceof StorageError) {
      assert.equal(found.code, "corrupt", found.message);
      refused++;
    } else {
      const missing = ALL.filter((number) => !(found as Set<number>).has(number));
      // A wrong length in the last record of all looks exactly like a write that a crash cut short.
      assert.ok(
        missing.every((number) => number === COUNT),
        `flipped ${offset} of ${size}: ${missing.join()} lost in silence`,
      );
    }
    await rm(copy, { recursive: true });
  }
  assert.ok(refused > 100, `${refused} refused`);
});

test("a log that ends early, or in sectors that were never written, is a crash and no damage", async () => {
  const { folder, dataDir, log } = await logged();
  const { size } = await stat(log);
  const last = size - 1000;
  for (const shape of ["cut", "zeros within", "zeros at the end", "longer"]) {
    const copy = join(folder, shape);
    await cp(dataDir, copy, { recursive: true });
    const copied = await logOf(copy);
    if (shape === "cut") await truncate(copied, last);
    if (shape === "longer") await truncate(copied, size + 10_000);
    if (shape.startsWith("zeros")) {
      const file = await open(copied, "r+");
      const from = shape === "zeros within" ? Math.ceil(last / 512) * 512 : last;
      await file.write(
        Buffer.alloc(shape === "zeros within" ? Math.min(512, size - from) : size - from),
        0,
        undefined,
        from,
      );
      await file.close();
    }
    const found = await present(copy, ALL);
    assert.deepEqual([...found], shape === "longer" ? ALL : ALL.slice(0, -1), shape);
  }
});

test("an opening that ended before its verdict is judged by the next one", async () => {
  const { dataDir, log } = await logged();
  await flip(log, 40_000);
  await cp(log, join(dataDir, "recovery", "000003.log"), { recursive: true });
  // LevelDB has recovered, dropped, and deleted the log; the process was killed before it looked.
  for (let opening = 0; opening < 2; opening++) {
    const level = new Level(join(dataDir, "db"), { createIfMissing: false });
    await level.open();
    await level.close();
  }
  await rejection(openLevelStorage(dataDir), "corrupt");
});

test("judging a log", async () => {
  const { log } = await logged();
  const bytes = await readFile(log);
  assert.equal(judgeLog(bytes), "whole");
  assert.equal(judgeLog(new Uint8Array(0)), "whole");
  for (const length of [1, 6, 7, 8, 32_767, 32_768, 32_769, 40_000]) {
    assert.notEqual(judgeLog(bytes.subarray(0, length)), "damaged", `cut at ${length}`);
  }
  const flipped = Uint8Array.from(bytes);
  flipped[20] = (flipped[20] ?? 0) ^ 4;
  assert.equal(judgeLog(flipped), "damaged");
});
