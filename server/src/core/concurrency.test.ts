// Limits of what may be leased at a time: of a queue, of each key, and of one key by its operator.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Delivery } from "./effects.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { ConsumerDriver } from "./testing/consumer-driver.ts";
import { CoreDriver } from "./testing/core-driver.ts";
import { restarted } from "./testing/restarted.ts";

const seed = 20_251_121;

function update(driver: CoreDriver, settings: Partial<QueueSettings>): void {
  driver.ask((request) => ({ type: "update-queue", request, name: "q", settings }));
}

function setCap(driver: CoreDriver, fairnessKey: string, maxInFlight: number): void {
  driver.ask((request) => ({ type: "set-key", request, queue: "q", fairnessKey, override: { maxInFlight } }));
}

const keysOf = (deliveries: readonly Delivery[]): string[] => deliveries.map(({ fairnessKey }) => fairnessKey).sort();

describe("concurrency", () => {
  test("a cap of 1 for each key works its messages off one by one, in order, while other keys go on", () => {
    const driver = new CoreDriver();
    update(driver, { maxInFlightPerKey: 1 });
    driver.enqueue("a", { count: 3 });
    driver.enqueue("b", { count: 3 });
    const worker = driver.open({ credit: 100 });
    const order: number[] = [];
    const held = worker.take();
    assert.deepEqual(keysOf(held), ["a", "b"]);
    while (held.length > 0) {
      const next = held.shift()!;
      order.push(next.sequence);
      assert.equal(worker.settle(next, "ack"), "OK");
      held.push(...worker.take());
      assert.equal(new Set(keysOf(held)).size, held.length);
    }
    assert.deepEqual(order, [1, 4, 2, 5, 3, 6]);
  });

  test("the queue's cap holds over its keys; whatever ends a lease lets the next one go", () => {
    const driver = new CoreDriver();
    update(driver, { maxInFlight: 2, visibilityMs: 1_000 });
    for (const key of ["a", "b", "c"]) driver.enqueue(key, { count: 4 });
    const worker = driver.open({ credit: 100 });
    const other = driver.open({ credit: 100 });
    const all = (): number => driver.stats().inFlight;
    assert.equal(all(), 2);
    const [first] = [...worker.take(), ...other.take()];
    const holder = worker.received.includes(first!) ? worker : other;
    for (const action of ["ack", "nack", "release"] as const) {
      const before = worker.received.length + other.received.length;
      const held = [...holder.received]
        .reverse()
        .find(({ id }) => driver.tell(id, "extend", { token: last(holder, id).token }) !== "LEASE_LOST")!;
      assert.equal(holder.settle(last(holder, held.id), action), "OK");
      assert.equal(worker.received.length + other.received.length, before + 1, action);
      assert.equal(all(), 2);
    }
    driver.wait(1_000);
    assert.equal(all(), 2, "expired leases make room, and it is taken");
    worker.close(worker.received.length);
    other.close(other.received.length);
    assert.equal(all(), 0);
  });

  test("an operator's cap on a key stands before the queue's, and goes with it", () => {
    const driver = new CoreDriver();
    update(driver, { maxInFlightPerKey: 2 });
    setCap(driver, "a", 3);
    driver.enqueue("a", { count: 9 });
    driver.enqueue("b", { count: 9 });
    const worker = driver.open({ credit: 100 });
    assert.deepEqual(keysOf(worker.take()), ["a", "a", "a", "b", "b"]);
    setCap(driver, "a", 0);
    assert.deepEqual(worker.take(), []);
    update(driver, { maxInFlightPerKey: 4 });
    assert.deepEqual(keysOf(worker.take()), ["a", "b", "b"]);
    update(driver, { maxInFlightPerKey: 0 });
    assert.deepEqual(keysOf(worker.take()), [...new Array<string>(5).fill("a"), ...new Array<string>(5).fill("b")]);
  });

  test("a lowered cap takes no lease away, and nothing is leased until there are fewer", () => {
    const driver = new CoreDriver();
    driver.enqueue("a", { count: 6 });
    const worker = driver.open({ credit: 4 });
    const held = worker.take();
    worker.credit(100);
    const more = worker.take();
    assert.equal(held.length + more.length, 6);
    driver.enqueue("a", { count: 3 });
    driver.enqueue("a", { count: 3 });
    const all = [...held, ...more, ...worker.take()];
    assert.equal(all.length, 12);
    setCap(driver, "a", 2);
    driver.enqueue("a", { count: 3 });
    for (const delivery of all.slice(0, 10)) {
      assert.equal(worker.settle(delivery, "ack"), "OK");
      assert.equal(worker.take().length, 0);
    }
    worker.settle(all[10]!, "ack");
    assert.equal(worker.take().length, 1);
  });

  test("a key at its cap resumes its visit, and gains nothing beside others", () => {
    const driver = new CoreDriver();
    driver.enqueue("a", { count: 400, weight: 3 });
    driver.enqueue("b", { count: 400 });
    setCap(driver, "a", 1);
    const worker = driver.open();
    const served = { a: 0, b: 0 };
    for (let round = 0; round < 200; round += 1) {
      const [delivery] = worker.pull(1);
      served[delivery!.fairnessKey as "a" | "b"] += 1;
      worker.settle(delivery!, "ack");
    }
    assert.deepEqual(served, { a: 150, b: 50 });
  });

  test("leases over a restart count", () => {
    const driver = new CoreDriver();
    update(driver, { maxInFlight: 5, maxInFlightPerKey: 2 });
    setCap(driver, "c", 1);
    for (const key of ["a", "b", "c"]) driver.enqueue(key, { count: 4 });
    const worker = driver.open({ credit: 100, session: "s" });
    assert.deepEqual(keysOf(worker.take()), ["a", "a", "b", "b", "c"]);
    restarted(driver);
    const after = driver.open({ credit: 100, session: "other" });
    assert.equal(after.take().length, 0);
    // Nobody came back for them.
    driver.wait(5_000);
    assert.deepEqual(keysOf(after.take()), ["a", "a", "b", "b", "c"]);
  });

  test("caps are never exceeded and never leak, whatever ends the leases", () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant("enqueue" as const), key: fc.nat(3), n: fc.integer({ min: 1, max: 5 }) }),
      fc.record({
        do: fc.constantFrom("ack" as const, "nack" as const, "release" as const),
        key: fc.nat(50),
        n: fc.nat(3),
      }),
      fc.record({
        do: fc.constantFrom("open" as const, "close" as const, "restart" as const, "cancel" as const),
        key: fc.nat(9),
        n: fc.nat(3),
      }),
      fc.record({
        do: fc.constantFrom("wait" as const, "cap" as const, "key-cap" as const, "queue-cap" as const),
        key: fc.nat(3),
        n: fc.nat(4),
      }),
    );
    let leased = 0;
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 60, size: "max" }), (actions) => {
        const walk = new Walk();
        for (const each of actions) walk.act(each.do, each.key, each.n);
        walk.checkNothingLeaks();
        leased += walk.leased;
      }),
      { seed, numRuns: 150 },
    );
    assert.ok(leased > 500, `${leased} steps leased something`);
  });
});

function last(worker: ConsumerDriver, id: string): Delivery {
  return worker.received.findLast((each) => each.id === id)!;
}

type Deed =
  | "enqueue"
  | "ack"
  | "nack"
  | "release"
  | "open"
  | "close"
  | "restart"
  | "cancel"
  | "wait"
  | "cap"
  | "key-cap"
  | "queue-cap";

/** Counts leases by what workers were told alone, and holds the caps against it when something new is leased. */
class Walk {
  readonly driver = new CoreDriver();
  readonly caps = { queue: 0, each: 0, own: new Map<string, number>() };
  workers: ConsumerDriver[] = [];
  leased = 0;
  readonly #keys = new Map<number, string>();
  #enqueued = 0;

  constructor() {
    update(this.driver, { visibilityMs: 1_000 });
  }

  act(deed: Deed, key: number, n: number): void {
    const { driver, workers } = this;
    const worker = workers[key % Math.max(1, workers.length)];
    const held = [...driver.core.state.leases.values()];
    const lease = held[key % Math.max(1, held.length)];
    const before = driver.mutations.length;
    if (deed === "enqueue") this.#enqueue(`k${key}`, n);
    else if (deed === "open" && workers.length < 4)
      workers.push(driver.open({ credit: 50, session: key > 6 ? "s" : "" }));
    else if (deed === "close" && worker !== undefined) {
      workers.splice(workers.indexOf(worker), 1);
      worker.close(n % 2 === 0 ? worker.received.length : 0);
    } else if (deed === "restart" && n === 0) {
      restarted(driver);
      this.workers = [];
    } else if (deed === "wait") driver.wait(n * 400);
    else if (deed === "queue-cap") this.#capQueue(n * 2);
    else if (deed === "cap") this.#capEach(n);
    else if (deed === "key-cap") this.#capKey(`k${key}`, n);
    else if (lease !== undefined && (deed === "ack" || deed === "nack" || deed === "release")) {
      driver.tell(driver.core.state.idOf(lease.slot), deed, { token: lease.token });
    } else if (lease !== undefined && deed === "cancel") {
      const id = driver.core.state.idOf(lease.slot);
      driver.ask((request) => ({ type: "cancel", request, queue: "q", id }));
    }
    const fresh = driver.mutations.slice(before).filter((each) => each.type === "leased");
    const keyOf = (sequence: number): string | undefined => this.#keys.get(sequence);
    if (fresh.length > 0) this.#check(new Set(fresh.map(({ sequence }) => keyOf(sequence)!)));
  }

  #enqueue(key: string, count: number): void {
    for (let n = 0; n < count; n += 1) this.#keys.set((this.#enqueued += 1), key);
    this.driver.enqueue(key, { count });
  }

  #capQueue(maxInFlight: number): void {
    this.caps.queue = maxInFlight;
    update(this.driver, { maxInFlight });
  }

  #capEach(maxInFlightPerKey: number): void {
    this.caps.each = maxInFlightPerKey;
    update(this.driver, { maxInFlightPerKey });
  }

  #capKey(key: string, cap: number): void {
    this.caps.own.set(key, cap);
    setCap(this.driver, key, cap);
  }

  /** Of whatever something was leased in the last step, no more may be leased now than its cap. */
  #check(fresh: ReadonlySet<string>): void {
    const { leases } = this.driver.core.state;
    this.leased += 1;
    const { queue, each, own } = this.caps;
    assert.ok(queue === 0 || leases.size <= queue, `${leases.size} of ${queue}`);
    for (const name of fresh) {
      const cap = own.get(name) || each;
      const held = [...leases.values()].filter(({ slot }) => this.driver.core.state.laneOf(slot).key.name === name);
      assert.ok(cap === 0 || held.length <= cap, `${name}: ${held.length} of ${cap}`);
    }
  }

  /** With all leases over, each cap is as wide as it says. */
  checkNothingLeaks(): void {
    const { driver } = this;
    for (const worker of this.workers) worker.close(0);
    driver.wait(10_000);
    driver.wait(10_000);
    assert.equal(driver.core.state.leases.size, 0);
    this.caps.own.forEach((_, key) => setCap(driver, key, 0));
    update(driver, { maxInFlight: 0, maxInFlightPerKey: 2 });
    for (let key = 0; key < 4; key += 1) driver.enqueue(`k${key}`, { count: 3 });
    const worker = driver.open({ credit: 100 });
    assert.deepEqual(keysOf(worker.take()), ["k0", "k0", "k1", "k1", "k2", "k2", "k3", "k3"]);
    update(driver, { maxInFlight: 9, maxInFlightPerKey: 0 });
    assert.equal(driver.stats().inFlight, 9);
  }
}
