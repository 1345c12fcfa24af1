import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SortedMap } from "./sorted-map.ts";

const FIRST = new Uint8Array(0);
const LAST = Uint8Array.of(255, 255, 255, 255, 255);

function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, number);
  return key;
}

function contents(map: SortedMap): [number, number][] {
  const runs = map.snapshot(FIRST, LAST);
  return runs.flatMap((run) =>
    run.map(({ key, value }) => [Buffer.from(key).readUInt32BE(0), value[0] ?? -1] as [number, number]),
  );
}

function sorted(model: Map<number, number>): [number, number][] {
  return [...model].sort(([a], [b]) => a - b);
}

test("many keys, in any order, over many chunks; snapshots stay as they were", () => {
  const order = fc.constantFrom("rising", "falling", "mixed");
  const property = fc.property(
    order,
    fc.integer({ min: 1, max: 3000 }),
    fc.infiniteStream(fc.nat(4000)),
    (how, count, numbers) => {
      const map = new SortedMap();
      const model = new Map<number, number>();
      const snapshots: [ReturnType<SortedMap["snapshot"]>, string][] = [];
      for (let step = 0; step < count; step++) {
        const random = numbers.next().value as number;
        const number = how === "rising" ? step : how === "falling" ? 5000 - step : random;
        map.set(keyOf(number), Uint8Array.of(step % 251));
        model.set(number, step % 251);
        if (random % 3 === 0) {
          map.delete(keyOf(random));
          model.delete(random);
        }
        if (step % 500 === 7) {
          const snapshot = map.snapshot(FIRST, LAST);
          snapshots.push([snapshot, JSON.stringify(snapshot)]);
        }
      }
      assert.deepEqual(contents(map), sorted(model));
      for (const [snapshot, before] of snapshots) assert.equal(JSON.stringify(snapshot), before);
      for (const number of [0, 1, 17, 2500, 4999]) assert.equal(map.get(keyOf(number))?.[0], model.get(number));
    },
  );
  fc.assert(property, { numRuns: 30 });
});

test("filled and emptied, filled again", () => {
  const map = new SortedMap();
  for (let round = 0; round < 2; round++) {
    for (let number = 0; number < 2000; number++) map.set(keyOf(number), FIRST);
    for (let number = 0; number < 2000; number++) map.delete(keyOf(number));
    assert.deepEqual(contents(map), []);
    assert.equal(map.get(keyOf(1)), undefined);
    map.delete(keyOf(1));
  }
});
