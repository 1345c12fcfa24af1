import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { none } from "./message-table.ts";
import { SlotHeap } from "./slot-heap.ts";

function heapOver(times: readonly number[]): { heap: SlotHeap; places: number[] } {
  const places = times.map(() => none);
  const heap = new SlotHeap({
    timeOf: (slot) => times[slot] as number,
    sequenceOf: (slot) => slot,
    placeOf: (slot) => places[slot] as number,
    setPlace: (slot, place) => (places[slot] = place),
  });
  return { heap, places };
}

test("gives slots by time, then by sequence, whatever left in between", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(50), fc.boolean()), { maxLength: 400 }), (rows) => {
      const { heap, places } = heapOver(rows.map(([time]) => time));
      for (const slot of rows.keys()) heap.add(slot);
      for (const [slot, [, leaves]] of rows.entries()) if (leaves) heap.remove(slot);
      const rest = [...rows.keys()].filter((slot) => rows[slot]?.[1] === false);
      assert.deepEqual(
        [...heap.all()].sort((a, b) => a - b),
        rest,
      );
      for (const slot of heap.all()) assert.equal([...heap.all()][places[slot] as number], slot);
      const wanted = rest.toSorted((a, b) => (rows[a]?.[0] as number) - (rows[b]?.[0] as number) || a - b);
      const got: number[] = [];
      for (let slot = heap.first; slot !== none; slot = heap.first) {
        got.push(slot);
        heap.remove(slot);
      }
      assert.deepEqual(got, wanted);
      assert.equal(heap.size, 0);
    }),
    { numRuns: 200 },
  );
});
