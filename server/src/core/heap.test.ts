import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Heap } from "./heap.ts";

test("the first is always the least of those who are there, whoever leaves or moves", () => {
  interface Item {
    value: number;
    place: number;
  }
  const action = fc.record({ do: fc.constantFrom("put", "put", "remove"), at: fc.nat(19), value: fc.nat(30) });
  fc.assert(
    fc.property(fc.array(action, { minLength: 30, maxLength: 120 }), (actions) => {
      const heap = new Heap<Item>({
        precedes: (a, b) => a.value < b.value,
        placeOf: ({ place }) => place,
        setPlace: (item, place) => void (item.place = place),
      });
      const items = Array.from({ length: 20 }, () => ({ value: 0, place: -1 }));
      const there = new Set<Item>();
      for (const { do: what, at, value } of actions) {
        const item = items[at] as Item;
        if (what === "put") {
          item.value = value;
          heap.put(item);
          there.add(item);
        } else {
          heap.remove(item);
          there.delete(item);
        }
        assert.equal(heap.size, there.size);
        assert.equal(
          heap.first?.value,
          there.size === 0 ? undefined : Math.min(...[...there].map((each) => each.value)),
        );
        for (const each of items) assert.equal(heap.all()[each.place], there.has(each) ? each : undefined);
      }
    }),
    { seed: 20_251_121, numRuns: 100 },
  );
});
