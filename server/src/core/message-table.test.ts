import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MessageState, MessageTable, type NewMessage } from "./message-table.ts";

const seed = 20_250_705;
const chunkSize = 8_192;

function message(number: number): NewMessage {
  return {
    queueNumber: 1 + ((number * 41) % 70_000),
    sequence: 2 ** 33 + number,
    enqueuedAt: 1_750_000_000_000 + number,
    readyAt: 1_750_000_000_500 + number,
    attempts: (number * 37) % 70_000,
    cost: 1 + (number % 1_000),
    record: number * 3,
    offset: number * 5,
    length: number * 7,
    page: number * 11,
  };
}

function add(table: MessageTable, number: number): number {
  const slot = table.allocate();
  table.fill(slot, number % 1_000, message(number));
  return slot;
}

function check(table: MessageTable, slot: number, number: number): void {
  const { queueNumber, sequence, enqueuedAt, readyAt, attempts, cost, record, offset, length, page } = message(number);
  assert.equal(table.lane(slot), number % 1_000);
  assert.equal(table.queueNumber(slot), queueNumber);
  assert.equal(table.sequence(slot), sequence);
  assert.equal(table.enqueuedAt(slot), enqueuedAt);
  assert.equal(table.readyAt(slot), readyAt);
  assert.equal(table.attempts(slot), attempts);
  assert.equal(table.cost(slot), cost);
  assert.equal(table.record(slot), record);
  assert.equal(table.offset(slot), offset);
  assert.equal(table.length(slot), length);
  assert.equal(table.page(slot), page);
  assert.notEqual(table.state(slot), MessageState.free);
}

describe("the message table", () => {
  test("small numbers and large ones stand side by side, whichever comes first", () => {
    const table = new MessageTable();
    const facts = { ...message(1), offset: 12, length: 0, attempts: 0 };
    const [small, large] = [table.allocate(), table.allocate()];
    table.fill(small, 1, facts);
    table.fill(large, 1, { ...facts, length: 1_048_576 });
    for (const value of [255, 256, 65_535, 65_536, 4_294_967_295, 3]) {
      table.setAttempts(large, value);
      table.setBytes(large, 9, value);
      assert.deepEqual([table.attempts(large), table.offset(large), table.length(large)], [value, value, 1_048_576]);
      assert.deepEqual([table.attempts(small), table.offset(small), table.length(small)], [0, 12, 0]);
    }
  });

  test("keeps every row apart, whatever comes and goes around it", () => {
    const step = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 9_000 }), fc.nat());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const table = new MessageTable();
        const model = new Map<number, number>();
        let number = 0;
        for (const [grow, count, start] of steps) {
          const slots = [...model.keys()];
          for (let at = 0; at < count; at += 1) {
            if (grow) {
              const slot = add(table, number);
              assert.ok(!model.has(slot), "a row is given to one message at a time");
              model.set(slot, number);
              number += 1;
            } else {
              const slot = slots[(start + at) % slots.length];
              if (slot === undefined || !model.delete(slot)) break;
              table.release(slot);
            }
          }
          assert.equal(table.size, model.size);
          assert.deepEqual(new Set(table.slots()), new Set(model.keys()));
        }
        for (const [slot, own] of model) check(table, slot, own);
      }),
      { seed, numRuns: 30 },
    );
  });

  test("reuses what is free before it grows, and gives empty chunks back", () => {
    const table = new MessageTable();
    const slots = Array.from({ length: 5 * chunkSize }, (_, number) => add(table, number));
    assert.equal(Math.max(...slots), 5 * chunkSize - 1);
    for (const slot of slots.slice(chunkSize)) table.release(slot);
    assert.equal(table.size, chunkSize);
    const again = Array.from({ length: 4 * chunkSize }, (_, number) => add(table, number));
    assert.ok(Math.max(...again) < 5 * chunkSize, "no new chunk while there is room");
    assert.equal(new Set([...slots.slice(0, chunkSize), ...again]).size, 5 * chunkSize);
  });

  test("changes what changes, and nothing beside it", () => {
    const table = new MessageTable();
    const slots = Array.from({ length: 3 }, (_, number) => add(table, number + 1)) as [number, number, number];
    const [before, slot, after] = slots;
    table.setNext(slot, 5);
    table.setPrev(slot, 6);
    table.setReadyAt(slot, 2 ** 41);
    table.setAttempts(slot, 2 ** 32 - 1);
    table.setState(slot, MessageState.leased);
    table.setPage(slot, 2 ** 32 - 1);
    table.setBytes(slot, 2 ** 32 - 2, 2 ** 31);
    assert.deepEqual(
      [table.next(slot), table.prev(slot), table.readyAt(slot), table.attempts(slot), table.state(slot)],
      [5, 6, 2 ** 41, 2 ** 32 - 1, MessageState.leased],
    );
    assert.deepEqual([table.page(slot), table.record(slot), table.offset(slot)], [2 ** 32 - 1, 2 ** 32 - 2, 2 ** 31]);
    check(table, before, 1);
    check(table, after, 3);
  });

  test("ends the process rather than release a row twice", () => {
    const table = new MessageTable();
    const slot = add(table, 1);
    add(table, 2);
    table.release(slot);
    assert.throws(() => table.release(slot), { name: "InvariantError" });
  });
});
