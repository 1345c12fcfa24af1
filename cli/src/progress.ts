// How far a long work is, for people who watch.

/** How often the line is written anew, at most. */
const intervalMs = 100;

export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** One line that is written over itself; nothing at all where nobody watches. */
export class Progress {
  readonly #terminal: Terminal | undefined;
  readonly #now: () => number;
  readonly #begun: number;
  #last: number;
  #shown = false;

  /** `wanted`: false shows nothing even on a terminal. `now` in milliseconds. */
  constructor(terminal: Terminal, wanted: boolean, now: () => number = () => performance.now()) {
    this.#terminal = wanted && terminal.isTTY === true ? terminal : undefined;
    this.#now = now;
    this.#begun = this.#last = now();
  }

  /** `count` is all that was done so far. To be called with each step. */
  update(count: number): void {
    if (this.#terminal === undefined) return;
    const now = this.#now();
    if (now - this.#last < intervalMs) return;
    this.#last = now;
    this.#shown = true;
    const rate = Math.round((count * 1000) / (now - this.#begun));
    this.#terminal.write(`\r\u001b[2K${grouped(count)} message(s), ${grouped(rate)} per second`);
  }

  /** Takes the line away, so that something else can be said. */
  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#terminal?.write("\r\u001b[2K");
  }
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
