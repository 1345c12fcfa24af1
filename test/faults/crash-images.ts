// Runs seeded commits on the LevelDB adapter, and opens crash images of it: nothing acknowledged may be missing, and none
// may be refused. As a program: node --conditions=@fila/source test/faults/crash-images.ts --count 1000 --seed 1
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import type { Storage } from "../../server/src/storage/port.ts";
import { type CrashImage, buildImages } from "./images.ts";
import { type KeyValueNote, KeyValueWorld } from "./key-value-world.ts";
import { recordTrace } from "./trace.ts";

/** So small that logs, tables, compactions and MANIFESTs change all the time. */
const WRITE_BUFFER_BYTES = 64 * 1024;
const IMAGES_PER_TRACE = 100;

export interface CrashReport {
  readonly images: number;
  /** How often each kind and feature occurred: a run that never met one proves nothing about it. */
  readonly features: Readonly<Record<string, number>>;
}

/** @throws when an image is refused or has lost something; the message names seed and step. */
export async function runCrashImages(count: number, seed: number): Promise<CrashReport> {
  const folder = await mkdtemp(join(tmpdir(), "fila-crash-"));
  const features: Record<string, number> = {};
  try {
    for (let done = 0; done < count; done += IMAGES_PER_TRACE) {
      const part = Math.min(IMAGES_PER_TRACE, count - done);
      await crashOneTrace(join(folder, String(done)), part, seed + done / IMAGES_PER_TRACE, features);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return { images: count, features };
}

async function crashOneTrace(
  folder: string,
  count: number,
  seed: number,
  features: Record<string, number>,
): Promise<void> {
  const dataDir = join(folder, "data");
  await mkdir(folder);
  const world = new KeyValueWorld(seed);
  const trace = await recordTrace<KeyValueNote>(dataDir, (recorder) => world.run(() => open(dataDir), recorder, 100));
  for await (const image of buildImages(trace, { count, seed, into: folder })) {
    for (const feature of [image.kind, ...image.features]) features[feature] = (features[feature] ?? 0) + 1;
    await openImage(world, image);
  }
  await rm(folder, { recursive: true });
}

function open(dataDir: string): Promise<Storage> {
  return openLevelStorage(dataDir, { writeBufferBytes: WRITE_BUFFER_BYTES });
}

/** Opens it twice: what the first opening found must be there for good, and writable. */
async function openImage(world: KeyValueWorld, image: CrashImage<KeyValueNote>): Promise<void> {
  let storage = await open(image.dataDir).catch((cause: unknown) => {
    throw new Error(`${image.description} (${image.features.join(", ")}): refused`, { cause });
  });
  let shard = await storage.openShard(1);
  const held = await world.check(shard, image);
  const extra = new TextEncoder().encode("zz after the crash");
  await shard.commit([{ put: extra, value: extra }]);
  await storage.close();
  storage = await open(image.dataDir);
  shard = await storage.openShard(1);
  await shard.commit([{ del: extra }]);
  const again = await world.check(shard, image);
  await storage.close();
  if (again !== held) throw new Error(`${image.description}: held ${held}, then ${again}`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { count: { type: "string" }, seed: { type: "string" } } });
  const report = await runCrashImages(Number(values.count ?? 1000), Number(values.seed ?? 1));
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}
