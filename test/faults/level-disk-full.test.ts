// "After a failed log append and freed space, every later put(..., { sync: true }) returns OK and is gone after restart";
// "disk full during compaction makes all later writes fail until reopened".
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Level } from "level";
import { LevelWriter, present } from "./level-writer.ts";
import { type Mode, keyOf } from "./level-writer-child.ts";

/** prlimit is Linux's; it belongs to the essential packages there. */
const skip = process.platform !== "linux";

async function setUp(t: TestContext): Promise<{ directory: string; writer: LevelWriter }> {
  const directory = await mkdtemp(join(tmpdir(), "fila-full-"));
  const writer = new LevelWriter();
  t.after(async () => {
    await writer.kill();
    await rm(directory, { recursive: true });
  });
  return { directory: join(directory, "data"), writer };
}

/** Writes, runs out of space, gets space back, writes again. Returns everything that was acknowledged. */
async function throughAFullDisk(writer: LevelWriter): Promise<{ acknowledged: number[]; afterwards: number[] }> {
  const before = await writer.write(1, 50);
  assert.equal(before.acknowledged.length, 50);
  writer.limitFiles(60_000);
  const full = await writer.write(51, 80);
  assert.ok(full.rejected.length > 0, "the disk was full");
  writer.limitFiles("unlimited");
  const after = await writer.write(81, 150);
  const acknowledged = [...before.acknowledged, ...full.acknowledged, ...after.acknowledged];
  return { acknowledged, afterwards: [...after.acknowledged] };
}

test("the trap: LevelDB acknowledges after a failed append, and loses it", { skip }, async (t) => {
  const { directory, writer } = await setUp(t);
  await mkdir(directory);
  await writer.open("raw", directory);
  const { afterwards } = await throughAFullDisk(writer);
  assert.ok(afterwards.length > 0, "LevelDB acknowledged");
  await writer.kill();
  const level = new Level<Uint8Array, Uint8Array>(directory, { keyEncoding: "view", valueEncoding: "view" });
  const values = await level.getMany(afterwards.map(keyOf));
  await level.close();
  assert.ok(
    values.some((value) => value === undefined),
    "it was there after all: then the remedy is no longer needed",
  );
});

for (const restart of ["kill -9", "reopening"]) {
  test(
    `a full disk: nothing more is acknowledged until ${restart}, and nothing acknowledged is lost`,
    { skip },
    async (t) => {
      const { directory, writer } = await setUp(t);
      await writer.open("adapter", directory);
      const { acknowledged, afterwards } = await throughAFullDisk(writer);
      assert.deepEqual(afterwards, [], "there is space again, but the store is in doubt");
      if (restart === "reopening") {
        await writer.close();
        await writer.open("adapter", directory);
        acknowledged.push(...(await writer.write(151, 200)).acknowledged);
        assert.ok(acknowledged.includes(200), "it goes on");
      }
      await writer.kill();
      assert.deepEqual([...(await present(directory, acknowledged))], acknowledged);
    },
  );
}

test("the first rejection says disk_full, the later ones failed", { skip }, async (t) => {
  const { directory, writer } = await setUp(t);
  await writer.open("adapter", directory);
  writer.limitFiles(60_000);
  const { rejected } = await writer.write(1, 80);
  assert.deepEqual([...new Set(rejected.map(({ code }) => code))], ["disk_full", "failed"]);
  assert.equal(rejected[0]?.code, "disk_full");
  assert.match(rejected[0].message, /free some/);
  assert.ok(rejected[0].message.includes(directory), "names the directory");
});

test("the disk fills during a compaction: the same path", { skip }, async (t) => {
  const { directory, writer } = await setUp(t);
  const tiny = 64 * 1024;
  await writer.open("adapter", directory, tiny);
  const acknowledged: number[] = [...(await writer.write(1, 300)).acknowledged];
  // Logs stay below it, and so do the tables of level 0; merged tables do not.
  writer.limitFiles(150_000);
  let rejected = 0;
  for (let round = 0; rejected === 0 && round < 20; round++) {
    const answer = await writer.write(1, 500); // the same keys again: their tables must be merged
    acknowledged.push(...answer.acknowledged);
    rejected = answer.rejected.length;
    if (rejected > 0) assert.equal(answer.rejected[0]?.code, "disk_full", String(answer.rejected[0]?.message));
  }
  assert.ok(rejected > 0, "a compaction failed");
  writer.limitFiles("unlimited");
  assert.deepEqual((await writer.write(30_000, 30_010)).acknowledged, []);
  await writer.close();
  await writer.open("adapter", directory, tiny);
  acknowledged.push(...(await writer.write(40_000, 40_010)).acknowledged);
  assert.ok(acknowledged.includes(40_010), "it goes on");
  await writer.kill();
  assert.deepEqual(await present(directory, acknowledged), new Set(acknowledged));
});

test("no space to open it: disk_full, and nothing is lost by trying", { skip }, async (t) => {
  const { directory, writer } = await setUp(t);
  const mode: Mode = "adapter";
  await writer.open(mode, directory);
  const { acknowledged } = await writer.write(1, 100);
  await writer.close();
  writer.limitFiles(20_000);
  const { rejected } = await writer.open(mode, directory);
  assert.equal(rejected[0]?.code, "disk_full", String(rejected[0]?.message));
  await writer.kill();
  assert.deepEqual([...(await present(directory, acknowledged))], acknowledged);
});
