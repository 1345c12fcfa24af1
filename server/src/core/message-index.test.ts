import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MessageIndex } from "./message-index.ts";

const seed = 20_250_704;

interface Named {
  readonly queueNumber: number;
  readonly sequence: number;
}

/** An index beside the simplest thing that does the same. */
class IndexWithModel {
  readonly slots = new Map<number, Named>();
  readonly model = new Map<string, number>();
  readonly index = new MessageIndex({
    sequenceOf: (slot) => this.#known(slot).sequence,
    queueNumberOf: (slot) => this.#known(slot).queueNumber,
  });
  #nextSlot = 0;

  #known(slot: number): Named {
    const named = this.slots.get(slot);
    assert.ok(named !== undefined, "the index asks about messages that exist only");
    return named;
  }

  add(queueNumber: number, sequence: number): void {
    const name = `${queueNumber}:${sequence}`;
    if (this.model.has(name)) return;
    const slot = this.#nextSlot++;
    this.slots.set(slot, { queueNumber, sequence });
    this.model.set(name, slot);
    this.index.add(queueNumber, sequence, slot);
  }

  remove(queueNumber: number, sequence: number): void {
    const name = `${queueNumber}:${sequence}`;
    const slot = this.model.get(name);
    if (slot === undefined) return;
    this.model.delete(name);
    this.index.remove(queueNumber, sequence, slot);
    this.slots.delete(slot);
  }

  check(queueNumber: number, sequence: number): void {
    assert.equal(this.index.get(queueNumber, sequence), this.model.get(`${queueNumber}:${sequence}`));
  }

  checkAll(): void {
    assert.equal(this.index.size, this.model.size);
    for (const [slot, { queueNumber, sequence }] of this.slots)
      assert.equal(this.index.get(queueNumber, sequence), slot);
  }
}

describe("the message index", () => {
  test("agrees with a map, however entries come and go", () => {
    // Few queues and sequences, so that probe runs are long, grow together and are cut in the middle.
    const queue = fc.constantFrom(1, 2, 3, 2 ** 24 - 1);
    const sequence = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 2 ** 32 - 3, max: 2 ** 32 + 3 }));
    const step = fc.tuple(fc.boolean(), queue, sequence);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 3_000, size: "max" }), (steps) => {
        const both = new IndexWithModel();
        for (const [add, queueNumber, sequence] of steps) {
          if (add) both.add(queueNumber, sequence);
          else both.remove(queueNumber, sequence);
          both.check(queueNumber, sequence);
        }
        both.checkAll();
      }),
      { seed, numRuns: 40 },
    );
  });

  test("finds everything while a hundred thousand entries grow and shrink it", () => {
    const both = new IndexWithModel();
    for (let sequence = 1; sequence <= 100_000; sequence += 1) both.add(1 + (sequence % 2), sequence);
    both.checkAll();
    // In an order unlike that of the insertions.
    for (let at = 0; at < 100_000; at += 1) {
      const sequence = 1 + ((at * 7_919) % 100_000);
      if (sequence % 10 !== 0) both.remove(1 + (sequence % 2), sequence);
      if (at % 9_999 === 0) both.checkAll();
    }
    assert.equal(both.index.size, 10_000);
    both.checkAll();
    for (let sequence = 10; sequence <= 100_000; sequence += 10) both.remove(1 + (sequence % 2), sequence);
    assert.equal(both.index.size, 0);
    both.check(1, 10);
  });
});
