// A lane holds the ready messages of one fairness key with one set of throttle keys, in order of (readyAt, sequence), as
// a list through the message table. A key's lanes with messages stand in a heap by their heads, so that a key without
// throttles is strictly first in, first out, and many lanes cost a logarithm.
import { type FairnessKey } from "./fairness-key.ts";
import { type MessageTable, none } from "./message-table.ts";
import type { NumberedLane } from "./mutations.ts";

export class Lane implements NumberedLane {
  readonly id: number;
  readonly key: FairnessKey;
  readonly throttleKeys: readonly string[];
  head = none;
  tail = none;
  /** Messages of this lane in any state; at 0 the lane goes. */
  total = 0;
  /** For whoever numbers lanes while writing: the pass, and the number in it. */
  numberedIn = 0;
  number = 0;
  /** Place in the key's heap; -1 = not in it. */
  heapIndex = -1;

  constructor(id: number, key: FairnessKey, throttleKeys: readonly string[]) {
    this.id = id;
    this.key = key;
    this.throttleKeys = throttleKeys;
  }

  get queueNumber(): number {
    return this.key.queue.number;
  }

  get fairnessKey(): string {
    return this.key.name;
  }

  /** Adds a message at its place; true when it is the new head. */
  insert(table: MessageTable, slot: number): boolean {
    if (this.head === none) {
      this.head = slot;
      this.tail = slot;
      table.setNext(slot, none);
      table.setPrev(slot, none);
      return true;
    }
    if (precedes(table, slot, this.head)) {
      this.#link(table, none, slot, this.head);
      return true;
    }
    // A new message or a retry belongs at or near the tail, a released one near the head.
    const before = precedes(table, slot, this.tail) ? this.#placeFromBothEnds(table, slot) : this.tail;
    this.#link(table, before, slot, table.next(before));
    return false;
  }

  /** Adds a message at the end without a look at its place: while restoring, `sort` comes after. */
  append(table: MessageTable, slot: number): void {
    this.#link(table, this.tail, slot, none);
  }

  /** Links all its messages anew, by their places. */
  sort(table: MessageTable): void {
    const slots: number[] = [];
    for (let slot = this.head; slot !== none; slot = table.next(slot)) slots.push(slot);
    slots.sort((a, b) => (precedes(table, a, b) ? -1 : 1));
    this.head = none;
    this.tail = none;
    for (const slot of slots) this.append(table, slot);
  }

  /** Takes a message out; true when it was the head. */
  remove(table: MessageTable, slot: number): boolean {
    const before = table.prev(slot);
    const after = table.next(slot);
    if (before === none) this.head = after;
    else table.setNext(before, after);
    if (after === none) this.tail = before;
    else table.setPrev(after, before);
    return before === none;
  }

  /** The last message before the place of `slot`; both ends are walked at once, so the nearer one decides the cost. */
  #placeFromBothEnds(table: MessageTable, slot: number): number {
    let front = this.head;
    let back = table.prev(this.tail);
    for (;;) {
      if (!precedes(table, slot, back)) return back;
      const afterFront = table.next(front);
      if (precedes(table, slot, afterFront)) return front;
      front = afterFront;
      back = table.prev(back);
    }
  }

  #link(table: MessageTable, before: number, slot: number, after: number): void {
    table.setPrev(slot, before);
    table.setNext(slot, after);
    if (before === none) this.head = slot;
    else table.setNext(before, slot);
    if (after === none) this.tail = slot;
    else table.setPrev(after, slot);
  }
}

/** Whether message a stands before message b in one lane, or between the lanes of one key. */
export function precedes(table: MessageTable, a: number, b: number): boolean {
  const readyA = table.readyAt(a);
  const readyB = table.readyAt(b);
  return readyA < readyB || (readyA === readyB && table.sequence(a) < table.sequence(b));
}
