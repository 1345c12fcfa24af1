// Records how a data directory changes while something runs on it, so that crash images can be built from any moment.
//
// Files of LevelDB only ever grow at their end, and a directory listing with sizes is therefore the whole state: what a file
// held at that moment is a prefix of what it holds at last. A hard link taken when a file is first seen keeps
// it beyond its deletion. The directory is looked at in every turn of the event loop, at each note and at each commit.
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Shard, Storage } from "../../server/src/storage/port.ts";

/** LevelDB's lock must not even be opened: closing any descriptor of it would end this process's lock on it. */
const UNTOUCHED = new Set(["LOCK"]);

export interface FileState {
  /** Identity across renames and links; the trace keeps its bytes as `<keep>/<inode>`. */
  readonly inode: number;
  readonly size: number;
}

/** The directory at one moment. */
export interface Snapshot {
  /** By path in the data directory. */
  readonly files: ReadonlyMap<string, FileState>;
  readonly directories: readonly string[];
  /** How many notes had been made. */
  readonly notes: number;
  /** A commit had just resolved: all that logs held then is on the disk. */
  readonly durable: boolean;
}

export interface Trace<Note> {
  readonly keep: string;
  readonly snapshots: readonly Snapshot[];
  readonly notes: readonly Note[];
  remove(): Promise<void>;
}

export interface Recorder<Note> {
  /** What the code under test has attempted, and what it has acknowledged: an image knows the notes made before it. */
  note(note: Note): void;
  /** Every storage that writes to the directory must be used through this, so that the trace knows what is synced. */
  watch(storage: Storage): Storage;
}

/** `dataDir` need not exist yet. The trace lies beside it (hard links) until `remove`. */
export async function recordTrace<Note>(
  dataDir: string,
  run: (recorder: Recorder<Note>) => Promise<void>,
): Promise<Trace<Note>> {
  const keep = `${dataDir}.trace`;
  mkdirSync(keep);
  const recording = new Recording<Note>(dataDir, keep);
  const polling = recording.poll();
  try {
    await run(recording);
  } finally {
    recording.stop();
    await polling;
  }
  const { snapshots, notes } = recording;
  return { keep, snapshots, notes, remove: () => rm(keep, { recursive: true }) };
}

class Recording<Note> implements Recorder<Note> {
  readonly snapshots: Snapshot[] = [];
  readonly notes: Note[] = [];
  readonly #dataDir: string;
  readonly #keep: string;
  readonly #kept = new Set<number>();
  #stopped = false;

  constructor(dataDir: string, keep: string) {
    this.#dataDir = dataDir;
    this.#keep = keep;
  }

  async poll(): Promise<void> {
    while (!this.#stopped) {
      this.capture(false);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  stop(): void {
    this.#stopped = true;
    this.capture(false);
  }

  note(note: Note): void {
    this.capture(false); // what was certain before the note
    this.notes.push(note);
    this.capture(false);
  }

  watch(storage: Storage): Storage {
    return {
      limits: storage.limits,
      openShard: async (id) => this.#watchShard(await storage.openShard(id)),
      close: () => storage.close(),
    };
  }

  #watchShard(shard: Shard): Shard {
    return {
      commit: async (ops) => {
        await shard.commit(ops);
        this.capture(true);
      },
      getMany: (keys) => shard.getMany(keys),
      scan: (range) => shard.scan(range),
      lost: shard.lost,
      release: () => shard.release(),
    };
  }

  /** Two looks that agree are a state that was there: LevelDB works on in its own thread meanwhile. */
  capture(durable: boolean): void {
    let first = this.#look();
    for (;;) {
      const second = this.#look();
      if (first !== undefined && second !== undefined && same(first, second)) break;
      first = second;
    }
    const previous = this.snapshots.at(-1);
    const { files, directories } = first;
    if (previous !== undefined && !durable && previous.notes === this.notes.length && same(previous, first)) return;
    this.snapshots.push({ files, directories, notes: this.notes.length, durable });
  }

  /** Undefined when something changed under its eyes. */
  #look(): Look | undefined {
    const files = new Map<string, FileState>();
    const directories: string[] = [];
    try {
      this.#walk("", files, directories);
    } catch (reason) {
      if (reason instanceof Error && "code" in reason && reason.code === "ENOENT") return undefined;
      throw reason;
    }
    return { files, directories };
  }

  #walk(folder: string, files: Map<string, FileState>, directories: string[]): void {
    if (folder === "" && statSync(this.#dataDir, { throwIfNoEntry: false }) === undefined) return;
    directories.push(folder);
    for (const entry of readdirSync(join(this.#dataDir, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) this.#walk(path, files, directories);
      else if (!UNTOUCHED.has(entry.name)) files.set(path, this.#state(path));
    }
  }

  #state(path: string): FileState {
    const { ino, size } = statSync(join(this.#dataDir, path));
    if (!this.#kept.has(ino)) this.#keepLink(path, ino);
    return { inode: ino, size };
  }
  #keepLink(path: string, expected: number): void {
    const fresh = join(this.#keep, "fresh");
    linkSync(join(this.#dataDir, path), fresh);
    const inode = statSync(fresh).ino;
    if (this.#kept.has(inode)) rmSync(fresh);
    else renameSync(fresh, join(this.#keep, String(inode)));
    this.#kept.add(inode);
    // Another file took its place between the two calls: look again.
    if (inode !== expected) throw Object.assign(new Error(`${path} was replaced`), { code: "ENOENT" });
  }
}

type Look = Pick<Snapshot, "files" | "directories">;

function same(a: Look, b: Look): boolean {
  if (a.files.size !== b.files.size || a.directories.length !== b.directories.length) return false;
  for (const [path, { inode, size }] of a.files) {
    const other = b.files.get(path);
    if (other?.inode !== inode || other.size !== size) return false;
  }
  return true;
}
