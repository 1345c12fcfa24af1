// Drives level-writer-child.ts, and takes its disk away by a limit on the size of files: appends fail with EFBIG, as they
// do with ENOSPC, and no rights are needed.
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import { type Answer, type Mode, type Request, keyOf } from "./level-writer-child.ts";

export class LevelWriter {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor() {
    this.#child = fork(join(import.meta.dirname, "level-writer-child.ts"), {
      execArgv: ["--conditions=@fila/source"],
    });
    this.#ended = once(this.#child, "exit");
  }

  open(mode: Mode, directory: string, writeBufferBytes = 64 * 1024 * 1024): Promise<Answer> {
    return this.#ask({ open: { mode, directory, writeBufferBytes } });
  }

  write(from: number, to: number, valueBytes = 1024): Promise<Answer> {
    return this.#ask({ write: { from, to, valueBytes } });
  }

  close(): Promise<Answer> {
    return this.#ask({ close: true });
  }

  /** The soft limit only, so that it can be lifted again. */
  limitFiles(bytes: number | "unlimited"): void {
    execFileSync("prlimit", ["--pid", String(this.#child.pid), `--fsize=${bytes}:`]);
  }

  /** May be called when it has ended. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  async #ask(request: Request): Promise<Answer> {
    const listening = new AbortController();
    const answered = once(this.#child, "message", { signal: listening.signal });
    this.#child.send(request);
    const result = await Promise.race([answered, this.#ended.then(() => undefined)]);
    listening.abort();
    if (result === undefined) throw new Error("the writer has ended");
    return result[0] as Answer;
  }
}

/** Which of the numbers are in the store, opened anew. */
export async function present(directory: string, numbers: readonly number[]): Promise<Set<number>> {
  const storage = await openLevelStorage(directory);
  const shard = await storage.openShard(1);
  const values = await shard.getMany(numbers.map(keyOf));
  await storage.close();
  return new Set(numbers.filter((_, index) => values[index] !== undefined));
}
