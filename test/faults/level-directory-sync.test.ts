// "CURRENT is renamed without an fsync of the directory": and so is every new log created. Here a name counts as durable only
// when the directory was fsynced after it appeared.
import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryDirectory } from "../temporary.ts";

test("when a commit resolves, every name that it needs is durable", async (t) => {
  const dataDir = join(temporaryDirectory("names"), "data");
  const dbDir = join(dataDir, "db");
  const names = (): string[] =>
    fs.readdirSync(dbDir).filter((name) => name.endsWith(".log") || name === "CURRENT" || name.startsWith("MANIFEST"));

  /** Name and inode: CURRENT is a new file under an old name. LevelDB's thread deletes old logs meanwhile. */
  const identified = (): string[] =>
    names().map((name) => `${name} ${fs.statSync(join(dbDir, name), { throwIfNoEntry: false })?.ino ?? "gone"}`);
  let durable: ReadonlySet<string> = new Set();
  let syncs = 0;
  const fsync = fs.fsync;
  const spy = t.mock.method(fs, "fsync", (fd: number, callback: (error: Error | null) => void) => {
    const isDb = fs.existsSync(dbDir) && fs.fstatSync(fd).ino === fs.statSync(dbDir).ino;
    const before = isDb ? identified() : [];
    fsync(fd, (error) => {
      if (isDb) syncs++;
      if (isDb && error === null) durable = new Set(before);
      callback(error);
    });
  });
  syncBuiltinESMExports();
  t.after(() => {
    spy.mock.restore();
    syncBuiltinESMExports();
  });

  // Imported only now, so that the adapter sees the spy.
  const { openLevelStorage } = await import("../../server/src/storage/level/open.ts");
  const seen = new Set<string>();
  for (let session = 0; session < 2; session++) {
    const storage = await openLevelStorage(dataDir, { writeBufferBytes: 64 * 1024 });
    const shard = await storage.openShard(1);
    for (let number = 0; number < 100; number++) {
      await shard.commit([{ put: Uint8Array.of(session, number), value: new Uint8Array(8192) }]);
      const now = identified();
      // A background compaction may have come in between; the log of this commit and CURRENT cannot have.
      const newestLog = now
        .filter((name) => name.includes(".log"))
        .sort()
        .at(-1);
      const current = now.find((name) => name.startsWith("CURRENT"));
      assert.ok(durable.has(newestLog ?? ""), `${String(newestLog)} is not durable`);
      assert.ok(durable.has(current ?? ""), `${String(current)} is not durable`);
      seen.add(newestLog ?? "");
    }
    await storage.close();
  }
  assert.ok(seen.size > 5, `only ${seen.size} logs`);
  assert.ok(syncs > 5);
});
