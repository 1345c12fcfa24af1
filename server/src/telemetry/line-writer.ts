// Writes lines to a descriptor within the call, so that the last words of a process are out before it ends: the streams of
// Node lose what a pipe does not take at once.
//
// States: open -the reader takes nothing for a while-> stuck -it takes a line again-> open. Stuck, lines are dropped without
// waiting, and counted: a reader that does not read must not hold up the broker for longer than once.
import { writeSync } from "node:fs";

/** How long a reader may take nothing before lines are dropped. */
const patienceMs = 1_000;
const pauseMs = 10;

export interface LineWriterDeps {
  /** Writes some of the bytes and says how many; throws what `fs.writeSync` throws. */
  readonly writeSome: (bytes: Uint8Array) => number;
  readonly pause: (ms: number) => void;
}

export class LineWriter {
  readonly #deps: LineWriterDeps;
  #stuck = false;
  /** Lines dropped since the reader took one. */
  lost = 0;
  /** What is left of a line that was begun: another one must not begin in the middle of it. */
  #rest: Uint8Array | undefined;

  constructor(deps: LineWriterDeps) {
    this.#deps = deps;
  }

  write(line: string): void {
    if (this.#rest !== undefined && !this.#writeAll(this.#rest)) {
      this.lost += 1;
      return;
    }
    if (this.lost > 0 && this.#writeAll(Buffer.from(lossLine(this.lost)))) this.lost = 0;
    if (this.#stuck || !this.#writeAll(Buffer.from(line))) this.lost += 1;
  }

  /** false: some of it is not written. */
  #writeAll(bytes: Uint8Array): boolean {
    let left = bytes;
    for (let waited = 0; left.length > 0;) {
      let written = 0;
      try {
        written = this.#deps.writeSome(left);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") {
          // Nobody reads any more (EPIPE), or the disk is full: the log is not what the broker is for.
          this.#rest = undefined;
          return false;
        }
      }
      left = left.subarray(written);
      if (written > 0) {
        this.#stuck = false;
        continue;
      }
      if (this.#stuck || waited >= patienceMs) {
        this.#stuck = true;
        this.#rest = left.length < bytes.length || bytes === this.#rest ? left : undefined;
        return false;
      }
      this.#deps.pause(pauseMs);
      waited += pauseMs;
    }
    this.#rest = undefined;
    return true;
  }
}

function lossLine(lost: number): string {
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: "warn", time, lines: lost, msg: "lines of the log were lost: nobody read them" })}\n`;
}

export function descriptorWriter(descriptor: number): LineWriter {
  const never = new Int32Array(new SharedArrayBuffer(4));
  return new LineWriter({
    writeSome: (bytes) => writeSync(descriptor, bytes),
    pause: (ms) => void Atomics.wait(never, 0, 0, ms),
  });
}
