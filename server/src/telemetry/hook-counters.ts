// Counts what the scripts of queues did. Like broker-counters.ts it adds to plain numbers.
import type { HookObserver } from "../hooks/port.ts";
import type { ScriptFailureReason } from "../hooks/script-engine.ts";
import { Histogram } from "./histogram.ts";
import type { QueuePlaces } from "./queue-places.ts";

/** Calls are counted in steps of 5 microseconds. */
const stepsPerMs = 200;

export class HookCounters implements HookObserver {
  /** Ten seconds is the longest that can be told. */
  readonly duration = new Histogram({ step: 0.001 / stepsPerMs, largest: 10_000 * stepsPerMs });
  readonly failures: Record<ScriptFailureReason, number> = {
    syntax: 0,
    instructions: 0,
    memory: 0,
    "string-length": 0,
    clock: 0,
    error: 0,
    watchdog: 0,
  };
  threadsLost = 0;
  readonly #places: QueuePlaces;

  constructor(places: QueuePlaces) {
    this.#places = places;
  }

  hookCalled(
    queueNumber: number,
    ms: number | undefined,
    failed: ScriptFailureReason | undefined,
    warnings: number,
  ): void {
    const counts = this.#places.countsOf(queueNumber);
    counts.hookCalls += 1;
    counts.hookWarnings += warnings;
    if (ms !== undefined) this.duration.record(ms * stepsPerMs);
    if (failed === undefined) return;
    counts.hookFailures += 1;
    this.failures[failed] += 1;
  }

  hookSkipped(queueNumber: number): void {
    this.#places.countsOf(queueNumber).hookSkips += 1;
  }

  hookThreadLost(): void {
    this.threadsLost += 1;
  }
}
