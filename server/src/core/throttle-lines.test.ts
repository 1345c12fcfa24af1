// Who waits in line at a bucket, and what holds up others there.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConsumerDriver } from "./testing/consumer-driver.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { limit, noExpiry, runFor, served, update, work } from "./testing/throttled.ts";

function quiet(): CoreDriver {
  const driver = new CoreDriver();
  driver.checked = false;
  update(driver, noExpiry);
  return driver;
}

function throttledOf({ received }: ConsumerDriver): number {
  return received.filter(({ throttleKeys }) => throttleKeys.length > 0).length;
}

describe("a lane whose turn it is at a bucket", () => {
  test("and that stands behind older messages of its key holds up nobody", () => {
    const driver = quiet();
    limit(driver, "t", "50,1");
    for (let n = 0; n < 20; n += 1) {
      driver.enqueue(`k${n}`, { count: 2, throttleKeys: ["t"] });
      driver.enqueue(`k${n}`, { count: 100 });
      driver.enqueue(`k${n}`, { count: 5, throttleKeys: ["t"] });
    }
    for (let n = 0; n < 50; n += 1) driver.enqueue(`o${n}`, { count: 10, throttleKeys: ["t"] });
    const worker = driver.open();
    work(driver, worker, 1_000, 10);
    assert.ok(throttledOf(worker) >= 0.98 * 500, `${throttledOf(worker)} of 500`);
  });

  test("and finds itself behind older messages that may go by now holds up nobody", () => {
    const driver = quiet();
    limit(driver, "t", "10,1");
    limit(driver, "u", "0,1");
    driver.enqueue("k", { count: 1_000, throttleKeys: ["u"] });
    driver.enqueue("k", { count: 5, throttleKeys: ["t"] });
    const worker = driver.open();
    work(driver, worker, 3, 0);
    for (let n = 0; n < 5; n += 1) driver.enqueue(`o${n}`, { count: 100, throttleKeys: ["t"] });
    work(driver, worker, 5, 0);
    // Nobody takes what the lane is called for, and then the others go first.
    driver.wait(110);
    limit(driver, "u", "");
    const before = throttledOf(worker);
    work(driver, worker, 1_000, 10);
    const got = worker.received.slice(before).filter(({ throttleKeys }) => throttleKeys.includes("t")).length;
    assert.ok(got >= 95, `${got} of 100`);
  });

  test("and that is short at a slower one lets the others go on until it has what it needs there", () => {
    const driver = quiet();
    limit(driver, "all", "100,10");
    limit(driver, "slow", "0.02,1");
    for (let n = 0; n < 1_000; n += 1) driver.enqueue(`o${n}`, { count: 4, throttleKeys: ["all"] });
    const worker = driver.open({ credit: 1e9 });
    runFor(driver, 50, worker);
    // It has to wait longer at the fast one, and while it does, another lane takes what the slow one had.
    driver.enqueue("x", { count: 5, throttleKeys: ["all", "slow"] });
    runFor(driver, 500, worker);
    driver.enqueue("y", { throttleKeys: ["slow"] });
    runFor(driver, 29_450, worker);
    assert.ok(worker.received.length >= 0.98 * 3_000, `${worker.received.length} of 3,000`);
    runFor(driver, 60_000, worker);
    assert.ok((served(worker).get("x") ?? 0) >= 1, "and has its turn then");
  });

  test("goes at once where its key has others to deliver: the bucket is used, and each key has its share all the same", () => {
    const driver = quiet();
    limit(driver, "t", "20,5");
    const keys = 100;
    for (let n = 0; n < keys; n += 1) {
      driver.enqueue(`k${n}`, { count: 20, throttleKeys: ["t"] });
      driver.enqueue(`k${n}`, { count: 60 });
    }
    const worker = driver.open();
    work(driver, worker, 3_000, 10);
    assert.ok(throttledOf(worker) >= 0.98 * 600, `${throttledOf(worker)} of 600`);
    for (const [key, count] of served(worker)) assert.ok(Math.abs(count - 30) <= 1, `${key}: ${count} of 30`);
  });
});
