// A file is only as durable as its name: names become durable when their directory is fsynced.
import { closeSync, fstatSync, fsync, openSync } from "node:fs";
import { promisify } from "node:util";
import { open } from "node:fs/promises";

const fsyncAsync = promisify(fsync);

/** Longer than any kernel's timestamp granularity: within it, two changes can carry the same time. */
const SAME_TIME_MS = 50;

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * LevelDB goes on to a new log file at its own time and never fsyncs the directory for it; and it renames CURRENT when
 * it opens. Where the file system does not do so by itself, a commit into a file without a durable name is lost
 * with its name. So before a commit resolves: has the directory changed since its last fsync? Asking costs 1 us.
 */
export class DirectoryWatch {
  readonly #fd: number;
  /** Modification time (ns) that is certainly durable. */
  #durable = -1n;

  constructor(path: string) {
    this.#fd = openSync(path, "r");
  }

  /** Resolves when every name in the directory is durable; undefined when they already are. */
  sync(): Promise<void> | undefined {
    const { mtimeNs, mtimeMs } = fstatSync(this.#fd, { bigint: true });
    if (mtimeNs === this.#durable) return undefined;
    const settled = Date.now() - Number(mtimeMs) > SAME_TIME_MS;
    return fsyncAsync(this.#fd).then(() => {
      if (settled) this.#durable = mtimeNs;
    });
  }

  close(): void {
    closeSync(this.#fd);
  }
}
