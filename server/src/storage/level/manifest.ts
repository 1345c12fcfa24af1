// LevelDB opens a database without its CURRENT, or without its log, as one that has less in it: an empty one, often. So
// what must be there is checked before it is opened.
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../port.ts";
import { isMissing } from "./failure.ts";
import { records } from "./log-format.ts";

/** Tags of LevelDB's VersionEdit (db/version_edit.cc). */
const COMPARATOR = 1;
const LOG_NUMBER = 2;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;

/** @throws StorageError corrupt: a file that the store cannot do without is missing. LevelDB itself checks its tables. */
export async function assertComplete(dbDir: string): Promise<void> {
  const current = await readNeeded(join(dbDir, "CURRENT"));
  const manifest = await readNeeded(join(dbDir, current.toString("utf8").trim()));
  const number = logNumber(manifest);
  if (number === undefined) return; // damaged: LevelDB refuses it by itself
  await assertPresent(join(dbDir, `${String(number).padStart(6, "0")}.log`));
}

/** The number of the oldest log that is still needed: LevelDB never removes this one. */
export function logNumber(manifest: Uint8Array): number | undefined {
  let found: number | undefined;
  for (const record of records(manifest)) found = logNumberOf(record) ?? found;
  return found;
}

function logNumberOf(edit: Uint8Array): number | undefined {
  let at = 0;
  let found: number | undefined;
  const number = (): number => {
    let value = 0;
    for (let scale = 1; at < edit.length; scale *= 128) {
      const byte = edit[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  const skipBytes = (): void => {
    const length = number();
    at += length;
  };
  const fieldsOf: Record<number, readonly (() => unknown)[]> = {
    [COMPARATOR]: [skipBytes],
    [COMPACT_POINTER]: [number, skipBytes],
    [DELETED_FILE]: [number, number],
    [NEW_FILE]: [number, number, number, skipBytes, skipBytes],
  };
  while (at < edit.length) {
    const tag = number();
    if (tag === LOG_NUMBER) found = number();
    else for (const field of fieldsOf[tag] ?? [number]) field();
  }
  return found;
}

async function readNeeded(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (reason) {
    throw isMissing(reason) ? missing(path, reason) : reason;
  }
}

async function assertPresent(path: string): Promise<void> {
  try {
    await access(path);
  } catch (reason) {
    throw isMissing(reason) ? missing(path, reason) : reason;
  }
}

function missing(path: string, cause: unknown): StorageError {
  return new StorageError(
    "corrupt",
    `${path}: missing, so acknowledged data is lost: restore this file, or the whole directory from a backup`,
    cause,
  );
}
