// The circuit breaker of one script.
//
// States: closed -threshold failures in a row-> open -the cooldown is over, and the next call comes-> half-open (that one
// call is the probe) -it succeeds-> closed; -it fails-> open, for another cooldown; -it never takes place-> open, with the
// cooldown over. A success when closed sets the count of failures back. A new script begins closed. May never happen: a second call while a probe is under way.
import type { BreakerState } from "./port.ts";

export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly threshold: number;
  readonly cooldownMs: number;
}

/** What is to become of a call: it goes ahead; it is the probe; it does not take place. */
export type Admission = "call" | "probe" | "skip";

export class Breaker {
  #state: BreakerState = "closed";
  /** In a row. */
  #failures = 0;
  /** Monotonic clock. */
  #openedAt = 0;
  readonly #options: BreakerOptions;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get failures(): number {
    return this.#failures;
  }

  /** As an operator sees it: an open one whose cooldown is over lets the next call through. */
  stateAt(mono: number): BreakerState {
    return this.#state === "open" && this.#isOver(mono) ? "half-open" : this.#state;
  }

  ask(mono: number): Admission {
    if (this.#state === "closed") return "call";
    if (this.#state === "half-open" || !this.#isOver(mono)) return "skip";
    this.#state = "half-open";
    return "probe";
  }

  succeeded(): void {
    this.#state = "closed";
    this.#failures = 0;
  }

  /** Of calls that were under way when it opened, nothing is counted: the caller leaves them out. */
  failed(mono: number): void {
    this.#failures += 1;
    if (this.#state === "closed" && this.#failures < this.#options.threshold) return;
    this.#state = "open";
    this.#openedAt = mono;
  }

  /** Nobody will learn how the probe would have ended: the next call is one. */
  withdrawn(): void {
    if (this.#state === "half-open") this.#state = "open";
  }

  reset(): void {
    this.succeeded();
  }

  #isOver(mono: number): boolean {
    return mono >= this.#openedAt + this.#options.cooldownMs;
  }
}
