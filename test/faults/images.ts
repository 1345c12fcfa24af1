// Crash images: data directories as a crash could have left them, built from a trace.
//
// - kill: the process died. All that was written is there, the write under way up to any byte.
// - power: the machine died too. Of what was not synced, any part is gone: synced are, by the contract of the adapter,
//   the log up to the last resolved commit and every name at that moment; by LevelDB's own order, a table before the
//   MANIFEST mentions it, and a MANIFEST before anything is deleted on its word.
// - torn: the write under way reached the disk in the wrong order: sectors or pages of zeros within it.
//
// Directory operations reach the disk in their order (as with every journaling file system).
import { copyFileSync, linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Seeded } from "./seeded.ts";
import type { FileState, Snapshot, Trace } from "./trace.ts";

export type CrashKind = "kill" | "power" | "torn";
const kinds: readonly CrashKind[] = ["kill", "power", "torn"];

const BLOCK_BYTES = 32 * 1024;

export interface CrashImage<Note> {
  /** A data directory, removed when the next image is asked for. */
  readonly dataDir: string;
  readonly kind: CrashKind;
  /** Notes made before the crash for certain. */
  readonly certain: readonly Note[];
  /** `certain`, and those that may have been made before it. */
  readonly possible: readonly Note[];
  /** What is special about this image, for counting: "unsynced", "half a block", "two logs", "table", ... */
  readonly features: readonly string[];
  /** For the message of a failing test. */
  readonly description: string;
}

export interface ImageOptions {
  readonly count: number;
  readonly seed: number;
  /** Directory for the images; on the same file system as the trace. */
  readonly into: string;
}

/** A file of an image. `from` and `size`: all from `from` on was not synced. */
interface Part extends FileState {
  readonly synced: number;
  readonly holes: readonly (readonly [number, number])[];
}

/** Half of them from moments at which something was not synced: those are few, and they decide. */
export async function* buildImages<Note>(trace: Trace<Note>, options: ImageOptions): AsyncGenerator<CrashImage<Note>> {
  const random = new Seeded(options.seed);
  const moments = momentsOf(trace);
  const risky = moments.filter(({ parts }) => [...parts.values()].some(({ size, synced }) => size > synced));
  for (let index = 0; index < options.count; index++) {
    const moment = random.pick(risky.length > 0 && random.chance(0.5) ? risky : moments);
    const kind = kinds[index % kinds.length] ?? "kill";
    const dataDir = join(options.into, `image-${index}`);
    const crashed = crash(moment, kind, random);
    write(trace, moment, crashed, dataDir);
    yield {
      dataDir,
      kind,
      certain: trace.notes.slice(0, moment.certain),
      possible: trace.notes.slice(0, moment.possible),
      features: featuresOf(moment, crashed),
      description: `${kind} at step ${moment.step} of seed ${options.seed}, image ${index}`,
    };
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** A state the directory was in, or on the way between two recorded ones. */
interface Moment {
  readonly step: number;
  readonly directories: readonly string[];
  readonly parts: ReadonlyMap<string, Part>;
  readonly certain: number;
  readonly possible: number;
}

function momentsOf<Note>(trace: Trace<Note>): Moment[] {
  const finalSize = (inode: number): number => statSync(join(trace.keep, String(inode))).size;
  const moments: Moment[] = [];
  const syncs = new Syncs();
  trace.snapshots.forEach((snapshot, step) => {
    const previous = trace.snapshots[step - 1];
    if (previous !== undefined) {
      const between = growing(previous, snapshot, finalSize);
      if (between !== undefined) moments.push(momentOf(step - 0.5, between, snapshot.notes, syncs));
    }
    syncs.advance(previous, snapshot);
    moments.push(momentOf(step, snapshot, snapshot.notes, syncs));
  });
  return moments;
}

function momentOf(step: number, snapshot: Snapshot, possible: number, syncs: Syncs): Moment {
  const parts = new Map<string, Part>();
  for (const [path, state] of snapshot.files) {
    parts.set(path, { ...state, synced: Math.min(state.size, syncs.of(path, state)), holes: [] });
  }
  return { step, directories: snapshot.directories, parts, certain: snapshot.notes, possible };
}

/** The earlier snapshot with what the logs gained until the later one, or nothing if they did not. */
function growing(from: Snapshot, to: Snapshot, finalSize: (inode: number) => number): Snapshot | undefined {
  const files = new Map(from.files);
  const logs = [...to.files].filter(([path]) => isLog(path));
  const newest = logs.reduce((best, [path]) => (path > best ? path : best), "");
  let grew = false;
  for (const [path, state] of logs) {
    const before = from.files.get(path)?.size ?? 0;
    // A newer log is begun only when the older one has all that it will ever have.
    const size = path === newest ? state.size : finalSize(state.inode);
    if (size > before) grew = true;
    files.set(path, { inode: state.inode, size });
  }
  for (const [path, { inode }] of from.files) {
    if (isLog(path) && path < newest) files.set(path, { inode, size: finalSize(inode) });
  }
  return grew ? { ...from, files } : undefined;
}

/** Follows what is on the disk for certain. */
class Syncs {
  readonly #sizes = new Map<number, number>();
  /** Tables that no MANIFEST can mention yet: the MANIFEST's size before they appeared. */
  readonly #unmentioned = new Map<number, string>();
  #hasMarker = false;

  advance(previous: Snapshot | undefined, now: Snapshot): void {
    this.#hasMarker = now.files.has("FILA");
    const deleted = [...(previous?.files.keys() ?? [])].some(
      (path) => (isLog(path) || isTable(path)) && !now.files.has(path),
    );
    const manifest = manifestOf(previous);
    for (const [path, { inode, size }] of now.files) {
      const known = this.#sizes.has(inode);
      if (isLog(path) && now.durable) this.#sizes.set(inode, size);
      if (isManifest(path) && this.#hasMarker && (deleted || !known)) this.#sizes.set(inode, size);
      if (isTable(path) && previous?.files.has(path) !== true) this.#unmentioned.set(inode, manifest);
    }
    const mentionable = manifestOf(now);
    for (const [inode, before] of this.#unmentioned) if (before !== mentionable) this.#unmentioned.delete(inode);
    const newest = [...now.files.keys()].filter(isLog).sort().at(-1);
    for (const [path, { inode, size }] of now.files) {
      if (isLog(path) && path !== newest) this.#sizes.set(inode, size);
    }
  }

  of(path: string, { inode, size }: FileState): number {
    if (isLog(path)) return this.#sizes.get(inode) ?? 0;
    if (isManifest(path)) return this.#sizes.get(inode) ?? 0;
    if (isTable(path)) return this.#unmentioned.has(inode) ? 0 : size;
    if (["LOG", "LOG.old", "FILA.tmp"].includes(basename(path))) return 0;
    return path.endsWith(".dbtmp") ? 0 : size; // CURRENT and FILA are synced before they get their names
  }
}

function isLog(path: string): boolean {
  return dirname(path) === "db" && path.endsWith(".log");
}
function isTable(path: string): boolean {
  return path.endsWith(".ldb");
}
function isManifest(path: string): boolean {
  return basename(path).startsWith("MANIFEST-");
}
function manifestOf(snapshot: Snapshot | undefined): string {
  const found = [...(snapshot?.files ?? [])].filter(([path]) => isManifest(path));
  return found.map(([path, { size }]) => `${path} ${size}`).join();
}

/** Chooses what the crash left of each file. */
function crash(moment: Moment, kind: CrashKind, random: Seeded): Map<string, Part> {
  const left = new Map<string, Part>();
  const dropAll = random.chance(0.3);
  for (const [path, part] of moment.parts) {
    const { size, synced } = part;
    if (size === synced) left.set(path, part);
    // A killed process loses nothing that it wrote; only what was being written then can be of any length.
    else if (kind === "kill" && !(isLog(path) && moment.step % 1 !== 0)) left.set(path, part);
    else if (kind === "torn" && isLog(path)) left.set(path, tear(part, random));
    else left.set(path, { ...part, size: kind === "power" && dropAll ? synced : cut(synced, size, random) });
  }
  return left;
}

/** A length between what is synced and what was written; often close to the start of a block of LevelDB's log. */
function cut(synced: number, size: number, random: Seeded): number {
  const boundaries: number[] = [];
  for (let at = synced - (synced % BLOCK_BYTES) + BLOCK_BYTES; at < size; at += BLOCK_BYTES) boundaries.push(at);
  if (boundaries.length === 0 || random.chance(0.5)) return random.between(synced, size);
  const near = random.pick(boundaries) + random.between(-8, 8);
  return Math.min(size, Math.max(synced, near));
}

function tear(part: Part, random: Seeded): Part {
  const { synced, size } = part;
  const unit = random.pick([512, 4096]);
  const holes: [number, number][] = [];
  for (let at = synced - (synced % unit); at < size; at += unit) {
    if (random.chance(0.4)) holes.push([Math.max(at, synced), Math.min(at + unit, size)]);
  }
  return { ...part, holes };
}

function write<Note>(trace: Trace<Note>, moment: Moment, parts: ReadonlyMap<string, Part>, dataDir: string): void {
  for (const folder of moment.directories) mkdirSync(join(dataDir, folder), { recursive: true });
  for (const [path, { inode, size, holes }] of parts) {
    const source = join(trace.keep, String(inode));
    const target = join(dataDir, path);
    if (isTable(path) && size === statSync(source).size) {
      linkSync(source, target); // LevelDB never writes to a finished table
    } else if (size === statSync(source).size && holes.length === 0) {
      copyFileSync(source, target);
    } else {
      const bytes = readFileSync(source).subarray(0, size);
      for (const [from, to] of holes) bytes.fill(0, from, to);
      writeFileSync(target, bytes);
    }
  }
}

function featuresOf(moment: Moment, crashed: ReadonlyMap<string, Part>): string[] {
  const features: string[] = [];
  const paths = [...crashed.keys()];
  const logs = paths.filter(isLog);
  if (!paths.includes("FILA")) features.push("before the marker");
  if (logs.length > 1) features.push("two logs");
  if (paths.some(isTable)) features.push("table");
  if (paths.some((path) => path.startsWith("recovery/"))) features.push("while opening");
  for (const [path, { size, synced, holes }] of crashed) {
    const written = moment.parts.get(path)?.size ?? 0;
    if (isLog(path) && size < written) features.push("log cut");
    if (isLog(path) && size > synced && size % BLOCK_BYTES !== 0 && size - synced > BLOCK_BYTES)
      features.push("cut behind a block");
    if (isLog(path) && holes.length > 0) features.push("holes");
    if (isTable(path) && size < written) features.push("table cut");
    if (isManifest(path) && size < written) features.push("manifest cut");
  }
  return [...new Set(features)];
}
