import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Coverage, addCoverage, noCoverage, shortfalls } from "./coverage.ts";
import { Random } from "./random.ts";
import { runSeed } from "./run-seed.ts";

const seeds = 20;
const steps = 3_000;

describe("the simulation", () => {
  test(`${seeds} seeds of ${steps} steps keep every promise, and everything happens often enough`, async () => {
    const sum: Coverage = noCoverage();
    for (let seed = 1; seed <= seeds; seed += 1) {
      const { coverage } = await runSeed(seed, steps);
      assert.ok(coverage.crashes >= 1, `seed ${seed} had no crash`);
      addCoverage(sum, coverage);
    }
    assert.deepEqual(shortfalls(sum, seeds), []);
  });

  test("a seed gives the same trace again, another seed another one", async () => {
    const digests: string[] = [];
    for (const seed of [7, 7, 8]) digests.push((await runSeed(seed, 1_500)).digest);
    assert.equal(digests[0], digests[1]);
    assert.notEqual(digests[0], digests[2]);
  });

  test("too little of anything is noticed", () => {
    const sum = noCoverage();
    sum.steps = 1_000;
    assert.ok(shortfalls(sum, 10).some((each) => each.startsWith("acks: 0")));
  });

  test("the random numbers are spread evenly", () => {
    const random = new Random(5);
    const counts = new Array<number>(10).fill(0);
    for (let left = 100_000; left > 0; left -= 1) counts[random.below(10)]! += 1;
    for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, counts.join());
    for (let left = 1_000; left > 0; left -= 1) {
      const value = random.between(3, 5);
      assert.ok(value >= 3 && value <= 5);
    }
  });
});
