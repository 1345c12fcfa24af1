// A server that is killed and comes back, and who waits for it.
import { statSync } from "node:fs";
import { join } from "node:path";
import type { ServerProcess } from "../e2e/server-process.ts";

export class KilledServer {
  readonly process: ServerProcess;
  /** Starts so far: a lease belongs to the run that granted it. */
  runs = 1;
  #up: Promise<void> = Promise.resolve();

  constructor(process: ServerProcess) {
    this.process = process;
  }

  /** What the runs so far logged as errors. */
  readonly errors: string[] = [];

  /** Resolves when it serves. */
  async whenUp(): Promise<void> {
    await this.#up;
  }

  /** @param duringStart how often it is killed again, as soon as it has opened its store */
  async killAndRestart(duringStart: number): Promise<void> {
    const up = Promise.withResolvers<undefined>();
    this.#up = up.promise;
    try {
      await this.#kill();
      for (let again = 0; again < duringStart; again++) {
        const log = this.#openedAs();
        this.process.spawnAgain();
        while (this.#openedAs() === log && !this.process.run.over)
          await new Promise((resolve) => setImmediate(resolve));
        await this.#kill();
      }
      this.runs += 1;
      await this.process.restart();
      up.resolve(undefined);
    } catch (error) {
      up.reject(error);
      throw error;
    }
  }

  async #kill(): Promise<void> {
    await this.process.kill();
    this.errors.push(...this.process.run.errors.split("\n").filter((line) => / error /.test(line)));
  }

  /** LevelDB begins a new log of events with each opening. */
  #openedAs(): number {
    return statSync(join(this.process.directory, "data/db/LOG"), { throwIfNoEntry: false })?.ino ?? 0;
  }
}
