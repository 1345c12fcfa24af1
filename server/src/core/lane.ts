// A lane holds the ready messages of one fairness key with one set of throttle keys, in order of (readyAt, sequence), as
// a list through the message table. A key's lanes with messages stand in a heap by their heads, so that a key without
// throttles is strictly first in, first out, and many lanes cost a logarithm. A message that would have to go in between
// (released out of order) waits beside the list instead.
import { type FairnessKey } from "./fairness-key.ts";
import { type MessageTable, none } from "./message-table.ts";
import type { Throttle } from "./throttle.ts";
import type { Wait } from "./throttle-line.ts";
import type { NumberedLane } from "./mutations.ts";

/** In place of a previous message: it stands beside the list. */
const betweenMark = -2;
/** Shared by all lanes with nothing beside their list; never changed. */
const nothing: number[] = [];

export class Lane implements NumberedLane {
  readonly id: number;
  readonly key: FairnessKey;
  readonly throttleKeys: readonly string[];
  /** What these keys stand for; not all of them are configured. */
  readonly throttles: readonly Throttle[];
  /** Its turn at a bucket, that it waits for or has; undefined: it has not been short of tokens. */
  wait: Wait | undefined = undefined;
  /** The message that goes next. */
  head = none;
  /** Both ends of the list. */
  first = none;
  tail = none;
  /** Messages whose place is inside the list: a binary heap, so that no order of releases makes anyone walk the list. */
  between: number[] = nothing;
  /** Messages of this lane in any state; at 0 the lane goes. */
  total = 0;
  /** For whoever numbers lanes while writing: the pass, and the number in it. */
  numberedIn = 0;
  number = 0;
  /** Place in the key's heap; -1 = not in it. */
  heapIndex = -1;

  constructor(id: number, key: FairnessKey, throttleKeys: readonly string[], throttles: readonly Throttle[]) {
    this.id = id;
    this.key = key;
    this.throttleKeys = throttleKeys;
    this.throttles = throttles;
  }

  get queueNumber(): number {
    return this.key.queue.number;
  }

  get fairnessKey(): string {
    return this.key.name;
  }

  /** It waits for tokens, and stands in no heap of its key. */
  get parked(): boolean {
    return this.wait?.at !== undefined;
  }

  /** Adds a message at its place; true when it is the new head. */
  insert(table: MessageTable, slot: number): boolean {
    // A new message or a retry belongs at the tail, a released one mostly at the head.
    if (this.first === none || precedes(table, slot, this.first)) this.#link(table, none, slot, this.first);
    else if (!precedes(table, slot, this.tail)) this.#link(table, this.tail, slot, none);
    else this.#addBetween(table, slot);
    this.#findHead(table);
    return this.head === slot;
  }

  /**
   * Adds a message whose place is behind all others, as that of a new one is; true when it is the new head. No look at the
   * others: with many keys, each look is at memory that nobody has looked at for long.
   */
  insertLast(table: MessageTable, slot: number): boolean {
    const wasEmpty = this.head === none;
    this.#link(table, this.tail, slot, none);
    if (wasEmpty) this.head = slot;
    return wasEmpty;
  }

  /** The messages that go before this one, which need not be of this lane: how many, at most so many, and their cost. */
  before(table: MessageTable, slot: number, most: number): { readonly messages: number; readonly cost: number } {
    let messages = 0;
    let cost = 0;
    for (let at = this.first; at !== none && messages < most && precedes(table, at, slot); at = table.next(at)) {
      messages += 1;
      cost += table.cost(at);
    }
    for (const each of this.between) {
      if (messages >= most) break;
      if (!precedes(table, each, slot)) continue;
      messages += 1;
      cost += table.cost(each);
    }
    return { messages, cost };
  }

  /** Adds a message at the end without a look at its place: while restoring, `sort` comes after. */
  append(table: MessageTable, slot: number): void {
    this.#link(table, this.tail, slot, none);
    this.head = this.first;
  }

  /** Links all its messages anew, by their places. */
  sort(table: MessageTable): void {
    const slots: number[] = [];
    for (let slot = this.first; slot !== none; slot = table.next(slot)) slots.push(slot);
    slots.sort((a, b) => (precedes(table, a, b) ? -1 : 1));
    this.first = none;
    this.tail = none;
    for (const slot of slots) this.append(table, slot);
  }

  /** Takes a message out; true when it was the head. */
  remove(table: MessageTable, slot: number): boolean {
    const wasHead = slot === this.head;
    if (table.prev(slot) === betweenMark) this.#removeBetween(table, slot);
    else this.#unlink(table, slot);
    this.#findHead(table);
    return wasHead;
  }

  #findHead(table: MessageTable): void {
    const early = this.between[0];
    if (early === undefined) this.head = this.first;
    else this.head = this.first === none || precedes(table, early, this.first) ? early : this.first;
  }

  #unlink(table: MessageTable, slot: number): void {
    const before = table.prev(slot);
    const after = table.next(slot);
    if (before === none) this.first = after;
    else table.setNext(before, after);
    if (after === none) this.tail = before;
    else table.setPrev(after, before);
  }

  #addBetween(table: MessageTable, slot: number): void {
    if (this.between === nothing) this.between = [];
    table.setPrev(slot, betweenMark);
    table.setNext(slot, none);
    siftUp(table, this.between, this.between.push(slot) - 1);
  }

  #removeBetween(table: MessageTable, slot: number): void {
    const heap = this.between;
    // All but those set aside leave from the top.
    const at = heap.indexOf(slot);
    const last = heap.pop() as number;
    if (last !== slot) {
      heap[at] = last;
      siftUp(table, heap, at);
      siftDown(table, heap, at);
    }
    if (heap.length === 0) this.between = nothing;
  }

  #link(table: MessageTable, before: number, slot: number, after: number): void {
    table.setPrev(slot, before);
    table.setNext(slot, after);
    if (before === none) this.first = slot;
    else table.setNext(before, slot);
    if (after === none) this.tail = slot;
    else table.setPrev(after, slot);
  }
}

function siftUp(table: MessageTable, heap: number[], from: number): void {
  const slot = heap[from] as number;
  let at = from;
  while (at > 0) {
    const parent = heap[(at - 1) >> 1] as number;
    if (!precedes(table, slot, parent)) break;
    heap[at] = parent;
    at = (at - 1) >> 1;
  }
  heap[at] = slot;
}

function siftDown(table: MessageTable, heap: number[], from: number): void {
  const slot = heap[from] as number;
  let at = from;
  for (let child = at * 2 + 1; child < heap.length; child = at * 2 + 1) {
    const right = heap[child + 1];
    if (right !== undefined && precedes(table, right, heap[child] as number)) child += 1;
    if (!precedes(table, heap[child] as number, slot)) break;
    heap[at] = heap[child] as number;
    at = child;
  }
  heap[at] = slot;
}

/** Whether message a stands before message b in one lane, or between the lanes of one key. Messages that were enqueued to
 * different queues can have the same sequence. */
export function precedes(table: MessageTable, a: number, b: number): boolean {
  const readyA = table.readyAt(a);
  const readyB = table.readyAt(b);
  if (readyA !== readyB) return readyA < readyB;
  const sequenceA = table.sequence(a);
  const sequenceB = table.sequence(b);
  return sequenceA < sequenceB || (sequenceA === sequenceB && table.queueNumber(a) < table.queueNumber(b));
}
