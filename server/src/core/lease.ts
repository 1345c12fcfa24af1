// Leases and their deadlines. A lease is: granted (in the heap; held by a consumer, or orphaned when its consumer's
// broker process died, or standing alone when a long poll took it) -settled, expired, released, or its stream ended-> gone.
// May never happen: two leases of one message; a lease outside the heap.
import type { LeaseToken } from "./commands.ts";
import type { Consumer } from "./consumer.ts";
import type { Holder } from "./mutations.ts";

export class Lease {
  readonly slot: number;
  readonly token: LeaseToken;
  readonly durationMs: number;
  readonly holder: Holder;
  /** Wall clock. */
  readonly leasedAt: number;
  /** undefined: a long poll took it, or nobody has taken it up since a restart. */
  consumer: Consumer | undefined;
  /** Within the consumer, from 1. */
  ordinal: number;
  /** Monotonic clock. */
  deadline: number;
  heapIndex = -1;
  /** When it entered the heap, among the others. */
  serial = 0;
  /** Neighbours in the consumer's list, oldest first. */
  next: Lease | undefined;
  prev: Lease | undefined;

  constructor(slot: number, token: LeaseToken, durationMs: number, holder: Holder, leasedAt: number, deadline: number) {
    this.slot = slot;
    this.token = token;
    this.durationMs = durationMs;
    this.holder = holder;
    this.leasedAt = leasedAt;
    this.consumer = undefined;
    this.ordinal = 0;
    this.deadline = deadline;
    this.next = undefined;
    this.prev = undefined;
  }
}

/**
 * A binary heap of leases by deadline; of one deadline, the lease that was granted first ends first. So messages mostly
 * expire in the order of their lane and go to its tail, instead of waiting beside its list.
 */
export class DeadlineHeap {
  readonly #heap: Lease[] = [];
  #added = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the first lease ends; Infinity when there is none. */
  get first(): Lease | undefined {
    return this.#heap[0];
  }

  add(lease: Lease): void {
    this.#added += 1;
    lease.serial = this.#added;
    lease.heapIndex = this.#heap.push(lease) - 1;
    this.#up(lease);
  }

  remove(lease: Lease): void {
    const index = lease.heapIndex;
    lease.heapIndex = -1;
    const last = this.#heap.pop() as Lease;
    if (last === lease) return;
    this.#heap[index] = last;
    last.heapIndex = index;
    this.#up(last);
    this.#down(last);
  }

  move(lease: Lease, deadline: number): void {
    lease.deadline = deadline;
    this.#up(lease);
    this.#down(lease);
  }

  *all(): Iterable<Lease> {
    yield* this.#heap;
  }

  #up(lease: Lease): void {
    let index = lease.heapIndex;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#heap[parentIndex] as Lease;
      if (!endsBefore(lease, parent)) break;
      this.#heap[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    this.#heap[index] = lease;
    lease.heapIndex = index;
  }

  #down(lease: Lease): void {
    const size = this.#heap.length;
    let index = lease.heapIndex;
    for (;;) {
      const leftIndex = index * 2 + 1;
      if (leftIndex >= size) break;
      const right = this.#heap[leftIndex + 1];
      let child = this.#heap[leftIndex] as Lease;
      let childIndex = leftIndex;
      if (right !== undefined && endsBefore(right, child)) {
        child = right;
        childIndex = leftIndex + 1;
      }
      if (!endsBefore(child, lease)) break;
      this.#heap[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    this.#heap[index] = lease;
    lease.heapIndex = index;
  }
}

function endsBefore(a: Lease, b: Lease): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.serial < b.serial);
}
