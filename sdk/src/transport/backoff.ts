// How long to wait before the next attempt: exponential, full jitter ("Exponential Backoff And Jitter", AWS, 2015).
import type { Clock } from "../clock.ts";

export interface BackoffOptions {
  /** Upper end of the first wait, milliseconds; doubles with each further one. */
  readonly baseMs: number;
  /** Where the doubling ends. */
  readonly capMs: number;
}

export class Backoff {
  readonly #clock: Clock;
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(clock: Clock, options: BackoffOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Milliseconds; at least what the broker asks for, up to the cap. */
  next(askedMs = 0): number {
    const { baseMs, capMs } = this.#options;
    const most = Math.min(capMs, baseMs * 2 ** Math.min(this.#attempts++, 30));
    return Math.max(this.#clock.random() * most, Math.min(askedMs, capMs));
  }

  /** It went well. */
  reset(): void {
    this.#attempts = 0;
  }
}
