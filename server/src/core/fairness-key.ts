// A fairness key of one queue: its ring state and its lanes. Made with its first message, gone with its last.
import { RingKey } from "./fairness-ring.ts";
import type { Lane } from "./lane.ts";
import { precedes } from "./lane.ts";
import type { MessageTable } from "./message-table.ts";
import type { Hold, Queue } from "./queue.ts";

export class FairnessKey extends RingKey {
  readonly queue: Queue;
  readonly name: string;
  /** Messages in any state; at 0 the key goes. */
  total = 0;
  /** Messages that may be delivered now. */
  ready = 0;
  /** Whether a weight of its own was ever written down; it stands behind an operator's. */
  weighed = false;
  /** The weight that messages gave it, 1 until one did. An operator's may stand before it. */
  ownWeight = 1;
  /** An operator has stopped it: its messages wait. */
  paused = false;
  /** Its leases. */
  inFlight = 0;
  /** Leases at most, by its operator or its queue; 0 = no limit. */
  maxInFlight = 0;
  /** The lane without throttle keys, which most keys have alone. */
  plain: Lane | undefined;
  /** The others, by their throttle keys. */
  throttled: Map<string, Lane> | undefined;
  /** The one that was looked for last. */
  #lastThrottled: Lane | undefined;
  /** The lane that could deliver, as long as there has never been more than one. */
  #single: Lane | undefined;
  /** From then on, such lanes: a binary heap by the place of their heads. */
  #heap: Lane[] | undefined;

  constructor(queue: Queue, name: string) {
    super();
    this.queue = queue;
    this.name = name;
  }

  /** Why nothing of it is delivered; undefined: nothing of its own holds it. */
  held(): Hold | undefined {
    if (this.paused) return "paused";
    return this.maxInFlight > 0 && this.inFlight >= this.maxInFlight ? "full" : undefined;
  }

  /** The lane whose head goes next; undefined: it has none that could, being empty or short of tokens. */
  get first(): Lane | undefined {
    return this.#heap === undefined ? this.#single : this.#heap[0];
  }

  /** Its lanes with ready messages that wait for no tokens, in the order of the heap. */
  get heap(): readonly Lane[] {
    return this.#heap ?? (this.#single === undefined ? [] : [this.#single]);
  }

  findLane(throttleKeys: readonly string[]): Lane | undefined {
    if (throttleKeys.length === 0) return this.plain;
    // Most keys have one such lane, and its signature costs more than a look.
    const last = this.#lastThrottled;
    if (last !== undefined && sameKeys(last.throttleKeys, throttleKeys)) return last;
    return (this.#lastThrottled = this.throttled?.get(laneSignature(throttleKeys)));
  }

  addLane(lane: Lane): void {
    if (lane.throttleKeys.length === 0) this.plain = lane;
    else (this.throttled ??= new Map<string, Lane>()).set(laneSignature(lane.throttleKeys), lane);
  }

  removeLane(lane: Lane): void {
    if (lane === this.plain) this.plain = undefined;
    else {
      this.throttled?.delete(laneSignature(lane.throttleKeys));
      if (lane === this.#lastThrottled) this.#lastThrottled = undefined;
    }
  }

  *lanes(): Iterable<Lane> {
    if (this.plain !== undefined) yield this.plain;
    if (this.throttled !== undefined) yield* this.throttled.values();
  }

  /** The head of the lane is another message now, or the lane has become empty or has its first one, or it parks or goes
   * on. */
  reorder(table: MessageTable, lane: Lane): void {
    if (this.#heap === undefined) {
      if (lane.head < 0 || lane.parked) {
        if (this.#single === lane) this.#single = undefined;
        lane.heapIndex = -1;
        return;
      }
      if (this.#single === undefined || this.#single === lane) {
        this.#single = lane;
        lane.heapIndex = 0;
        return;
      }
      this.#heap = [this.#single];
      this.#single = undefined;
    }
    this.#reorderHeap(table, this.#heap, lane);
  }

  #reorderHeap(table: MessageTable, heap: Lane[], lane: Lane): void {
    if (lane.head < 0 || lane.parked) this.#leave(table, heap, lane);
    else if (lane.heapIndex < 0) {
      lane.heapIndex = heap.push(lane) - 1;
      this.#up(table, heap, lane);
    } else {
      this.#up(table, heap, lane);
      this.#down(table, heap, lane);
    }
  }

  #leave(table: MessageTable, heap: Lane[], lane: Lane): void {
    const index = lane.heapIndex;
    if (index < 0) return;
    lane.heapIndex = -1;
    const last = heap.pop() as Lane;
    if (last === lane) return;
    heap[index] = last;
    last.heapIndex = index;
    this.#up(table, heap, last);
    this.#down(table, heap, last);
  }

  #up(table: MessageTable, heap: Lane[], lane: Lane): void {
    while (lane.heapIndex > 0) {
      const parent = heap[(lane.heapIndex - 1) >> 1] as Lane;
      if (!precedes(table, lane.head, parent.head)) return;
      this.#swap(heap, lane, parent);
    }
  }

  #down(table: MessageTable, heap: Lane[], lane: Lane): void {
    for (;;) {
      const left = heap[lane.heapIndex * 2 + 1];
      const right = heap[lane.heapIndex * 2 + 2];
      if (left === undefined) return;
      const child = right !== undefined && precedes(table, right.head, left.head) ? right : left;
      if (!precedes(table, child.head, lane.head)) return;
      this.#swap(heap, child, lane);
    }
  }

  #swap(heap: Lane[], a: Lane, b: Lane): void {
    const index = a.heapIndex;
    a.heapIndex = b.heapIndex;
    b.heapIndex = index;
    heap[a.heapIndex] = a;
    heap[b.heapIndex] = b;
  }
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** With lengths, since a throttle key may hold any character. */
function laneSignature(throttleKeys: readonly string[]): string {
  return throttleKeys.map((key) => `${key.length}:${key}`).join();
}
