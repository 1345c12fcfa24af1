// What tests of throttles share: limits, time that goes from one deadline to the next, and who was served how much.
import type { ConsumerDriver } from "./consumer-driver.ts";
import type { CoreDriver } from "./core-driver.ts";

/** @param value "rate,burst"; "" = none */
export function limit(driver: CoreDriver, key: string, value: string): void {
  driver.ask((request) => ({ type: "set-config", request, key: `throttle.${key}`, value }));
}

/** For queues of which nobody settles anything, so no lease may end. */
export const noExpiry = { visibilityMs: 43_200_000 };

export function update(driver: CoreDriver, settings: object): void {
  driver.ask((request) => ({ type: "update-queue", request, name: "q", settings }));
}

/** Goes on to each moment at which the core wants a turn, until a time has passed; the workers take what comes. */
export function runFor(driver: CoreDriver, milliseconds: number, ...workers: readonly ConsumerDriver[]): void {
  const end = driver.mono + milliseconds;
  for (let turns = 0; driver.core.nextDeadline <= end; turns += 1) {
    if (turns > 200_000) throw new Error("time does not go on");
    driver.wait(Math.max(0, driver.core.nextDeadline - driver.mono));
    for (const worker of workers) worker.take();
  }
  driver.wait(end - driver.mono);
}

/** A worker that takes one message each so many milliseconds. */
export function work(driver: CoreDriver, worker: ConsumerDriver, messages: number, eachMs: number): void {
  for (let n = 0; n < messages; n += 1) {
    worker.pull(1);
    runFor(driver, eachMs);
  }
}

/** What came to a worker, in cost units by key. */
export function served(worker: ConsumerDriver, costs: ReadonlyMap<string, number> = new Map()): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { fairnessKey } of worker.received) {
    sums.set(fairnessKey, (sums.get(fairnessKey) ?? 0) + (costs.get(fairnessKey) ?? 1));
  }
  return sums;
}
