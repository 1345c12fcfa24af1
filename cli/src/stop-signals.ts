// Ctrl-C once drains, twice stops.
import { exitCodes } from "./exit-codes.ts";
import { stdio } from "./stdio.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * While a command runs: the first signal (SIGINT, SIGTERM, SIGHUP) aborts `signal`; the second one ends the process with
 * 130, after `last` where that is given; a third one does not wait for that.
 */
export class StopSignals {
  readonly #stdio = stdio();
  readonly #stop = new AbortController();
  readonly #last: (() => Promise<void>) | undefined;
  #leaving = false;
  readonly #onSignal = (): void => {
    if (!this.signal.aborted) return this.#stop.abort();
    if (this.#leaving || this.#last === undefined) process.exit(exitCodes.interrupted);
    this.#leaving = true;
    void this.#last().finally(() => process.exit(exitCodes.interrupted));
  };

  /** `last`: what must still be done before the process ends. */
  constructor(last?: () => Promise<void>) {
    this.#last = last;
    for (const signal of signals) this.#stdio.on(signal, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The process is about to end at once: what the command has left to say would be wrong. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Ends the command's work as the first Ctrl-C does. */
  abort(): void {
    this.#stop.abort();
  }

  [Symbol.dispose](): void {
    for (const signal of signals) this.#stdio.off(signal, this.#onSignal);
  }
}
