// Messages by a time: a binary heap of slots, four bytes each. Where a message stands in the heap is kept in a column of
// the table, so that one that leaves early is found at once. Of one time, the message with the lower sequence goes first:
// messages that become ready together then enter their lanes in order.
import { none } from "./message-table.ts";

/** The columns that a heap works on. */
export interface HeapColumns {
  timeOf(slot: number): number;
  sequenceOf(slot: number): number;
  placeOf(slot: number): number;
  setPlace(slot: number, place: number): void;
}

const smallest = 64;

export class SlotHeap {
  #slots = new Int32Array(smallest);
  #size = 0;
  readonly #columns: HeapColumns;

  constructor(columns: HeapColumns) {
    this.#columns = columns;
  }

  get size(): number {
    return this.#size;
  }

  /** The slot with the earliest time, or none. */
  get first(): number {
    return this.#size === 0 ? none : (this.#slots[0] as number);
  }

  add(slot: number): void {
    if (this.#size === this.#slots.length) this.#resize(this.#size * 2);
    this.#size += 1;
    this.#up(slot, this.#size - 1);
  }

  /** The slot must stand in the heap. */
  remove(slot: number): void {
    const at = this.#columns.placeOf(slot);
    this.#size -= 1;
    const last = this.#slots[this.#size] as number;
    if (last !== slot) {
      this.#up(last, at);
      this.#down(last, this.#columns.placeOf(last));
    }
    if (this.#slots.length > smallest && this.#size * 4 < this.#slots.length) this.#resize(this.#slots.length / 2);
  }

  *all(): Iterable<number> {
    for (let at = 0; at < this.#size; at += 1) yield this.#slots[at] as number;
  }

  #resize(length: number): void {
    const old = this.#slots;
    this.#slots = new Int32Array(length);
    this.#slots.set(old.subarray(0, this.#size));
  }

  #up(slot: number, from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#slots[above] as number;
      if (!this.#before(slot, parent)) break;
      this.#put(parent, at);
      at = above;
    }
    this.#put(slot, at);
  }

  #down(slot: number, from: number): void {
    let at = from;
    for (let child = at * 2 + 1; child < this.#size; child = at * 2 + 1) {
      if (child + 1 < this.#size && this.#before(this.#slots[child + 1] as number, this.#slots[child] as number)) {
        child += 1;
      }
      const below = this.#slots[child] as number;
      if (!this.#before(below, slot)) break;
      this.#put(below, at);
      at = child;
    }
    this.#put(slot, at);
  }

  #put(slot: number, at: number): void {
    this.#slots[at] = slot;
    this.#columns.setPlace(slot, at);
  }

  #before(a: number, b: number): boolean {
    const timeA = this.#columns.timeOf(a);
    const timeB = this.#columns.timeOf(b);
    return timeA < timeB || (timeA === timeB && this.#columns.sequenceOf(a) < this.#columns.sequenceOf(b));
  }
}
