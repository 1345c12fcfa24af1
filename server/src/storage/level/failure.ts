// What the operating system, LevelDB and Node say, as one StorageError. LevelDB passes only the text of strerror on
// (in English: Node never calls setlocale), Node an errno name.
import { StorageError, type StorageErrorCode } from "../port.ts";

interface Kind {
  readonly code: StorageErrorCode;
  readonly signs: readonly string[];
  readonly remedy: string;
}

/** The first kind of which a sign is found wins. */
const kinds: readonly Kind[] = [
  {
    code: "in_use",
    signs: ["LEVEL_LOCKED"],
    remedy: "another process has it open: stop that one, or choose another data directory",
  },
  {
    code: "disk_full",
    signs: ["ENOSPC", "EDQUOT", "EFBIG", "No space left on device", "Disk quota exceeded", "File too large"],
    remedy: "there is no space left for it: free some (or raise the quota or file size limit), then reopen the store",
  },
  {
    code: "unwritable",
    signs: ["EACCES", "EPERM", "EROFS", "Permission denied", "Operation not permitted", "Read-only file system"],
    remedy: "it cannot be written: give this user the right to, or choose another data directory",
  },
  {
    code: "not_a_store",
    signs: ["ENOTDIR", "EEXIST", "Not a directory"],
    remedy: "it is not a directory: choose another data directory",
  },
  {
    code: "corrupt",
    signs: ["LEVEL_CORRUPTION", "Corruption:"],
    remedy: "LevelDB finds it damaged: restore a backup, or see `fila doctor`",
  },
  {
    code: "closed",
    signs: ["LEVEL_DATABASE_NOT_OPEN", "LEVEL_ITERATOR_NOT_OPEN"],
    remedy: "it is closed: open it again",
  },
];

/** `place` = what it happened to, as the operator knows it. */
export function toStorageError(reason: unknown, place: string): StorageError {
  if (reason instanceof StorageError) return reason;
  const said = chain(reason);
  const kind = kinds.find(({ signs }) => signs.some((sign) => said.includes(sign)));
  const remedy = kind?.remedy ?? "input or output failed: check the disk, then restart";
  return new StorageError(kind?.code ?? "io", `${place}: ${remedy} (${last(reason)})`, reason);
}

/** An error of Node that only says that there is no such file. */
export function isMissing(reason: unknown): boolean {
  return reason instanceof Error && "code" in reason && reason.code === "ENOENT";
}

/** abstract-level hides the reason of a failed open in `cause`; the innermost error goes first, so that it decides. */
function chain(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const code = "code" in reason ? String(reason.code) : "";
  return `${reason.cause === undefined ? "" : chain(reason.cause)} ${reason.cause === undefined ? code : ""} ${reason.message}`;
}

function last(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  return reason.cause === undefined ? reason.message : last(reason.cause);
}
