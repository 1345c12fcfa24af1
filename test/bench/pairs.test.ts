import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { median, meets, pairedFigure, quantile } from "./pairs.ts";

describe("the pair rule", () => {
  test("the figure is the median of the ratios, not the ratio of the medians", () => {
    const figure = pairedFigure([100, 200, 400], [50, 160, 240]);
    assert.deepEqual(figure.ratios, [0.5, 0.8, 0.6]);
    assert.equal(figure.ratio, 0.6);
    assert.equal(figure.fila / figure.peer, 0.8);
  });

  test("a machine that slows down between pairs changes nothing", () => {
    const figure = pairedFigure([100, 50, 10], [60, 30, 6]);
    assert.equal(figure.ratio, 0.6);
    assert.equal(figure.spread, 1);
    assert.equal(figure.void, false);
  });

  test("pairs that contradict each other void the figure", () => {
    assert.equal(pairedFigure([100, 100], [60, 91]).void, true);
    assert.equal(pairedFigure([100, 100], [60, 90]).void, false);
  });

  test("a side without a value is an error, never a figure", () => {
    assert.throws(() => pairedFigure([], []));
    assert.throws(() => pairedFigure([1, 2], [1]));
    assert.throws(() => pairedFigure([0, 1], [1, 1]));
    assert.throws(() => pairedFigure([1, 1], [Number.NaN, 1]));
  });

  test("quantiles", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(quantile([10, 20, 30, 40, 50], 1), 50);
    assert.throws(() => quantile([], 0.5));
  });

  test("targets", () => {
    assert.equal(meets(0.55, { kind: "at least", value: 0.55 }), true);
    assert.equal(meets(0.54, { kind: "at least", value: 0.55 }), false);
    assert.equal(meets(1.9, { kind: "at most", value: 1.8 }), false);
    assert.equal(meets(1.04, { kind: "within", value: 0.05 }), true);
    assert.equal(meets(0.94, { kind: "within", value: 0.05 }), false);
  });
});
