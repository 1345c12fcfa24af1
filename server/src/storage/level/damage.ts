// LevelDB opens a log with a flipped bit by dropping the rest of a 32 KiB block, mentions it in its text file LOG at most,
// and deletes the log. Here: hold on to the logs while LevelDB recovers from them (hard links in recovery/), then ask
// whether anything was dropped that a crash does not explain. If so, refuse, and leave recovery/ in place: it is the
// evidence, the source for `fila doctor`, and what makes the next start refuse as well.
import { constants, copyFile, link, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../port.ts";
import { syncDirectory } from "./directory.ts";
import { isMissing } from "./failure.ts";
import { BLOCK_BYTES, FIRST, FULL, type Fragment, fragmentAt, fragments } from "./log-format.ts";

export const RECOVERY = "recovery";
/** In recovery/: why an opening refused. LevelDB mentions what it drops only once. */
const REFUSED = "REFUSED";
const SECTOR_BYTES = 512;

/** The logs that LevelDB is about to recover from. */
export interface PreservedLogs {
  /** File names that this opening added to recovery/. */
  readonly added: readonly string[];
  /** An earlier opening got as far as here and ended before its verdict, or refused. */
  readonly inherited: boolean;
}

export async function preserveLogs(dataDir: string, dbDir: string): Promise<PreservedLogs> {
  const recovery = join(dataDir, RECOVERY);
  await mkdir(recovery, { recursive: true, mode: 0o700 });
  const earlier = await readdir(recovery);
  const added: string[] = [];
  for (const name of await readdir(dbDir)) {
    if (!name.endsWith(".log") || earlier.includes(name)) continue;
    await linkOrCopy(join(dbDir, name), join(recovery, name));
    added.push(name);
  }
  await syncDirectory(recovery);
  await syncDirectory(dataDir);
  return { added, inherited: earlier.length > 0 };
}

/** Another process has the store open: its logs are not ours to keep. */
export async function forgetAdded(dataDir: string, logs: PreservedLogs): Promise<void> {
  for (const name of logs.added) await rm(join(dataDir, RECOVERY, name), { force: true });
}

/**
 * After LevelDB has recovered. `acceptDamage`: serve what is left, and keep the damaged logs as damaged-<time>/.
 * @throws StorageError corrupt
 */
export async function judgeRecovery(
  dataDir: string,
  dbDir: string,
  logs: PreservedLogs,
  acceptDamage: boolean,
): Promise<void> {
  const recovery = join(dataDir, RECOVERY);
  const reason = (await readText(join(recovery, REFUSED))) || (await findDamage(recovery, dbDir, logs));
  if (reason === undefined) return rm(recovery, { recursive: true });
  if (acceptDamage) {
    await rename(recovery, join(dataDir, `damaged-${new Date().toISOString().replaceAll(":", "-")}`));
    return syncDirectory(dataDir);
  }
  await writeFile(join(recovery, REFUSED), reason, { flush: true });
  await syncDirectory(recovery);
  throw new StorageError(
    "corrupt",
    `${dataDir}: damaged, and commits are lost: ${reason}: restore a backup, or open with acceptDamage to go on without them`,
  );
}

/** What is damaged, or undefined. */
async function findDamage(recovery: string, dbDir: string, logs: PreservedLogs): Promise<string | undefined> {
  const dropped = /dropping \d+ bytes.*/.exec(await readText(join(dbDir, "LOG")))?.[0];
  const thorough = dropped !== undefined || logs.inherited;
  let explained = dropped === undefined;
  for (const name of await readdir(recovery)) {
    const verdict = judgeLog(await readLog(join(recovery, name), thorough));
    if (verdict === "damaged")
      return `${join(recovery, name)} does not match its checksums (LevelDB: ${dropped ?? "-"})`;
    if (verdict === "torn") explained = true;
  }
  return explained ? undefined : `LevelDB: ${dropped ?? "-"}`;
}

/**
 * - whole: every fragment is good (a last record may still be cut short: that is how a crash looks)
 * - torn: bad only where the last, never acknowledged, write was under way: it ends early, or has sectors of zeros
 *   that were never written, and no record follows
 * - damaged: anything else
 *
 * `log`: from the start of any block to the end of the file.
 */
export function judgeLog(log: Uint8Array): "whole" | "torn" | "damaged" {
  let bad: Fragment | undefined;
  let sequence = -1n;
  for (const fragment of fragments(log)) {
    const starts = startsRecord(fragment, sequence);
    if (bad !== undefined && starts) return "damaged";
    if (starts) sequence = sequenceOf(fragment.body);
    if (!fragment.valid) bad ??= fragment;
  }
  if (bad === undefined) return "whole";
  const blockEnd = Math.min(bad.offset - (bad.offset % BLOCK_BYTES) + BLOCK_BYTES, log.length);
  for (let offset = bad.offset + 1; offset < blockEnd; offset++) {
    const fragment = fragmentAt(log, offset);
    if (fragment !== undefined && startsRecord(fragment, sequence)) return "damaged";
  }
  const endsEarly = !bad.fits && blockEnd === log.length;
  return endsEarly || hasUnwrittenSector(log, bad.offset) ? "torn" : "damaged";
}

/** A record is a batch and begins with its sequence number, which only grows: payloads that look like logs do not count. */
function startsRecord(fragment: Fragment, after: bigint): boolean {
  if (!fragment.valid || (fragment.type !== FULL && fragment.type !== FIRST)) return false;
  return fragment.body.length >= 8 && sequenceOf(fragment.body) > after;
}

function sequenceOf(body: Uint8Array): bigint {
  return body.length < 8 ? -1n : new DataView(body.buffer, body.byteOffset, 8).getBigUint64(0, true);
}

/** A sector, as far as it lies behind `from` and in the file, without a single bit. */
function hasUnwrittenSector(log: Uint8Array, from: number): boolean {
  for (let at = from; at < log.length;) {
    const end = at - (at % SECTOR_BYTES) + SECTOR_BYTES;
    if (log.subarray(at, end).every((byte) => byte === 0)) return true;
    at = end;
  }
  return false;
}

/** Without damage in sight only the last block: there LevelDB takes a wrong length for a torn end, in silence. */
async function readLog(path: string, thorough: boolean): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const from = thorough ? 0 : Math.max(0, Math.ceil(size / BLOCK_BYTES) - 1) * BLOCK_BYTES;
    const bytes = new Uint8Array(size - from);
    await file.read(bytes, 0, bytes.length, from);
    return bytes;
  } finally {
    await file.close();
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (reason) {
    if (isMissing(reason)) return; // its owner removed it meanwhile: another process has the store open
    await copyFile(from, to, constants.COPYFILE_FICLONE); // a file system without hard links
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (reason) {
    if (isMissing(reason)) return "";
    throw reason;
  }
}
