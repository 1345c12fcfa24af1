// How late the event loop is: a timer says when it fired and when it should have. What it sees is what any event that
// arrives at a random moment sees. Twice a second costs an idle broker less than 0.1 % of a core; Node's own
// monitorEventLoopDelay costs three times that at its default of 10 ms, and its counts cannot be given out as buckets.
import { Histogram } from "./histogram.ts";

const periodMs = 500;

export class LoopLag {
  /** In milliseconds, shown in seconds. */
  readonly lag = new Histogram({ step: 0.001, largest: 60_000 });
  #timer: NodeJS.Timeout | undefined;

  start(): void {
    let due = performance.now() + periodMs;
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.lag.record(now - due);
      due = now + periodMs;
    }, periodMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
