// What openLevelStorage makes of a directory: new, whole, incomplete, somebody else's, in use, unwritable.
import assert from "node:assert/strict";
import { chmod, chown, mkdir, readFile, readdir, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { Level } from "level";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import { rejection } from "../conformance/storage-suite.ts";
import { temporaryDirectory } from "../temporary.ts";
import { LevelWriter, present } from "./level-writer.ts";
import { keyOf } from "./level-writer-child.ts";

/** The user without rights of level-open-child.ts. */
const NOBODY = 65534;

function temporary(): string {
  return join(temporaryDirectory("directory"), "data");
}

/** A store that has acknowledged numbers 1 to `count`, closed. */
async function store(dataDir: string, count = 10): Promise<void> {
  const storage = await openLevelStorage(dataDir);
  const shard = await storage.openShard(1);
  for (let number = 1; number <= count; number++) await shard.commit([{ put: keyOf(number), value: keyOf(number) }]);
  await storage.close();
}

async function named(dataDir: string, suffix: string): Promise<string> {
  const found = (await readdir(join(dataDir, "db"))).find((name) => name.endsWith(suffix));
  assert.ok(found !== undefined, `no file ${suffix}`);
  return join(dataDir, "db", found);
}

async function opens(dataDir: string): Promise<void> {
  await (await openLevelStorage(dataDir)).close();
}

describe("a new store", () => {
  test("is made where nothing is, for its user alone, with a marker that names it", async () => {
    const dataDir = join(temporary(), "deeper");
    await store(dataDir);
    assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
    const marker = JSON.parse(await readFile(join(dataDir, "FILA"), "utf8")) as { format: number; id: string };
    assert.equal(marker.format, 1);
    assert.match(marker.id, /^[0-9a-f-]{36}$/);
    assert.deepEqual((await readdir(dataDir)).sort(), ["FILA", "db"]);
    assert.equal((await present(dataDir, [1, 10])).size, 2);
    assert.equal(await readFile(join(dataDir, "FILA"), "utf8"), `${JSON.stringify(marker)}\n`, "the id stays");
  });

  test("is made in an empty directory, whatever its mode was", async () => {
    const dataDir = temporary();
    await mkdir(dataDir, { mode: 0o755 });
    await opens(dataDir);
    assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
  });

  test("is not made where somebody else's files are", async () => {
    const dataDir = temporary();
    await mkdir(dataDir);
    await writeFile(join(dataDir, "holiday.jpg"), "x");
    const error = await rejection(openLevelStorage(dataDir), "not_a_store");
    assert.match(error.message, /holiday\.jpg/);
    assert.deepEqual(await readdir(dataDir), ["holiday.jpg"]);
  });

  test("is not made where a file is", async () => {
    const dataDir = temporary();
    await writeFile(dataDir, "x");
    await rejection(openLevelStorage(dataDir), "not_a_store");
    await rejection(openLevelStorage(join(dataDir, "below")), "not_a_store");
  });

  for (const left of ["an empty db", "no CURRENT", "an empty MANIFEST", "a temporary marker"]) {
    test(`is made over the remains of a first start that got no further than ${left}`, async () => {
      const dataDir = temporary();
      await mkdir(join(dataDir, "db"), { recursive: true });
      if (left !== "an empty db") {
        const level = new Level(join(dataDir, "db"));
        await level.open();
        await level.close();
      }
      if (left === "no CURRENT") await rm(join(dataDir, "db", "CURRENT"));
      if (left === "an empty MANIFEST") {
        const current = await readFile(join(dataDir, "db", "CURRENT"), "utf8");
        await truncate(join(dataDir, "db", current.trim()), 0);
      }
      if (left === "a temporary marker") await writeFile(join(dataDir, "FILA.tmp"), "{");
      await store(dataDir);
      assert.equal((await present(dataDir, [1, 10])).size, 2);
    });
  }
});

describe("a store with something missing is refused, not taken for an empty one", () => {
  test("the traps: LevelDB opens without CURRENT, and without its log, as empty", async () => {
    for (const missing of ["CURRENT", ".log"]) {
      const dataDir = join(temporary(), missing);
      await store(dataDir);
      if (missing === "CURRENT") await opens(dataDir); // moves the log's contents into a table
      await rm(await named(dataDir, missing));
      const level = new Level<Uint8Array, Uint8Array>(join(dataDir, "db"), {
        keyEncoding: "view",
        valueEncoding: "view",
      });
      assert.deepEqual(await level.keys().all(), []);
      await level.close();
    }
  });

  for (const missing of ["CURRENT", ".log", "MANIFEST", "everything"]) {
    test(missing, async () => {
      const dataDir = temporary();
      await store(dataDir);
      const manifest = (await readFile(join(dataDir, "db", "CURRENT"), "utf8")).trim();
      if (missing === "everything") await rm(join(dataDir, "db"), { recursive: true });
      else await rm(await named(dataDir, missing === "MANIFEST" ? manifest : missing));
      for (let attempt = 0; attempt < 2; attempt++) {
        const error = await rejection(openLevelStorage(dataDir), "corrupt");
        assert.ok(error.message.includes(dataDir) && /restore/.test(error.message), error.message);
      }
    });
  }

  test("a table", async () => {
    const dataDir = temporary();
    await store(dataDir);
    await opens(dataDir); // moves the log's contents into a table
    await rm(await named(dataDir, ".ldb"));
    await rejection(openLevelStorage(dataDir), "corrupt");
  });

  for (const within of ["a log", "a table"]) {
    test(`the marker, with data in ${within}`, async () => {
      const dataDir = temporary();
      await store(dataDir);
      if (within === "a table") await opens(dataDir);
      const marker = await readFile(join(dataDir, "FILA"));
      await rm(join(dataDir, "FILA"));
      const error = await rejection(openLevelStorage(dataDir), "corrupt");
      assert.match(error.message, /FILA is missing/);
      await writeFile(join(dataDir, "FILA"), marker);
      assert.equal((await present(dataDir, [1, 10])).size, 2, "nothing was harmed");
    });
  }
});

describe("the marker", () => {
  test("of a newer format is refused, and nothing is touched", async () => {
    const dataDir = temporary();
    await store(dataDir);
    const before = await readdir(join(dataDir, "db"));
    await writeFile(join(dataDir, "FILA"), JSON.stringify({ format: 2, id: "x" }));
    const error = await rejection(openLevelStorage(dataDir), "newer_format");
    assert.match(error.message, /format 2.*knows 1/);
    assert.deepEqual(await readdir(join(dataDir, "db")), before);
  });

  for (const text of ["", "FILA", "null", "{}", '{"format":"1","id":"x"}']) {
    test(`that reads ${JSON.stringify(text)} is refused`, async () => {
      const dataDir = temporary();
      await store(dataDir);
      await writeFile(join(dataDir, "FILA"), text);
      await rejection(openLevelStorage(dataDir), "corrupt");
    });
  }
});

describe("ownership", () => {
  test("another process has it: in_use, and that one goes on unharmed", async (t) => {
    const dataDir = temporary();
    const writer = new LevelWriter();
    t.after(() => writer.kill());
    await writer.open("adapter", dataDir);
    const numbers = [...(await writer.write(1, 20)).acknowledged];
    const error = await rejection(openLevelStorage(dataDir), "in_use");
    assert.ok(error.message.includes(dataDir) && /stop/.test(error.message), error.message);
    numbers.push(...(await writer.write(21, 40)).acknowledged);
    assert.equal(numbers.length, 40);
    assert.deepEqual((await readdir(dataDir)).sort(), ["FILA", "db"]);
    await writer.kill();
    assert.deepEqual([...(await present(dataDir, numbers))], numbers);
  });

  test("a directory without rights: unwritable", async () => {
    const parent = temporary();
    await mkdir(parent, { mode: 0o555 });
    const error = await openAsNobody(join(parent, "data"));
    assert.match(error, /^unwritable .*give this user the right/);
  });

  test("an empty directory that its own user may not write: unwritable, and it stays so", async () => {
    const dataDir = temporaryDirectory("directory");
    if (process.getuid?.() === 0) await chown(dataDir, NOBODY, NOBODY);
    await chmod(dataDir, 0o500);
    assert.match(await openAsNobody(dataDir), /^unwritable .*give this user the right/);
    assert.equal((await stat(dataDir)).mode & 0o777, 0o500);
  });

  test("a store of another user: unwritable", async () => {
    const dataDir = temporary();
    await store(dataDir);
    assert.match(await openAsNobody(dataDir), process.getuid?.() === 0 ? /^unwritable/ : /^opened/);
  });

  test("a place where no directory can be made: unwritable", { skip: process.platform !== "linux" }, async () => {
    await rejection(openLevelStorage("/proc/fila/data"), "unwritable");
  });
});

/** In another process, because root may write everywhere: if this is root, as nobody. */
async function openAsNobody(dataDir: string): Promise<string> {
  const child = fork(join(import.meta.dirname, "level-open-child.ts"), [dataDir], {
    execArgv: ["--conditions=@fila/source"],
  });
  const [message] = (await once(child, "message")) as [string];
  child.disconnect();
  return message;
}

describe("a commit that was not synced is not acknowledged", () => {
  // LevelDB's next log is made to be a device that takes every write, and cannot be synced.
  async function nextLogs(dbDir: string, target: string): Promise<void> {
    for (let number = 4; number < 40; number++) {
      const name = `${String(number).padStart(6, "0")}.log`;
      await symlink(target, join(dbDir, name)).catch(() => undefined); // what is there stays
    }
  }

  test("the trap: without sync, LevelDB acknowledges", async () => {
    const directory = temporary();
    const level = new Level<Uint8Array, Uint8Array>(directory, {
      keyEncoding: "view",
      valueEncoding: "view",
      writeBufferSize: 64 * 1024,
    });
    await level.open();
    await nextLogs(directory, "/dev/null");
    for (let number = 0; number < 100; number++) await level.put(keyOf(number), new Uint8Array(4096));
    await level.close();
  });

  for (const [device, code] of [
    ["/dev/null", "io"],
    ["/dev/full", "disk_full"],
  ] as const) {
    for (const count of [1, 3, 30]) {
      test(`${device}, ${count} operations`, { skip: process.platform !== "linux" }, async (t) => {
        const dataDir = temporary();
        const storage = await openLevelStorage(dataDir, { writeBufferBytes: 64 * 1024 });
        t.after(() => storage.close());
        const shard = await storage.openShard(1);
        await nextLogs(join(dataDir, "db"), device);
        const commit = async (): Promise<void> => {
          for (let number = 0; number < 100; number++) {
            const value = new Uint8Array(4096 / count);
            await shard.commit(
              Array.from({ length: count }, (_, index) => ({ put: keyOf(number * 100 + index), value })),
            );
          }
        };
        const error = await rejection(commit(), code);
        assert.equal(shard.lost.reason, error);
        await rejection(shard.commit([{ del: keyOf(1) }]), "failed");
      });
    }
  }
});
