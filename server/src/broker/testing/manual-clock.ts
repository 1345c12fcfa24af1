// A clock that stands still until a test moves it.
import type { Clock } from "../clock.ts";

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  #mono = 1_000;
  #wall = 1_700_000_000_000;
  readonly #timers = new Set<Timer>();

  mono(): number {
    return this.#mono;
  }

  wall(): number {
    return this.#wall;
  }

  after(ms: number, fire: () => void): () => void {
    const timer = { at: this.#mono + ms, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Somebody sets the wall clock. */
  set(by: number): void {
    this.#wall += by;
  }

  get timers(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#mono += ms;
    this.#wall += ms;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.#mono) return;
      this.#timers.delete(timer);
      timer.fire();
    }
  }
}
