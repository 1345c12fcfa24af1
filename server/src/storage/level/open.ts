// Opening a data directory. Layout: FILA (the marker), db/ (LevelDB), and for the time of an opening recovery/.
import { access, chmod, constants, mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Level } from "level";
import { type Storage, StorageError } from "../port.ts";
import { RECOVERY, forgetAdded, judgeRecovery, preserveLogs } from "./damage.ts";
import { DirectoryWatch, syncDirectory } from "./directory.ts";
import { isMissing, toStorageError } from "./failure.ts";
import { LevelStorage } from "./level-storage.ts";
import { assertComplete } from "./manifest.ts";
import { MARKER_TEMPORARY, readMarker, writeMarker } from "./marker.ts";
import { type Database, Writer } from "./writer.ts";

const MIB = 1024 * 1024;

export interface LevelStorageOptions {
  /** LevelDB's write buffer, in bytes; up to two are in memory. Default: 64 MiB (4 MiB gives a commit p99 of 6-8 ms, 64
   * MiB 1.2 ms). */
  readonly writeBufferBytes?: number;
  /** Blocks of tables kept in memory, in bytes. Default: 8 MiB (payloads are cached above the port). */
  readonly cacheBytes?: number;
  /** Limit of one commit, in bytes. Default: 32 MiB. */
  readonly maxCommitBytes?: number;
  /** Serve a store whose logs are damaged, without the commits that are lost in them. Default: false. */
  readonly acceptDamage?: boolean;
}

/**
 * Opens the store in `dataDir`, or makes one if there is none. One process at a time; Linux and macOS (it relies on the
 * fsync of directories).
 * @throws StorageError in_use, unwritable, corrupt, newer_format, not_a_store, disk_full, io
 */
export async function openLevelStorage(dataDir: string, options: LevelStorageOptions = {}): Promise<Storage> {
  const place = resolve(dataDir);
  try {
    await createDirectory(place);
    const isNew = (await readMarker(place)) === undefined;
    const database = await (isNew ? createStore(place, options) : openStore(place, options));
    const maxCommitBytes = options.maxCommitBytes ?? 32 * MIB;
    return new LevelStorage(new Writer(database, new DirectoryWatch(dbDirOf(place)), place), maxCommitBytes);
  } catch (reason) {
    throw toStorageError(reason, place);
  }
}

function dbDirOf(dataDir: string): string {
  return join(dataDir, "db");
}

/** mkdir's own `recursive` never returns where a directory cannot be made although nothing forbids it (/proc, Node 26). */
async function createDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (reason) {
    if (isMissing(reason) && dirname(path) !== path) {
      await createDirectory(dirname(path));
      await mkdir(path, { mode: 0o700 }).catch((again: unknown) => {
        if (!isMissing(again)) throw again;
        throw new StorageError("unwritable", `${path}: no directory can be made here: choose another one`, again);
      });
    } else if (await isDirectory(path)) {
      return;
    } else {
      throw reason;
    }
  }
  await syncDirectory(dirname(path));
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** There is no marker, so nothing was acknowledged here; but what somebody else keeps here must survive. */
async function createStore(dataDir: string, options: LevelStorageOptions): Promise<Database> {
  const dbDir = dbDirOf(dataDir);
  await assertNothingToLose(dataDir, dbDir);
  // The change of mode is to take rights from others, never to give back what somebody has taken from this user.
  await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  await chmod(dataDir, 0o700);
  await mkdir(dbDir, { recursive: true, mode: 0o700 });
  const database = await createDatabase(dbDir, options);
  try {
    for await (const key of database.keys({ limit: 1 })) throw markerMissing(dataDir, `a key of ${key.length} bytes`);
    await syncDirectory(dbDir);
    await syncDirectory(dataDir);
    await writeMarker(dataDir);
  } catch (reason) {
    await database.close();
    throw reason;
  }
  return database;
}

/** Power loss in the middle of the first start leaves a database that LevelDB cannot open, and that holds nothing. */
async function createDatabase(dbDir: string, options: LevelStorageOptions): Promise<Database> {
  try {
    return await openDatabase(dbDir, options, true);
  } catch (reason) {
    if (toStorageError(reason, dbDir).code !== "corrupt" || (await holdsWrites(dbDir))) throw reason;
    await rm(dbDir, { recursive: true });
    await mkdir(dbDir, { mode: 0o700 });
    return openDatabase(dbDir, options, true);
  }
}

async function holdsWrites(dbDir: string): Promise<boolean> {
  for (const name of await readdir(dbDir)) {
    if (name.endsWith(".log") && (await stat(join(dbDir, name))).size > 0) return true;
  }
  return false;
}

async function assertNothingToLose(dataDir: string, dbDir: string): Promise<void> {
  const ours = ["db", MARKER_TEMPORARY, "lost+found"];
  const foreign = (await readdir(dataDir)).find((name) => !ours.includes(name));
  if (foreign !== undefined) {
    throw new StorageError(
      "not_a_store",
      `${dataDir}: holds ${foreign} and no Fila store: choose an empty directory, or one that does not exist`,
    );
  }
  const kept = await readdir(dbDir).catch((reason: unknown) => {
    if (isMissing(reason)) return [];
    throw reason;
  });
  const table = kept.find((name) => name.endsWith(".ldb") || name.endsWith(".sst"));
  if (table !== undefined) throw markerMissing(dataDir, join("db", table));
}

function markerMissing(dataDir: string, found: string): StorageError {
  return new StorageError(
    "corrupt",
    `${dataDir}: the marker file FILA is missing, but there is data (${found}): restore FILA from a backup, or choose ` +
      `another directory`,
  );
}

async function openStore(dataDir: string, options: LevelStorageOptions): Promise<Database> {
  const dbDir = dbDirOf(dataDir);
  await assertComplete(dbDir);
  const logs = await preserveLogs(dataDir, dbDir);
  let database;
  try {
    // createIfMissing: false is the second net; assertComplete has looked.
    database = await openDatabase(dbDir, options, false);
  } catch (reason) {
    await forgetAdded(dataDir, logs);
    // Not empty: an earlier opening's, which the next one will judge.
    await rmdir(join(dataDir, RECOVERY)).catch(() => undefined);
    throw reason;
  }
  try {
    await judgeRecovery(dataDir, dbDir, logs, options.acceptDamage ?? false);
  } catch (reason) {
    await database.close();
    throw reason;
  }
  return database;
}

async function openDatabase(dbDir: string, options: LevelStorageOptions, createIfMissing: boolean): Promise<Database> {
  // LevelDB empties a directory's worth of logs into tables here, so a full disk shows as a failed open.
  await access(dbDir);
  const database: Database = new Level(dbDir, {
    keyEncoding: "view",
    valueEncoding: "view",
    compression: false, // payloads seldom compress, and it costs CPU for each byte
    writeBufferSize: options.writeBufferBytes ?? 64 * MIB,
    cacheSize: options.cacheBytes ?? 8 * MIB,
    createIfMissing,
  });
  await database.open();
  return database;
}
