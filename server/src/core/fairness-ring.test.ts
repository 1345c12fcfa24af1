// The ring alone, against the definition of deficit round robin and the bounds of scheduling.md.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FairnessRing, RingKey, maxCost } from "./fairness-ring.ts";

const seed = 20_250_701;

/** A key with an endless backlog whose costs repeat. */
class BackloggedKey extends RingKey {
  readonly costs: readonly number[];
  served = 0;
  delivered = 0;

  constructor(weight: number, costs: readonly number[]) {
    super();
    this.weight = weight;
    this.costs = costs;
  }

  get headCost(): number {
    return this.costs[this.delivered % this.costs.length] as number;
  }

  get largestCost(): number {
    return Math.max(...this.costs);
  }
}

const headCost = (key: RingKey): number => (key as BackloggedKey).headCost;

function ringOf(keys: readonly BackloggedKey[]): FairnessRing {
  const ring = new FairnessRing();
  for (const key of keys) ring.activate(key, key.headCost);
  return ring;
}

function deliverOne(ring: FairnessRing): BackloggedKey {
  const key = ring.peek(headCost) as BackloggedKey;
  const cost = key.headCost;
  key.served += cost;
  key.delivered += 1;
  ring.charge(key, cost, key.headCost);
  return key;
}

const weightsArbitrary = fc.array(fc.integer({ min: 1, max: 40 }), {
  minLength: 2,
  maxLength: 60,
  size: "max",
});
const costsArbitrary = fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: maxCost })), {
  minLength: 1,
  maxLength: 8,
});

describe("the fairness ring, cost 1", () => {
  test("every complete round gives each key its weight, in one visit", () => {
    fc.assert(
      fc.property(weightsArbitrary, fc.integer({ min: 1, max: 6 }), (weights, rounds) => {
        const keys = weights.map((weight) => new BackloggedKey(weight, [1]));
        const ring = ringOf(keys);
        const expected = Array.from({ length: rounds }, () =>
          keys.flatMap((key) => new Array<RingKey>(key.weight).fill(key)),
        );
        for (const key of expected.flat()) assert.equal(deliverOne(ring), key);
      }),
      { seed, numRuns: 100 },
    );
  });

  test("any window of R rounds is within one visit of each key's share", () => {
    fc.assert(
      fc.property(weightsArbitrary, fc.nat(1_000), fc.integer({ min: 1, max: 5 }), (weights, start, rounds) => {
        const keys = weights.map((weight) => new BackloggedKey(weight, [1]));
        const ring = ringOf(keys);
        for (let skipped = 0; skipped < start; skipped += 1) deliverOne(ring);
        const before = keys.map((key) => key.served);
        const round = weights.reduce((sum, weight) => sum + weight, 0);
        for (let at = 0; at < rounds * round; at += 1) {
          deliverOne(ring);
          // Also in the middle of a round.
          const progress = (at + 1) / round;
          for (const [index, key] of keys.entries()) {
            assert.ok(Math.abs(key.served - (before[index] as number) - progress * key.weight) <= key.weight);
          }
        }
      }),
      { seed, numRuns: 30 },
    );
  });

  test("visits that are hastened give nobody more than a visit, whenever they are", () => {
    fc.assert(
      fc.property(weightsArbitrary, fc.array(fc.nat(999), { minLength: 40, maxLength: 400 }), (weights, hastened) => {
        const keys = weights.map((weight) => new BackloggedKey(weight, [1]));
        const ring = ringOf(keys);
        const round = weights.reduce((sum, weight) => sum + weight, 0);
        for (const [at, which] of hastened.entries()) {
          ring.hasten(keys[which % keys.length] as BackloggedKey);
          deliverOne(ring);
          const progress = (at + 1) / round;
          for (const key of keys) assert.ok(Math.abs(key.served - progress * key.weight) <= 2 * key.weight);
        }
      }),
      { seed, numRuns: 60 },
    );
  });

  test("a visit that is hastened is the next one", () => {
    const keys = [2, 1, 3].map((weight) => new BackloggedKey(weight, [1]));
    const [, b, c] = keys;
    const ring = ringOf(keys);
    ring.hasten(c!);
    const order = Array.from({ length: 10 }, () => keys.indexOf(deliverOne(ring)));
    assert.deepEqual(order, [2, 2, 2, 0, 0, 1, 2, 2, 2, 0], "in the second round it comes in its turn");
    ring.hasten(b!);
    assert.equal(deliverOne(ring), keys[0], "an open visit goes on");
    assert.equal(deliverOne(ring), b);
  });

  test("2 to 5,000 keys: complete rounds are exact", () => {
    for (const count of [2, 3, 10, 100, 1_000, 5_000]) {
      const keys = Array.from({ length: count }, (_, at) => new BackloggedKey(1 + ((at * 7) % 13), [1]));
      const ring = ringOf(keys);
      const round = keys.reduce((sum, key) => sum + key.weight, 0);
      for (let left = 3 * round; left > 0; left -= 1) deliverOne(ring);
      for (const key of keys) assert.equal(key.served, 3 * key.weight);
    }
  });

  test("a newcomer is served after at most the sum of the active weights", () => {
    fc.assert(
      fc.property(weightsArbitrary, fc.array(fc.nat(300), { minLength: 1, maxLength: 5 }), (weights, gaps) => {
        const keys = weights.map((weight) => new BackloggedKey(weight, [1]));
        const ring = ringOf(keys);
        for (const gap of gaps) {
          for (let skipped = 0; skipped < gap; skipped += 1) deliverOne(ring);
          const bound = keys.reduce((sum, key) => sum + key.weight, 0);
          const newcomer = new BackloggedKey(3, [1]);
          keys.push(newcomer);
          ring.activate(newcomer, 1);
          let others = 0;
          while (deliverOne(ring) !== newcomer) others += 1;
          assert.ok(others <= bound, `${others} others came first, allowed are ${bound}`);
        }
      }),
      { seed, numRuns: 100 },
    );
  });

  test("nothing is gained by leaving the ring and coming back", () => {
    fc.assert(
      fc.property(weightsArbitrary, fc.array(fc.nat(50), { minLength: 1, maxLength: 40 }), (weights, gaps) => {
        const keys = weights.map((weight) => new BackloggedKey(weight, [1]));
        const ring = ringOf(keys);
        const oscillating = keys[0] as BackloggedKey;
        const perRound = new Map<number, number>();
        for (const gap of gaps) {
          for (let skipped = 0; skipped < gap; skipped += 1) {
            const key = deliverOne(ring);
            if (key === oscillating) perRound.set(ring.round, (perRound.get(ring.round) ?? 0) + 1);
          }
          ring.deactivate(oscillating);
          ring.activate(oscillating, 1);
        }
        for (const [round, served] of perRound) {
          assert.ok(served <= oscillating.weight, `${served} of weight ${oscillating.weight} in round ${round}`);
        }
        for (const key of keys.slice(1)) {
          // It began in round 1 and never left, so it lacks no more than its visit of the round under way.
          assert.ok(key.served >= (ring.round - 1) * key.weight && key.served <= ring.round * key.weight);
        }
      }),
      { seed, numRuns: 100 },
    );
  });
});

describe("the fairness ring, mixed costs", () => {
  const keysArbitrary = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), costsArbitrary), {
    minLength: 1,
    maxLength: 30,
    size: "max",
  });

  test("served cost over R rounds is within (largest cost - 1) of R x weight", () => {
    fc.assert(
      fc.property(keysArbitrary, fc.integer({ min: 1, max: 2_000 }), (specs, deliveries) => {
        const keys = specs.map(([weight, costs]) => new BackloggedKey(weight, costs));
        const ring = ringOf(keys);
        let round = 0;
        for (let left = deliveries; left > 0; left -= 1) {
          ring.peek(headCost);
          if (ring.round !== round) {
            // All rounds before the present one are complete.
            for (const key of keys) {
              const entitled = (ring.round - 1) * key.weight;
              assert.ok(key.served <= entitled && entitled - key.served <= key.largestCost - 1);
            }
            round = ring.round;
          }
          deliverOne(ring);
        }
      }),
      { seed, numRuns: 150 },
    );
  });

  test("each round serves what the textbook's deficit round robin serves", () => {
    fc.assert(
      fc.property(keysArbitrary, fc.integer({ min: 1, max: 1_000 }), (specs, deliveries) => {
        const keys = specs.map(([weight, costs]) => new BackloggedKey(weight, costs));
        const ring = ringOf(keys);
        const served = new Map<number, Map<RingKey, number>>();
        for (let left = deliveries; left > 0; left -= 1) {
          const key = deliverOne(ring);
          const round = served.get(ring.round) ?? new Map<RingKey, number>();
          served.set(ring.round, round.set(key, (round.get(key) ?? 0) + 1));
        }
        served.delete(ring.round);
        for (const key of keys) {
          let deficit = 0;
          let next = 0;
          for (let round = 1; round < ring.round; round += 1) {
            deficit += key.weight;
            let count = 0;
            for (; deficit >= (key.costs[next % key.costs.length] as number); count += 1) {
              deficit -= key.costs[next % key.costs.length] as number;
              next += 1;
            }
            assert.equal(served.get(round)?.get(key) ?? 0, count);
          }
        }
      }),
      { seed, numRuns: 100 },
    );
  });

  test("a key is not visited before it can pay", () => {
    // 1,000 keys of weight 1 with messages of cost 1,000: visiting in vain would cost 1,000 visits per delivery.
    const keys = Array.from({ length: 1_000 }, () => new BackloggedKey(1, [maxCost]));
    const ring = ringOf(keys);
    ring.operations = 0;
    for (let left = 5_000; left > 0; left -= 1) deliverOne(ring);
    assert.ok(ring.operations <= 5_000 * 5, `${ring.operations} operations`);
    assert.ok(keys.every((key) => key.delivered === 5));
  });

  test("a visit whose next message became dearer waits for the difference only", () => {
    const ring = new FairnessRing();
    const costs = new Map<RingKey, number>();
    const cost = (key: RingKey): number => costs.get(key) as number;
    const a = new RingKey();
    const b = new RingKey();
    a.weight = 4;
    for (const key of [a, b]) {
      costs.set(key, 1);
      ring.activate(key, 1);
    }
    assert.equal(ring.peek(cost), a);
    costs.set(a, 6);
    ring.headChanged(a, 6);
    assert.equal(ring.peek(cost), b);
    ring.charge(b, 1, 1);
    assert.equal(ring.round, 1);
    assert.equal(ring.peek(cost), a);
    assert.equal(a.deficit, 8);
    ring.charge(a, 6, 1);
    assert.equal(a.deficit, 2);
  });
});

describe("the fairness ring, weights and work", () => {
  test("a lowered weight clips what is left to one visit; a raised one acts from the next visit", () => {
    const [a, b] = [new BackloggedKey(100, [1]), new BackloggedKey(1, [1])];
    const ring = ringOf([a, b]);
    deliverOne(ring);
    ring.setWeight(a, 3, 1);
    assert.equal(a.deficit, 3);
    for (let left = 3; left > 0; left -= 1) assert.equal(deliverOne(ring), a);
    assert.equal(deliverOne(ring), b);
    assert.equal(deliverOne(ring), a);
    ring.setWeight(a, 5, 1);
    assert.deepEqual([deliverOne(ring), deliverOne(ring), deliverOne(ring)], [a, a, b]);
    const next = Array.from({ length: 6 }, () => deliverOne(ring));
    assert.deepEqual(next, [a, a, a, a, a, b]);
  });

  test("weights that change at random never give more than was credited", () => {
    const step = fc.tuple(fc.nat(200), fc.nat(9), fc.integer({ min: 1, max: 60 }));
    fc.assert(
      fc.property(
        fc.array(costsArbitrary, { minLength: 10, maxLength: 10 }),
        fc.array(step, { maxLength: 60 }),
        (costs, steps) => {
          const keys = costs.map((each) => new BackloggedKey(1, each));
          const ring = ringOf(keys);
          const heaviest = keys.map(() => 1);
          for (const [deliveries, which, weight] of steps) {
            for (let left = deliveries; left > 0; left -= 1) deliverOne(ring);
            const key = keys[which] as BackloggedKey;
            ring.setWeight(key, weight, key.headCost);
            heaviest[which] = Math.max(heaviest[which] as number, weight);
            const places = [...ring.filed()];
            assert.equal(places.length + (ring.visiting === undefined ? 0 : 1), keys.length);
            for (const [filed, round] of places) assert.ok(filed.dueRound === round && round >= ring.round);
          }
          for (const [at, key] of keys.entries()) assert.ok(key.served <= ring.round * (heaviest[at] as number));
        },
      ),
      { seed, numRuns: 150 },
    );
  });

  for (const [name, costs] of [
    ["cost 1", [1]],
    ["mixed costs", [1, 7, 1_000, 30]],
  ] as const) {
    test(`a delivery costs the same number of steps at 10 and at 1,000,000 keys, ${name}`, () => {
      const perDelivery = (count: number): number => {
        const keys = Array.from({ length: count }, (_, at) => new BackloggedKey(1 + (at % 5), costs));
        const ring = ringOf(keys);
        ring.operations = 0;
        const deliveries = 2_000_000;
        for (let left = deliveries; left > 0; left -= 1) deliverOne(ring);
        return ring.operations / deliveries;
      };
      const few = perDelivery(10);
      const many = perDelivery(1_000_000);
      assert.ok(many <= few, `${few} steps per delivery with 10 keys, ${many} with 1,000,000`);
      assert.ok(few <= 20, `${few} steps per delivery`);
    });
  }

  test("joining and leaving cost the same number of steps at 10 and at 1,000,000 keys", () => {
    const perChange = (count: number): number => {
      const keys = Array.from({ length: count }, () => new BackloggedKey(1, [1]));
      const ring = ringOf(keys);
      for (let left = 5; left > 0; left -= 1) deliverOne(ring);
      ring.operations = 0;
      for (let at = 0; at < 1_000; at += 1) {
        const key = keys[at % count] as BackloggedKey;
        ring.deactivate(key);
        ring.activate(key, 1);
      }
      return ring.operations / 1_000;
    };
    assert.equal(perChange(1_000_000), perChange(10));
  });
});
