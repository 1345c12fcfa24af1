import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { QueueReading } from "../core/queue-stats.ts";
import { QueuePlaces, type QueueRow } from "./queue-places.ts";

function reading(number: number, rounds = 0): QueueReading {
  return {
    number,
    name: `q${number}`,
    depth: number,
    inFlight: 1,
    consumers: 0,
    activeKeys: 2,
    rounds,
    waitingSince: 1_000 - number,
  };
}

function readings(...numbers: number[]): QueueReading[] {
  return numbers.map((number) => reading(number));
}

/** Name, or "others" → messages enqueued. */
function enqueued(rows: readonly QueueRow[]): Record<string, number> {
  return Object.fromEntries(rows.map(({ name, counts }) => [name ?? "others", counts.enqueued]));
}

const minute = 60_000;

describe("queue places", () => {
  it("show every queue while there are places, also one that has done nothing, and forget a deleted one", () => {
    const places = new QueuePlaces(3, () => 5);
    places.countsOf(2).enqueued += 7;
    assert.deepEqual(enqueued(places.rows(readings(1, 2, 3))), { q1: 0, q2: 7, q3: 0 });
    places.deleted(2);
    assert.deepEqual(enqueued(places.rows(readings(1, 3))), { q1: 0, q3: 0 });
    // Its place is free again.
    assert.deepEqual(enqueued(places.rows(readings(1, 3, 4))), { q1: 0, q3: 0, q4: 0 });
    assert.equal(places.rows(readings(1))[0]?.since, 5);
  });

  it("go to the busiest when there are too many; the others are one row, with the sums and the longest wait", () => {
    const places = new QueuePlaces(2, () => 0);
    for (const [number, count] of [
      [1, 1],
      [2, 20],
      [3, 3],
      [4, 40],
    ] as const)
      places.countsOf(number).enqueued += count;
    const rows = places.rows(readings(1, 2, 3, 4));
    assert.deepEqual(enqueued(rows), { q2: 20, q4: 40, others: 4 });
    const { depth, inFlight, activeKeys, waitingSince } = rows.at(-1)!;
    assert.deepEqual([depth, inFlight, activeKeys, waitingSince], [4, 2, 4, 997]);
  });

  it("change only when a queue with a place is idle and one without is not, and at most once a minute", () => {
    let now = 0;
    const places = new QueuePlaces(2, () => now);
    const all = readings(1, 2, 3);
    for (const number of [1, 2]) places.countsOf(number).enqueued += 10;
    assert.deepEqual(enqueued(places.rows(all)), { q1: 10, q2: 10, others: 0 });
    places.countsOf(3).enqueued += 100;
    places.countsOf(1).enqueued += 1;
    now = minute - 1;
    assert.deepEqual(enqueued(places.rows(all)), { q1: 11, q2: 10, others: 100 });
    now = minute;
    // What the third did before stays with the others, and what the second had done joins it: they never go down.
    assert.deepEqual(enqueued(places.rows(all)), { q1: 11, q3: 0, others: 110 });
    assert.equal(places.rows(all).find(({ name }) => name === "q3")?.since, minute);
    places.countsOf(3).enqueued += 5;
    places.countsOf(2).enqueued += 2;
    assert.deepEqual(enqueued(places.rows(all)), { q1: 11, q3: 5, others: 112 });
  });

  it("count the rounds of a ring over its rebuilding", () => {
    const places = new QueuePlaces(2, () => 0);
    const rounds = (at: number): number | undefined => places.rows([reading(1, at)])[0]?.counts.rounds;
    assert.deepEqual([rounds(10), rounds(25), rounds(3), rounds(4)], [10, 25, 28, 29]);
  });

  it("are never more than there are, lose nothing, and the row of the others never goes down", () => {
    const steps = fc.array(
      fc.record({
        kind: fc.constantFrom("count", "count", "count", "delete", "look", "look", "wait"),
        queue: fc.integer({ min: 1, max: 8 }),
      }),
      { maxLength: 80 },
    );
    const property = fc.property(steps, fc.integer({ min: 1, max: 4 }), (all, limit) => {
      let now = 0;
      const places = new QueuePlaces(limit, () => now);
      let living = [1, 2, 3, 4, 5, 6];
      let total = 0;
      let lost = 0;
      let others = 0;
      for (const { kind, queue } of all) {
        if (kind === "wait") now += minute;
        else if (kind === "count" && living.includes(queue)) {
          places.countsOf(queue).enqueued += queue;
          total += queue;
        } else if (kind === "delete" && living.includes(queue)) {
          lost += places.rows(readings(...living)).find(({ name }) => name === `q${queue}`)?.counts.enqueued ?? 0;
          places.deleted(queue);
          living = living.filter((each) => each !== queue);
        }
        const rows = places.rows(readings(...living));
        assert.ok(rows.filter(({ name }) => name !== undefined).length <= limit);
        assert.equal(
          rows.reduce((sum, { counts }) => sum + counts.enqueued, 0),
          total - lost,
        );
        const now_ = rows.find(({ name }) => name === undefined)?.counts.enqueued ?? 0;
        assert.ok(now_ >= others, "the others went down");
        others = now_;
      }
    });
    fc.assert(property, { numRuns: 500 });
  });
});
