// Every adapter measures a commit in the same way.
import { type Op, StorageError } from "./port.ts";

/** Keys and values of all operations together. */
export function commitBytes(ops: readonly Op[]): number {
  let bytes = 0;
  for (const op of ops) bytes += "put" in op ? op.put.length + op.value.length : op.del.length;
  return bytes;
}

/** @throws StorageError too_large, before anything is written. */
export function assertCommitSize(ops: readonly Op[], maxCommitBytes: number): void {
  const bytes = commitBytes(ops);
  if (bytes <= maxCommitBytes) return;
  throw new StorageError(
    "too_large",
    `a commit of ${bytes} bytes is over the limit of ${maxCommitBytes} (limits.maxCommitBytes): split it`,
  );
}
