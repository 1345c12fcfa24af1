// A throttle key that somebody names: its bucket, and who waits at it. Most keys may have no limit, and there may be as many
// as messages: what only those need at which somebody waits is made with the first one who does.
import { Heap, type HeapRules } from "./heap.ts";
import type { Queue } from "./queue.ts";
import { Line, type Wait, firstOf } from "./throttle-line.ts";
import { TokenBucket } from "./token-bucket.ts";

const noLines: ReadonlyMap<Queue, Line> = new Map();
const noneWatched: ReadonlySet<Line> = new Set();

const byPlace: HeapRules<Line> = {
  precedes: (a, b) => (a.placed as Wait).placedBefore(b.placed as Wait),
  placeOf: ({ placedIndex }) => placedIndex,
  setPlace: (line, place) => void (line.placedIndex = place),
};
const byAge: HeapRules<Line> = {
  precedes: (a, b) => (a.urgent as Wait).age < (b.urgent as Wait).age,
  placeOf: ({ urgentIndex }) => urgentIndex,
  setPlace: (line, place) => void (line.urgentIndex = place),
};

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
  #lines: Map<Queue, Line> | undefined;
  #watched: Set<Line> | undefined;
  /** Lines in which nobody is called, by who is placed first there, and by who is urgent. */
  #placed: Heap<Line> | undefined;
  #urgent: Heap<Line> | undefined;
  /** Monotonic time at which somebody may be called, or somebody's call lapses; Infinity: nobody waits for a time. */
  deadline = Infinity;
  /** Place in the heap of deadlines; -1 = not in it. */
  heapIndex = -1;

  constructor(name: string) {
    this.name = name;
  }

  get lines(): ReadonlyMap<Queue, Line> {
    return this.#lines ?? noLines;
  }

  /** Lines to be looked at: what is called there has tokens set aside, or something has changed. */
  get watched(): ReadonlySet<Line> {
    return this.#watched ?? noneWatched;
  }

  lineOf(queue: Queue): Line {
    this.#lines ??= new Map<Queue, Line>();
    let line = this.#lines.get(queue);
    if (line === undefined) {
      line = new Line(this, queue);
      this.#lines.set(queue, line);
    }
    return line;
  }

  watch(line: Line): void {
    (this.#watched ??= new Set<Line>()).add(line);
  }

  unwatch(line: Line): void {
    this.#watched?.delete(line);
  }

  /** Who waits in the line, or is called in it, is another one. */
  changed(line: Line): void {
    this.watch(line);
    const free = line.called === undefined;
    if (free && line.placed !== undefined) (this.#placed ??= new Heap(byPlace)).put(line);
    else this.#placed?.remove(line);
    if (free && line.urgent !== undefined) (this.#urgent ??= new Heap(byAge)).put(line);
    else this.#urgent?.remove(line);
  }

  /** Nobody waits there, and nothing is set aside. */
  get quiet(): boolean {
    return this.lines.size === 0 && this.watched.size === 0;
  }

  /** Nobody waits in it or is called in it. */
  forget(line: Line): void {
    if (this.lines.get(line.queue) === line) this.#lines?.delete(line.queue);
    this.unwatch(line);
  }

  /** The lane that goes next, of the lines in which nobody is called. */
  get next(): Wait | undefined {
    return firstOf(this.#placed?.first?.placed, this.#urgent?.first?.urgent);
  }

  /** Lines in the order of their heaps. */
  heaps(): readonly [readonly Line[], readonly Line[]] {
    return [this.#placed?.all() ?? [], this.#urgent?.all() ?? []];
  }
}

/** Throttles with a deadline. */
export class ThrottleHeap {
  readonly #heap = new Heap<Throttle>({
    precedes: (a, b) => a.deadline < b.deadline,
    placeOf: ({ heapIndex }) => heapIndex,
    setPlace: (throttle, place) => void (throttle.heapIndex = place),
  });

  get first(): Throttle | undefined {
    return this.#heap.first;
  }

  all(): readonly Throttle[] {
    return this.#heap.all();
  }

  /** @param deadline Infinity: it leaves the heap */
  set(throttle: Throttle, deadline: number): void {
    throttle.deadline = deadline;
    if (deadline === Infinity) this.#heap.remove(throttle);
    else this.#heap.put(throttle);
  }
}
