// The memory adapter: for tests, the simulation and `fila dev`. "Durable" here means: as long as the MemoryDisk lives.
import { type Op, type ScanEntry, type ScanRange, type Shard, type Storage, StorageError } from "../port.ts";
import { assertCommitSize } from "../commit-size.ts";
import { SortedMap } from "./sorted-map.ts";

const DEFAULT_MAX_COMMIT_BYTES = 32 * 1024 * 1024;
const EMPTY = new Uint8Array(0);

/** What outlives a MemoryStorage. Open it again after `close` and everything is still there. */
export class MemoryDisk {
  /** @internal */
  readonly map = new SortedMap();
  /** @internal The storage that has this disk open. */
  owner: Storage | undefined;
}

export interface MemoryStorageOptions {
  /** The disk to open. Default: a new, empty one. */
  readonly disk?: MemoryDisk;
  /** Bytes. Default: 32 MiB. */
  readonly maxCommitBytes?: number;
}

/**
 * Opens a disk in memory. Keys and values are kept by reference, not copied (see Shard.commit).
 * @throws StorageError in_use: another storage has this disk open.
 */
export function openMemoryStorage(options: MemoryStorageOptions = {}): Storage {
  const disk = options.disk ?? new MemoryDisk();
  if (disk.owner !== undefined) throw new StorageError("in_use", "the memory disk is open: close its storage first");
  const storage = new MemoryStorage(disk, options.maxCommitBytes ?? DEFAULT_MAX_COMMIT_BYTES);
  disk.owner = storage;
  return storage;
}

class MemoryStorage implements Storage {
  readonly limits: { readonly maxCommitBytes: number };
  readonly #disk: MemoryDisk;
  readonly #shards = new Map<number, MemoryShard>();
  #closed = false;

  constructor(disk: MemoryDisk, maxCommitBytes: number) {
    this.#disk = disk;
    this.limits = { maxCommitBytes };
  }

  async openShard(id: number): Promise<Shard> {
    if (this.#closed) throw new StorageError("closed", "the storage is closed: open it again");
    if (this.#shards.has(id)) throw new StorageError("in_use", `shard ${id} is open: release it first`);
    const shard = new MemoryShard(id, this.#disk.map, this.limits.maxCommitBytes, () => this.#shards.delete(id));
    this.#shards.set(id, shard);
    return shard;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#shards.values()].map((shard) => shard.release()));
    this.#disk.owner = undefined;
  }
}

class MemoryShard implements Shard {
  // Nothing takes a shard in memory away, and no write of it fails.
  readonly lost = new AbortController().signal;
  readonly #id: number;
  readonly #map: SortedMap;
  readonly #maxCommitBytes: number;
  readonly #onRelease: () => void;
  #released = false;

  constructor(id: number, map: SortedMap, maxCommitBytes: number, onRelease: () => void) {
    this.#id = id;
    this.#map = map;
    this.#maxCommitBytes = maxCommitBytes;
    this.#onRelease = onRelease;
  }

  async commit(ops: readonly Op[]): Promise<void> {
    this.#assertOpen();
    assertCommitSize(ops, this.#maxCommitBytes);
    for (const op of ops) {
      if ("put" in op) this.#map.set(op.put, op.value);
      else this.#map.delete(op.del);
    }
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertOpen();
    return keys.map((key) => this.#map.get(key));
  }

  async *scan(range: ScanRange): AsyncGenerator<readonly ScanEntry[]> {
    this.#assertOpen();
    for (const run of this.#map.snapshot(range.gte, range.lt)) {
      yield range.keysOnly === true ? run.map(({ key }) => ({ key, value: EMPTY })) : run;
      this.#assertOpen();
    }
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease();
  }

  #assertOpen(): void {
    if (this.#released) throw new StorageError("closed", `shard ${this.#id} is released: open it again`);
  }
}
