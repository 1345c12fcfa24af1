import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Histogram } from "./histogram.ts";

describe("a histogram", () => {
  it("puts each value under the first bound that is not below it, and no bound is a quarter above its values", () => {
    const property = fc.property(fc.double({ min: 0, max: 2e9, noNaN: true }), (value) => {
      const histogram = new Histogram({ step: 1, largest: 1e9 });
      histogram.record(value);
      const bucket = histogram.counts.indexOf(1);
      const below = histogram.bounds.findIndex((bound) => value <= bound);
      assert.equal(bucket, below === -1 ? histogram.bounds.length : below);
      const bound = histogram.bounds[bucket];
      if (bound !== undefined && value > 4) assert.ok(bound <= value * 1.25 + 1, `${value} under ${bound}`);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it("has bounds that rise, and reach what it must tell", () => {
    for (const largest of [1, 4, 5, 60_000, 86_400_000]) {
      const { bounds, counts } = new Histogram({ step: 1, largest });
      assert.deepEqual(
        bounds,
        [...new Set(bounds)].sort((a, b) => a - b),
      );
      assert.ok(bounds.at(-1)! >= largest && (bounds.at(-2) ?? 0) < largest);
      assert.equal(counts.length, bounds.length + 1);
    }
    const fine = new Histogram({ step: 0.00005, largest: 10 });
    assert.deepEqual(fine.bounds, [0.00005, 0.0001, 0.00015, 0.0002, 0.00025, 0.0003, 0.00035, 0.0004, 0.0005]);
  });

  it("sums and counts, and takes a clock that was set back for no time at all", () => {
    const histogram = new Histogram({ step: 0.001, largest: 1_000 });
    for (const value of [0, 1, 250, 2 ** 40, -5]) histogram.record(value);
    assert.equal(histogram.count, 5);
    assert.equal(histogram.sum, (251 + 2 ** 40) / 1_000);
    assert.equal(histogram.counts[0], 3);
    assert.equal(histogram.counts.at(-1), 1);
  });
});
