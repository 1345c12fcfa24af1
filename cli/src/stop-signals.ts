// Ctrl-C once drains, twice stops.
import { exitCodes } from "./exit-codes.ts";

/** While a command runs: the first SIGINT or SIGTERM aborts `signal`, the second one ends the process with 130. */
export class StopSignals {
  readonly #stop = new AbortController();
  readonly #onSignal = (): void => {
    if (this.signal.aborted) process.exit(exitCodes.interrupted);
    this.#stop.abort();
  };

  constructor() {
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Ends the command's work as the first Ctrl-C does. */
  abort(): void {
    this.#stop.abort();
  }

  [Symbol.dispose](): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }
}
