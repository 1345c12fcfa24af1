// The storage port: all that the broker knows of a disk. Nothing of LevelDB or SQL may appear here, and group commit
// lives above it. test/conformance/ holds every adapter to what these comments say.

/** One change. Within one commit, later operations on a key win over earlier ones. A value may be empty, a key may not. */
export type Op = { readonly put: Uint8Array; readonly value: Uint8Array } | { readonly del: Uint8Array };

/** `value` is empty when the scan asked for keys only. */
export interface ScanEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Keys from `gte` (inclusive) to `lt` (exclusive), in the order of their unsigned bytes. */
export interface ScanRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
  readonly keysOnly?: boolean;
}

/** A store that one process has open. All its shards share one key space: record types keep their keys apart. */
export interface Storage {
  /** `maxCommitBytes`: keys and values of one commit together. A larger one is refused as a whole ("too_large"), which
   * harms nothing: the shard goes on. */
  readonly limits: { readonly maxCommitBytes: number };
  /** Takes exclusive ownership of the shard. A second owner is refused ("in_use") or fences off the first one. */
  openShard(id: number): Promise<Shard>;
  /** Waits for the commits that are under way, then gives up every shard and the store. May be called twice. */
  close(): Promise<void>;
}

/**
 * Exclusive ownership of one shard.
 *
 * States: open → failed (a commit was rejected, or `lost` fired) → released; open → released. There is no way back from
 * failed to open: close the storage, open it again, and see which commits are there.
 */
export interface Shard {
  /**
   * Atomic and durable: resolved = every operation is on stable storage; after a crash at any time, all of the
   * operations are there or none. Commits take effect in the order in which they were called.
   *
   * Rejected = in doubt: the batch may or may not be there, and only a reopened store tells (wholly, or not at all). From
   * then on the shard has failed: `lost` has fired and every later commit is rejected ("failed"), because a store
   * that once failed to write may acknowledge what it then loses. "too_large" and "closed" alone are not in
   * doubt: nothing was written, and neither fails the shard.
   *
   * Buffers of the operations belong to the storage from the call on: they must not be changed, ever.
   */
  commit(ops: readonly Op[]): Promise<void>;
  /** Values in the order of the keys, undefined where there is none. The values must not be changed. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
  /** One consistent snapshot, taken at the first step, in non-empty chunks of bounded size. Entries must not be changed. */
  scan(range: ScanRange): AsyncIterable<readonly ScanEntry[]>;
  /** Fires once, with a StorageError as its reason, when this shard can no longer commit: another owner, or a failed
   * write. Not by `release` or `close`. */
  readonly lost: AbortSignal;
  /** Gives up ownership after the commits under way. May be called twice. */
  release(): Promise<void>;
}

/**
 * - in_use: another process (or another owner in this one) holds it
 * - unwritable: missing rights, or a read-only place
 * - corrupt: what is there cannot be trusted, and opening it could hide a loss
 * - newer_format: written by a newer version
 * - not_a_store: the place holds something else
 * - disk_full: no space (or quota, or file size limit); freeing some and reopening helps
 * - io: the device failed; an fsync must never be retried, so the process should end
 * - too_large: one commit over `limits.maxCommitBytes`
 * - closed: used after release or close
 * - failed: refused because an earlier commit was rejected; `cause` is that rejection
 */
export type StorageErrorCode =
  | "in_use"
  | "unwritable"
  | "corrupt"
  | "newer_format"
  | "not_a_store"
  | "disk_full"
  | "io"
  | "too_large"
  | "closed"
  | "failed";

/** Every rejection of this port. The message names the thing and the remedy. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
