import assert from "node:assert/strict";
import { test } from "node:test";
import { readClocks } from "./clock.ts";

/** Both clocks go on by this much with each look at one of them. */
function clockWithGaps(gaps: readonly number[]) {
  let passed = 0;
  let look = 0;
  const next = (): number => (passed += gaps[look++] ?? 0);
  return { mono: () => 1_000 + next(), wall: () => 5_000 + next(), after: () => () => undefined };
}

test("both clocks are read at one moment, though the process stood still between two looks", () => {
  assert.deepEqual(readClocks(clockWithGaps([])), { mono: 1_000, wall: 5_000 });
  const { mono, wall } = readClocks(clockWithGaps([0, 70, 0, 0, 3, 0]));
  assert.deepEqual([mono, wall], [1_073, 5_073]);
});

test("a machine on which every look takes long still gets an answer", () => {
  const { mono, wall } = readClocks(clockWithGaps(new Array<number>(100).fill(1)));
  assert.equal(wall - mono, 4_001);
});
