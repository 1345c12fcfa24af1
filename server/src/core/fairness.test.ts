// Fairness as scheduling.md promises it, through the whole core: turns, consumers and credit included.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Delivery } from "./effects.ts";
import type { ConsumerDriver } from "./testing/consumer-driver.ts";
import { CoreDriver, item } from "./testing/core-driver.ts";

const seed = 20_250_702;

function tally(deliveries: readonly Delivery[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { fairnessKey } of deliveries) counts.set(fairnessKey, (counts.get(fairnessKey) ?? 0) + 1);
  return counts;
}

/** Pulls in portions of random size and settles some of what comes, so that visits stop in the middle. */
function pullInPortions(consumer: ConsumerDriver, portions: readonly number[], total: number): Delivery[] {
  const taken: Delivery[] = [];
  for (let at = 0; taken.length < total; at += 1) {
    const portion = Math.min(portions[at % portions.length] as number, total - taken.length);
    const fresh = consumer.pull(portion);
    assert.equal(fresh.length, portion, "credit is used up while there are messages");
    taken.push(...fresh);
    if (at % 2 === 0) consumer.ackAll(fresh);
  }
  return taken;
}

describe("shares", () => {
  test("weights 3:1 are 3:1 with a credit of 1", () => {
    const driver = new CoreDriver();
    driver.enqueue("heavy", { count: 400, weight: 3 });
    driver.enqueue("light", { count: 400 });
    const consumer = driver.open();
    const keys: string[] = [];
    for (let left = 400; left > 0; left -= 1) {
      const [delivery] = consumer.pull(1) as [Delivery];
      keys.push(delivery.fairnessKey);
      assert.equal(consumer.settle(delivery, "ack"), "OK");
    }
    assert.deepEqual(
      keys,
      Array.from({ length: 400 }, (_, at) => (at % 4 === 3 ? "light" : "heavy")),
    );
  });

  test("complete rounds are exact, whatever the credit and the sizes of the enqueues", () => {
    const specs = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 25, size: "max" });
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(specs, sizes, sizes, (weights, enqueues, portions) => {
        const driver = new CoreDriver();
        driver.checked = false;
        const rounds = 4;
        for (const [at, weight] of weights.entries()) {
          // The one enqueue of a key may be split in any way.
          let left = rounds * weight;
          for (let part = at; left > 0; part += 1) {
            const count = Math.min(left, enqueues[part % enqueues.length] as number);
            driver.enqueue(`k${at}`, { count, weight });
            left -= count;
          }
        }
        const round = weights.reduce((sum, weight) => sum + weight, 0);
        const deliveries = pullInPortions(driver.open(), portions, rounds * round);
        for (let at = 0; at < rounds; at += 1) {
          const counts = tally(deliveries.slice(at * round, (at + 1) * round));
          for (const [key, weight] of weights.entries()) assert.equal(counts.get(`k${key}`), weight);
        }
      }),
      { seed, numRuns: 60 },
    );
  });

  test("mixed costs: served cost over R rounds is within (largest cost - 1) of R x weight", () => {
    const keySpec = fc.record({
      weight: fc.integer({ min: 1, max: 30 }),
      costs: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(fc.array(keySpec, { minLength: 2, maxLength: 12, size: "max" }), fc.nat(500), (specs, deliveries) => {
        const driver = new CoreDriver();
        driver.checked = false;
        for (const [at, { weight, costs }] of specs.entries()) {
          const items = Array.from({ length: 500 }, (_, n) =>
            item(`k${at}`, { weight, cost: costs[n % costs.length] as number }),
          );
          driver.enqueueItems(items);
        }
        const consumer = driver.open();
        const served = specs.map(() => 0);
        const seen = specs.map(() => 0);
        const { ring } = driver.core.state.queuesByNumber.get(1)!;
        for (let left = deliveries; left > 0; left -= 1) {
          // The visit of the next delivery is open already, so all rounds before its round are complete.
          const { round } = ring;
          const [{ fairnessKey }] = consumer.pull(1) as [Delivery];
          const at = Number(fairnessKey.slice(1));
          const { costs } = specs[at]!;
          const before = served.slice();
          served[at]! += costs[seen[at]! % costs.length]!;
          seen[at]! += 1;
          if (seen[at]! >= 499) return;
          for (const [key, { weight, costs: all }] of specs.entries()) {
            const entitled = (round - 1) * weight;
            // In the round under way it may have had its visit.
            assert.ok(before[key]! <= entitled + weight);
            assert.ok(round === 0 || entitled - before[key]! <= Math.max(...all) - 1);
          }
        }
      }),
      { seed, numRuns: 40 },
    );
  });

  test("5,000 keys share exactly", () => {
    const driver = new CoreDriver();
    const items = Array.from({ length: 15_000 }, (_, at) => item(`k${at % 5_000}`));
    driver.enqueueItems(items);
    const consumer = driver.open();
    for (let round = 0; round < 3; round += 1) {
      const counts = tally(consumer.pull(5_000));
      assert.equal(counts.size, 5_000);
    }
    assert.equal(consumer.pull(1).length, 0);
  });

  test("a delivery takes the same steps of the ring with 10 and with 100,000 keys", () => {
    const steps = (count: number): number => {
      const driver = new CoreDriver();
      driver.enqueueItems(Array.from({ length: Math.max(count, 20_000) }, (_, at) => item(`k${at % count}`)));
      const { ring } = driver.core.state.queuesByNumber.get(1)!;
      ring.operations = 0;
      const consumer = driver.open();
      for (let left = 20_000; left > 0; left -= 1_000) consumer.pull(1_000);
      assert.equal(consumer.received.length, 20_000);
      return ring.operations / 20_000;
    };
    const few = steps(10);
    assert.ok(steps(100_000) <= few && few < 5);
  });
});

describe("who comes late, who comes and goes", () => {
  test("a message of an idle key is delivered after at most the sum of the active weights", () => {
    const spec = fc.record({
      weights: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 20, size: "max" }),
      skip: fc.nat(150),
      portions: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(spec, ({ weights, skip, portions }) => {
        const driver = new CoreDriver();
        driver.checked = false;
        for (const [at, weight] of weights.entries()) driver.enqueue(`k${at}`, { count: 400, weight });
        const consumer = driver.open();
        pullInPortions(consumer, portions, skip);
        driver.enqueue("late");
        const bound = weights.reduce((sum, weight) => sum + weight, 0);
        const keys = pullInPortions(consumer, portions, bound + 1).map((delivery) => delivery.fairnessKey);
        assert.ok(keys.includes("late"));
      }),
      { seed, numRuns: 80 },
    );
  });

  test("a key gains nothing by emptying and refilling", () => {
    const spec = fc.record({
      portions: fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 8 }),
      refill: fc.integer({ min: 1, max: 5 }),
      weight: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(spec, ({ portions, refill, weight }) => {
        const driver = new CoreDriver();
        driver.checked = false;
        for (let at = 0; at < 5; at += 1) driver.enqueue(`steady${at}`, { count: 300 });
        const consumer = driver.open();
        const served: string[] = [];
        for (let turn = 0; turn < 120; turn += 1) {
          if (!driver.core.state.queuesByNumber.get(1)!.keys.has("flapping"))
            driver.enqueue("flapping", { count: refill, weight });
          const fresh = consumer.pull(portions[turn % portions.length]!);
          consumer.ackAll(fresh);
          for (const { fairnessKey } of fresh) served.push(fairnessKey);
        }
        // Between two of its visits every steady key is visited once.
        for (let from = 0; from < served.length; from += 1) {
          let flapping = 0;
          const steady = new Map<string, number>();
          for (const key of served.slice(from, from + 60)) {
            if (key === "flapping") flapping += 1;
            else steady.set(key, (steady.get(key) ?? 0) + 1);
            const least = steady.size < 5 ? 0 : Math.min(...steady.values());
            assert.ok(flapping <= weight * (least + 2), `${flapping} of weight ${weight} against ${least}`);
          }
        }
      }),
      { seed, numRuns: 25 },
    );
  });

  test("keys that came and went leave nothing behind", () => {
    const driver = new CoreDriver();
    const consumer = driver.open();
    for (let at = 0; at < 20_000; at += 1_000) {
      driver.enqueueItems(
        Array.from({ length: 1_000 }, (_, n) => item(`k${at + n}`, { weight: 2, throttleKeys: [`t${n}`] })),
      );
      consumer.ackAll(consumer.pull(1_000));
    }
    const { state } = driver.core;
    assert.equal(state.queuesByNumber.get(1)!.keys.size, 0);
    assert.equal([...state.lanes()].length, 0);
    assert.equal(state.table.size, 0);
    assert.equal(state.index.size, 0);
  });
});

describe("weights", () => {
  test("belong to the key: the last one named wins, and acts on the whole backlog from the next visit", () => {
    const driver = new CoreDriver();
    driver.enqueue("a", { count: 30, weight: 2 });
    driver.enqueue("b", { count: 30 });
    const consumer = driver.open();
    const keys = (count: number): string =>
      consumer
        .pull(count)
        .map((each) => each.fairnessKey)
        .join("");
    assert.equal(keys(6), "aabaab");
    driver.enqueue("a", { weight: 4 });
    assert.equal(keys(8), "aaaabaaa");
    // Without a weight the key keeps its own.
    driver.enqueue("a");
    assert.equal(keys(4), "abaa");
    // Lowered in the middle of a visit: what is left of it is clipped to one visit of the new weight.
    driver.enqueue("a", { weight: 1 });
    assert.equal(keys(4), "abab");
  });

  test("are shown as they are at the delivery", () => {
    const driver = new CoreDriver();
    driver.enqueue("a", { weight: 5 });
    driver.enqueue("a", { weight: 9 });
    driver.enqueue("b");
    const shown = driver
      .open()
      .pull(3)
      .map(({ fairnessKey, weight }) => [fairnessKey, weight]);
    assert.deepEqual(shown, [
      ["a", 9],
      ["a", 9],
      ["b", 1],
    ]);
  });

  test("go with the last message of their key, and are written down as long as they differ", () => {
    const driver = new CoreDriver();
    driver.enqueue("a", { weight: 5 });
    const consumer = driver.open();
    consumer.ackAll(consumer.pull(1));
    driver.enqueue("a");
    assert.equal(consumer.pull(1)[0]?.weight, 1);
    const weights = driver.mutations
      .filter(({ type }) => type === "weighed" || type === "forgotten")
      .map(({ type }) => type);
    assert.deepEqual(weights, ["weighed", "forgotten"]);
  });
});

describe("between queues", () => {
  test("the budget of a turn is shared, also when there are more queues than leases in a turn", () => {
    const driver = new CoreDriver({ leasesPerTurn: 2 });
    const names = ["q", "r", "s", "t", "u"];
    const consumers = names.map((queue) => {
      if (queue !== "q") driver.createQueue(queue);
      driver.enqueue("k", { count: 40, queue });
      return driver.open({ queue });
    });
    driver.turn(consumers.map(({ id }) => ({ type: "credit", consumer: id, messages: 40 })));
    for (let turn = 1; turn < 20; turn += 1) driver.turn();
    assert.deepEqual(
      consumers.map(({ received }) => received.length),
      [8, 8, 8, 8, 8],
    );
  });

  test("a busy queue does not starve another one that becomes active", () => {
    const driver = new CoreDriver({ leasesPerTurn: 10 });
    driver.createQueue("r");
    const [busy, calm] = [driver.open(), driver.open({ queue: "r", credit: 5 })];
    driver.enqueue("k", { count: 500 });
    driver.turn([{ type: "credit", consumer: busy.id, messages: 500 }]);
    const request = driver.nextNumber();
    driver.turn([{ type: "enqueue", request, items: [item("k", { queue: "r" })] }]);
    assert.equal(calm.received.length, 1);
  });

  test("a turn that runs out of random words goes on in the next one", () => {
    const driver = new CoreDriver({}, 21);
    driver.enqueue("k", { count: 25 });
    const consumer = driver.open();
    consumer.credit(25);
    assert.equal(consumer.received.length, 25);
    assert.equal(new Set(consumer.received.map(({ token }) => `${token.high}.${token.low}`)).size, 25);
  });
});
