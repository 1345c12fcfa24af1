// A throttle key that somebody names: its bucket, and who waits at it.
import type { Queue } from "./queue.ts";
import { Line, type Wait } from "./throttle-line.ts";
import { TokenBucket } from "./token-bucket.ts";

export class Throttle {
  readonly name: string;
  readonly bucket = new TokenBucket();
  /** Lanes that name it. */
  lanes = 0;
  /** The same by their queues. */
  readonly queues = new Map<Queue, number>();
  /** Lanes that are parked at it. */
  waiting = 0;
  /** The round that was called last. */
  round = 0;
  readonly lines = new Map<Queue, Line>();
  /** Monotonic time at which somebody may be called, or somebody's call lapses; Infinity: nobody waits for a time. */
  deadline = Infinity;
  /** Place in the heap of deadlines; -1 = not in it. */
  heapIndex = -1;

  constructor(name: string) {
    this.name = name;
  }

  lineOf(queue: Queue): Line {
    let line = this.lines.get(queue);
    if (line === undefined) {
      line = new Line(this, queue);
      this.lines.set(queue, line);
    }
    return line;
  }

  /** The lane that goes next, of the lines in which nobody is called. */
  get next(): Wait | undefined {
    let next: Wait | undefined;
    for (const { called, first } of this.lines.values()) {
      if (called !== undefined || first === undefined) continue;
      if (next === undefined || first.before(next)) next = first;
    }
    return next;
  }
}

/** Throttles with a deadline: a binary heap. */
export class ThrottleHeap {
  readonly #heap: Throttle[] = [];

  get first(): Throttle | undefined {
    return this.#heap[0];
  }

  all(): readonly Throttle[] {
    return this.#heap;
  }

  /** @param deadline Infinity: it leaves the heap */
  set(throttle: Throttle, deadline: number): void {
    throttle.deadline = deadline;
    if (deadline === Infinity) this.#remove(throttle);
    else {
      if (throttle.heapIndex < 0) throttle.heapIndex = this.#heap.push(throttle) - 1;
      this.#up(throttle);
      this.#down(throttle);
    }
  }

  #remove(throttle: Throttle): void {
    const index = throttle.heapIndex;
    if (index < 0) return;
    throttle.heapIndex = -1;
    const last = this.#heap.pop() as Throttle;
    if (last === throttle) return;
    this.#heap[index] = last;
    last.heapIndex = index;
    this.#up(last);
    this.#down(last);
  }

  #up(throttle: Throttle): void {
    while (throttle.heapIndex > 0) {
      const parent = this.#heap[(throttle.heapIndex - 1) >> 1] as Throttle;
      if (parent.deadline <= throttle.deadline) return;
      this.#swap(throttle, parent);
    }
  }

  #down(throttle: Throttle): void {
    for (;;) {
      const left = this.#heap[throttle.heapIndex * 2 + 1];
      if (left === undefined) return;
      const right = this.#heap[throttle.heapIndex * 2 + 2];
      const child = right !== undefined && right.deadline < left.deadline ? right : left;
      if (throttle.deadline <= child.deadline) return;
      this.#swap(child, throttle);
    }
  }

  #swap(a: Throttle, b: Throttle): void {
    const index = a.heapIndex;
    a.heapIndex = b.heapIndex;
    b.heapIndex = index;
    this.#heap[a.heapIndex] = a;
    this.#heap[b.heapIndex] = b;
  }
}
