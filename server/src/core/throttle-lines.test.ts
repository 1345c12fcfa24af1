// Who waits in line at a bucket, and what holds up others there.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConsumerDriver } from "./testing/consumer-driver.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { Line } from "./throttle-line.ts";
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
    limit(driver, "all", "100,1");
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

  test("and whose visit came early delivers with the next one what it has the credit for", () => {
    const driver = new CoreDriver();
    limit(driver, "t", "10,1");
    driver.enqueue("k", { count: 2, throttleKeys: ["t"], weight: 6 });
    const dear = driver.enqueue("k", { count: 6, cost: 4 });
    driver.enqueue("k", { count: 40 });
    driver.enqueue("o", { count: 40, weight: 6 });
    const worker = driver.open();
    for (let n = 0; driver.core.state.throttles.waiting === 0; n += 1) worker.pull(1);
    worker.pull(2);
    runFor(driver, 100);
    while (throttledOf(worker) < 2) worker.pull(1);
    worker.pull(1);
    for (const id of dear) driver.ask((request) => ({ type: "cancel", request, queue: "q", id }));
    const before = served(worker);
    worker.pull(24);
    const fresh = (key: string): number => (served(worker).get(key) ?? 0) - (before.get(key) ?? 0);
    assert.ok(Math.abs(fresh("k") - fresh("o")) <= 12, `${fresh("k")} and ${fresh("o")}`);
  });
});

test("who has its turn at one bucket and waits at another holds up nobody at the first: all three are used whole", () => {
  const driver = quiet();
  const rates = new Map([
    ["a", 50],
    ["b", 43],
    ["c", 31],
  ]);
  for (const [name, rate] of rates) limit(driver, name, `${rate},5`);
  const sets = ["ab", "bc", "ac", "abc", "a", "b", "c"];
  for (const set of sets) driver.enqueue(set, { count: 2_000, throttleKeys: set.split("") });
  const worker = driver.open({ credit: 1e9 });
  worker.take();
  runFor(driver, 60_000, worker);
  const counts = served(worker);
  for (const [name, rate] of rates) {
    const naming = sets.filter((set) => set.includes(name));
    const used = naming.reduce((sum, set) => sum + (counts.get(set) ?? 0), 0);
    assert.ok(used >= 0.98 * rate * 60, `${name}: ${used} of ${rate * 60}`);
    const fewest = Math.min(...naming.map((set) => counts.get(set) ?? 0));
    assert.ok(fewest >= (0.7 * rate * 60) / naming.length || fewest >= 400, `${name}: ${fewest}`);
  }
});

test("the tokens that are set aside for a key go to the next one as soon as the key is paused", () => {
  const driver = new CoreDriver();
  driver.createQueue("r");
  limit(driver, "t", "10,1");
  driver.enqueue("a", { count: 2, throttleKeys: ["t"] });
  const q = driver.open({ credit: 2 });
  q.stop();
  driver.enqueue("x", { throttleKeys: ["t"], queue: "r" });
  const r = driver.open({ credit: 1, queue: "r" });
  driver.wait(101);
  assert.equal(r.take().length, 0);
  driver.ask((request) => ({
    type: "set-key",
    request,
    queue: "q",
    fairnessKey: "a",
    override: { paused: true },
  }));
  assert.equal(r.take().length, 1);
});

test("a cheaper message that comes to stand first goes as soon as there are tokens for it", () => {
  const driver = new CoreDriver();
  limit(driver, "t", "1,10");
  driver.enqueue("a", { cost: 10, throttleKeys: ["t"] });
  const [dear] = driver.enqueue("a", { cost: 10, weight: 100, throttleKeys: ["t"] });
  driver.enqueue("a", { cost: 2, throttleKeys: ["t"] });
  const worker = driver.open({ credit: 10 });
  assert.equal(worker.take().length, 1);
  driver.wait(3_000);
  driver.ask((request) => ({ type: "cancel", request, queue: "q", id: dear as string }));
  assert.equal(worker.take().length, 1);
});

test("a limit that is removed frees all who wait, in as many turns as it takes", () => {
  const driver = new CoreDriver({ freedPerTurn: 3 });
  limit(driver, "t", "0,1");
  for (let n = 0; n < 20; n += 1) driver.enqueue(`k${n}`, { throttleKeys: ["t"] });
  const worker = driver.open({ credit: 100 });
  limit(driver, "t", "");
  assert.equal(worker.take().length, 20);
});

test("those in line whose keys are held leave it in as many turns as it takes, and come back", () => {
  const driver = new CoreDriver({ freedPerTurn: 3 });
  limit(driver, "t", "0,1");
  for (let n = 0; n < 20; n += 1) {
    driver.enqueue(`k${n}`);
    driver.enqueue(`k${n}`, { throttleKeys: ["t"] });
  }
  const worker = driver.open({ credit: 100 });
  const { throttles } = driver.core.state;
  assert.deepEqual([worker.take().length, throttles.waiting], [21, 19]);
  update(driver, { maxInFlightPerKey: 1 });
  const lengths = [throttles.waiting];
  const command = { type: "set-config", request: driver.nextNumber(), key: "throttle.t", value: "0,2" } as const;
  for (let { more } = driver.turn([command]); more; { more } = driver.turn()) lengths.push(throttles.waiting);
  assert.deepEqual(lengths, [19, 16, 13, 10, 7, 4, 1]);
  assert.equal(throttles.waiting, 0);
  update(driver, { maxInFlightPerKey: 0 });
  assert.equal(throttles.waiting, 19);
  limit(driver, "t", "");
  assert.equal(worker.take().length, 19);
});

test("the lanes of one queue do not overtake the one that is called, however long its workers are busy", () => {
  const driver = new CoreDriver();
  limit(driver, "t", "10,10");
  driver.enqueue("a", { count: 2, cost: 10, weight: 10, throttleKeys: ["t"] });
  const worker = driver.open({ credit: 1 });
  driver.enqueue("c", { weight: 100 });
  driver.enqueue("c", { throttleKeys: ["t"] });
  worker.pull(1);
  driver.wait(1_001);
  driver.wait(200);
  assert.deepEqual(
    worker.pull(1).map(({ fairnessKey }) => fairnessKey),
    ["a"],
  );
});

test("what is set aside at one bucket stays so for as long as what is at the next one", () => {
  const driver = new CoreDriver();
  driver.createQueue("r");
  limit(driver, "x", "1,1");
  limit(driver, "y", "1,1");
  driver.enqueue("a", { throttleKeys: ["x"] });
  const worker = driver.open({ credit: 2 });
  const [both] = driver.enqueue("b", { throttleKeys: ["x", "y"] });
  driver.wait(80);
  driver.enqueue("c", { throttleKeys: ["y"] });
  worker.credit(1);
  const other = driver.open({ queue: "r", credit: 1 });
  driver.enqueue("d", { queue: "r", throttleKeys: ["x"] });
  // Called at x, and found short at y for 80 ms; then nobody takes anything.
  runFor(driver, 930);
  driver.enqueue("e");
  assert.equal(worker.take().length, 3);
  runFor(driver, 160);
  assert.equal(other.take().length, 0);
  worker.credit(1);
  assert.equal(worker.takeOne().id, both);
  runFor(driver, 1_000);
  assert.equal(other.take().length, 1);
});

describe("a lane that waits many rounds for a dear message", () => {
  function waiting(): { driver: CoreDriver; worker: ConsumerDriver; dear: string } {
    const driver = quiet();
    limit(driver, "t", "1000,1000");
    for (let n = 0; n < 10; n += 1) driver.enqueue(`o${n}`, { count: 700, throttleKeys: ["t"] });
    const worker = driver.open({ credit: 1e9 });
    worker.take();
    runFor(driver, 100, worker);
    const [dear] = driver.enqueue("x", { cost: 1_000, throttleKeys: ["t"] });
    runFor(driver, 100, worker);
    return { driver, worker, dear: dear as string };
  }

  test("does not wait for them when the message is gone", () => {
    const { driver, worker, dear } = waiting();
    driver.enqueue("x", { count: 100, throttleKeys: ["t"] });
    driver.ask((request) => ({ type: "cancel", request, queue: "q", id: dear }));
    runFor(driver, 330, worker);
    const got = served(worker).get("x") ?? 0;
    assert.ok(Math.abs(got - 30) <= 2, `${got} of 30`);
  });

  test("has no credit of those rounds when it is gone", () => {
    const { driver, worker, dear } = waiting();
    runFor(driver, 2_000, worker);
    driver.enqueue("x", { throttleKeys: ["t"] });
    driver.enqueue("x", { cost: 50, throttleKeys: ["t"] });
    driver.ask((request) => ({ type: "cancel", request, queue: "q", id: dear }));
    runFor(driver, 300, worker);
    assert.equal(served(worker).get("x"), 1);
    runFor(driver, 600, worker);
    assert.equal(served(worker).get("x"), 2);
  });

  test("does not wait for them when its key has more weight", () => {
    const { driver, worker } = waiting();
    driver.ask((request) => ({ type: "set-key", request, queue: "q", fairnessKey: "x", override: { weight: 500 } }));
    runFor(driver, 1_200, worker);
    assert.equal(served(worker).get("x"), 1);
  });
});

/** How often the first ones of lines are looked at for one delivery, where so many queues wait at one bucket. */
function looksPerDelivery(queues: number): number {
  const driver = quiet();
  limit(driver, "t", "1000,1");
  const workers: ConsumerDriver[] = [];
  for (let n = 0; n < queues; n += 1) {
    driver.createQueue(`q${n}`, noExpiry);
    workers.push(driver.open({ queue: `q${n}`, credit: 1_000 }));
    driver.enqueue("k", { queue: `q${n}`, count: 100, throttleKeys: ["t"] });
  }
  let looks = 0;
  const real = (["first", "placed", "urgent"] as const).map((name) => {
    const property = Object.getOwnPropertyDescriptor(Line.prototype, name) as PropertyDescriptor & {
      get: () => unknown;
    };
    const get = function (this: Line): unknown {
      looks += 1;
      return property.get.call(this);
    };
    Object.defineProperty(Line.prototype, name, { ...property, get });
    return [name, property] as const;
  });
  const before = workers.reduce((sum, { received }) => sum + received.length, 0);
  runFor(driver, 500);
  for (const [name, property] of real) Object.defineProperty(Line.prototype, name, property);
  const delivered = workers.reduce((sum, { received }) => sum + received.length, -before);
  assert.ok(delivered >= 499);
  return looks / delivered;
}

test("a delivery costs about the same however many queues wait at the bucket", () => {
  const [few, many] = [looksPerDelivery(10), looksPerDelivery(600)];
  assert.ok(many <= 3 * few, `${few} looks at lines a delivery with 10 queues, ${many} with 600`);
});
