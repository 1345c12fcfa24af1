// Crash images of the whole broker: its writes are recorded while seeded clients use it, and what a crash could have left of
// them is opened by a fresh broker. As a program:
//   node --conditions=@fila/source test/crash/images.ts --count 1000 --seed 1
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openBroker } from "../../server/src/broker/open-broker.ts";
import { RecordType } from "../../server/src/storage/journal/keys.ts";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import type { Op, Shard, Storage } from "../../server/src/storage/port.ts";
import { buildImages } from "../faults/images.ts";
import { type Recorder, recordTrace } from "../faults/trace.ts";
import type { BrokerNote } from "./broker-notes.ts";
import { BrokerWorld } from "./broker-world.ts";
import { checkImage } from "./image-check.ts";
import type { StoredCounts } from "./stored-check.ts";

/** So small that logs, tables, compactions and checkpoints change all the time. */
const WRITE_BUFFER_BYTES = 64 * 1024;
const CHECKPOINT_JOURNAL_BYTES = 3 * 1024;
const PAYLOAD_CACHE_BYTES = 16 * 1024;
const STEPS = 400;
const IMAGES_PER_TRACE = 100;

export interface ImagesReport {
  readonly images: number;
  /** Images that a fresh broker refused; only before anything was acknowledged. */
  readonly refused: number;
  /** Images from after the first acknowledgement. */
  readonly acknowledged: number;
  /** Messages found in them, tokens from before the crash that settled, leases that streams took up again. */
  readonly messages: number;
  readonly tokensSettled: number;
  readonly leasesTakenUp: number;
  /** Found in them before any time passed: messages that wait for their time, with a time to live, and dead letters; settings
   * of keys and configuration; idempotency keys in use. */
  readonly stored: StoredCounts;
  /** How often operators made each of their changes while the traces were recorded. */
  readonly operations: Readonly<Record<string, number>>;
  /** How often each kind and feature occurred: a run that never met one proves nothing about it. */
  readonly features: Readonly<Record<string, number>>;
  readonly traces: { readonly notes: number; readonly slices: number; readonly moved: number; readonly pages: number };
}

/** @throws when an image breaks a promise; the message names seed and step. */
export async function runImages(count: number, seed: number, perTrace = IMAGES_PER_TRACE): Promise<ImagesReport> {
  const folder = await mkdtemp(join(tmpdir(), "fila-images-"));
  const report = {
    ...{ images: 0, refused: 0, acknowledged: 0, messages: 0, tokensSettled: 0, leasesTakenUp: 0 },
    stored: { delayed: 0, dying: 0, dead: 0, settings: 0, uses: 0 },
    operations: {} as Record<string, number>,
    features: {} as Record<string, number>,
    traces: { notes: 0, slices: 0, moved: 0, pages: 0 },
  };
  try {
    for (let done = 0; done < count; done += perTrace) {
      await oneTrace(join(folder, String(done)), Math.min(perTrace, count - done), seed + done / perTrace, report);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return report;
}

type Counting = { -readonly [K in keyof ImagesReport]: ImagesReport[K] } & {
  stored: Record<keyof StoredCounts, number>;
  operations: Record<string, number>;
  features: Record<string, number>;
  traces: { notes: number; slices: number; moved: number; pages: number };
};

async function oneTrace(folder: string, images: number, seed: number, report: Counting): Promise<void> {
  const dataDir = join(folder, "data");
  await mkdir(folder);
  let sent: BrokerWorld["sent"] = new Map();
  const trace = await recordTrace<BrokerNote>(dataDir, async (recorder) => {
    const open = (): Promise<Storage> => openWatched(dataDir, recorder, report);
    const world = new BrokerWorld(
      seed,
      () => openLiveBroker(open),
      (note) => recorder.note(note),
    );
    await world.run(STEPS);
    sent = world.sent;
    count(report.operations, world.operations);
  });
  report.traces.notes += trace.notes.length;
  for await (const image of buildImages(trace, { count: images, seed, into: folder })) {
    const found = await checkImage(image, () => openLevel(image.dataDir), sent).catch((cause: unknown) => {
      throw new Error(`${image.description} (${image.features.join(", ")})`, { cause });
    });
    const features = [image.kind, ...image.features, ...(found.inSlice ? ["in a checkpoint"] : [])];
    for (const feature of features) count(report.features, { [feature]: 1 });
    report.images += 1;
    report.refused += Number(found.refused);
    report.acknowledged += Number(found.acknowledged);
    report.messages += found.messages;
    report.tokensSettled += found.tokensSettled;
    report.leasesTakenUp += found.leasesTakenUp;
    count(report.stored, found.stored);
  }
  await rm(folder, { recursive: true });
}

function count(sums: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [what, times] of Object.entries(more)) sums[what] = (sums[what] ?? 0) + times;
}

function openLiveBroker(open: () => Promise<Storage>) {
  return openBroker({
    open,
    log: { info: () => undefined, warn: () => undefined, error: fail },
    fatal: fail,
    payloadCacheBytes: PAYLOAD_CACHE_BYTES,
    checkpointJournalBytes: CHECKPOINT_JOURNAL_BYTES,
  });
}

function openLevel(dataDir: string): Promise<Storage> {
  return openLevelStorage(dataDir, { writeBufferBytes: WRITE_BUFFER_BYTES });
}

function fail(problem: unknown): never {
  throw problem instanceof Error ? problem : new Error(String(problem));
}

/** Notes the commits that hold a slice of a checkpoint, and counts what they do. */
async function openWatched(dataDir: string, recorder: Recorder<BrokerNote>, report: Counting): Promise<Storage> {
  const storage = recorder.watch(await openLevel(dataDir));
  const watch = (shard: Shard): Shard => ({
    commit: async (ops) => {
      const slice = ops.some((op) => typeOf(op) === RecordType.checkpoint || typeOf(op) === RecordType.page);
      if (slice) {
        report.traces.slices += 1;
        report.traces.pages += ops.filter((op) => typeOf(op) === RecordType.page).length;
        report.traces.moved += ops.filter((op) => "del" in op && typeOf(op) === RecordType.payload).length;
        recorder.note({ kind: "slice" });
      }
      await shard.commit(ops);
      if (slice) recorder.note({ kind: "sliced" });
    },
    getMany: (keys) => shard.getMany(keys),
    scan: (range) => shard.scan(range),
    lost: shard.lost,
    release: () => shard.release(),
  });
  return {
    limits: storage.limits,
    openShard: async (id) => watch(await storage.openShard(id)),
    close: () => storage.close(),
  };
}

function typeOf(op: Op): number | undefined {
  return ("put" in op ? op.put : op.del)[0];
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { count: { type: "string" }, seed: { type: "string" } } });
  const report = await runImages(Number(values.count ?? 1000), Number(values.seed ?? 1));
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}
