// A memory storage whose commits wait for a word: a test sees what a broker does between commit and durability, and what
// it does when a commit is rejected. What it reads by key may come late, damaged, or not at all.
import { MemoryDisk, openMemoryStorage } from "../../storage/memory/memory-storage.ts";
import { type Op, type Shard, type Storage, StorageError, type StorageErrorCode } from "../../storage/port.ts";

interface Held {
  readonly shard: number;
  readonly ops: readonly Op[];
  readonly allow: () => void;
  readonly reject: (code: StorageErrorCode, written: boolean) => void;
}

type Values = readonly (Uint8Array | undefined)[];

export class GatedStorage {
  readonly #disk = new MemoryDisk();
  #waiters: (() => void)[] = [];
  /** Commits that wait, oldest first. */
  readonly held: Held[] = [];
  /** While false, commits pass at once. */
  gated = false;
  opened = 0;
  /** What becomes of values that are read by key, on their way from the disk. */
  onRead: (values: Values, keys: readonly Uint8Array[]) => Values | Promise<Values> = (values) => values;

  readonly open = (): Promise<Storage> => {
    this.opened += 1;
    const inner = openMemoryStorage({ disk: this.#disk });
    return Promise.resolve({
      limits: inner.limits,
      openShard: async (id) => this.#gate(id, await inner.openShard(id)),
      close: () => inner.close(),
    });
  };

  /** Resolves with the next commit that waits. */
  async nextHeld(): Promise<Held> {
    while (this.held.length === 0) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    return this.held.shift() as Held;
  }

  #gate(id: number, inner: Shard): Shard {
    return {
      commit: (ops) => (this.gated ? this.#hold(id, inner, ops) : inner.commit(ops)),
      getMany: async (keys) => [...(await this.onRead(await inner.getMany(keys), keys))],
      scan: (range) => inner.scan(range),
      lost: inner.lost,
      release: () => inner.release(),
    };
  }

  #hold(shard: number, inner: Shard, ops: readonly Op[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.held.push({
        shard,
        ops,
        allow: () => void inner.commit(ops).then(resolve, reject),
        reject: (code, written) => {
          const failed = (): void => reject(new StorageError(code, "the disk said no"));
          if (written) void inner.commit(ops).then(failed, reject);
          else failed();
        },
      });
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }
}
