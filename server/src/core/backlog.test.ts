// Changes of weights, limits and caps act on what waits already, also on what comes back after a crash.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConsumerDriver } from "./testing/consumer-driver.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { restarted } from "./testing/restarted.ts";

const keys = 100;
const perKey = 1_000;
const weightOf = (n: number): number => 1 + (n % 10);

/** 100,000 messages of 100 keys, and nobody to take them. */
function backlog(throttleKeys: readonly string[] = []): CoreDriver {
  const driver = new CoreDriver();
  driver.checked = false;
  driver.ask((request) => ({ type: "update-queue", request, name: "q", settings: { visibilityMs: 43_200_000 } }));
  for (let n = 0; n < keys; n += 1) driver.enqueue(`k${n}`, { count: perKey, throttleKeys });
  return driver;
}

/** Takes so many, and acks them. */
function takeAll(worker: ConsumerDriver, messages: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let left = messages; left > 0;) {
    const taken = worker.pull(Math.min(500, left));
    assert.ok(taken.length > 0);
    left -= taken.length;
    for (const { fairnessKey } of taken) counts.set(fairnessKey, (counts.get(fairnessKey) ?? 0) + 1);
    worker.ackAll(taken);
  }
  return counts;
}

function setWeights(driver: CoreDriver): void {
  for (let n = 0; n < keys; n += 1) {
    const override = { weight: weightOf(n) };
    driver.ask((request) => ({ type: "set-key", request, queue: "q", fairnessKey: `k${n}`, override }));
  }
}

describe("a backlog of 100,000 messages of 100 keys", () => {
  for (const crashed of [false, true]) {
    test(`has shares by its new weights over the next 100 rounds${crashed ? ", after a crash too" : ""}`, () => {
      const driver = backlog();
      takeAll(driver.open(), keys * 7 + 13);
      setWeights(driver);
      if (crashed) restarted(driver);
      const rounds = 100;
      const counts = takeAll(driver.open(), rounds * 550);
      for (let n = 0; n < keys; n += 1) {
        const share = (counts.get(`k${n}`) ?? 0) / (rounds * weightOf(n));
        assert.ok(share >= 0.99 && share <= 1.01, `k${n} has ${share} of its share`);
      }
    });
  }

  test("feels a new limit, its change and its end at once", () => {
    const driver = backlog(["t"]);
    const worker = driver.open();
    takeAll(worker, 1_000);
    const limit = (value: string): void => {
      driver.ask((request) => ({ type: "set-config", request, key: "throttle.t", value }));
    };
    const waiting = (): number => driver.core.state.throttles.waiting;
    limit("0,50");
    worker.credit(10_000);
    assert.equal(worker.take().length, 50);
    assert.equal(waiting(), keys, "all of them wait");
    limit("1000,50");
    driver.wait(20.01);
    assert.equal(worker.take().length, 20);
    limit("");
    assert.equal(waiting(), 0);
    assert.equal(worker.take().length, 1_000, "as many as the window of unwritten messages holds");
  });

  test("feels new caps at once", () => {
    const driver = backlog();
    const worker = driver.open();
    const update = (settings: object): void => {
      driver.ask((request) => ({ type: "update-queue", request, name: "q", settings }));
    };
    update({ maxInFlightPerKey: 2 });
    assert.equal(worker.pull(10_000).length, 2 * keys);
    update({ maxInFlightPerKey: 5, maxInFlight: 300 });
    assert.equal(worker.pull(10_000).length, 100);
    update({ maxInFlightPerKey: 0, maxInFlight: 301 });
    assert.equal(worker.pull(10_000).length, 1);
  });
});
