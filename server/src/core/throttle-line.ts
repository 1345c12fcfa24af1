// Who waits at a bucket. The lanes of one queue that wait at it stand in one line, so that a queue that cannot deliver now
// holds up nobody else's. Within a bucket the lines are served by deficit round robin over all of them: a place is a round
// of the bucket, later the dearer the message is for the lane's weight, and within a round first come, first served.
//
// A wait is: parked (in a line, out of the heap of its key) -called, when the bucket holds its cost and it is first->
// called (back in the heap; the bucket sets its cost aside for a while) -found short again-> parked at its place, or at the
// bucket that is short now, before all who are younger -leased, turn used up-> over. A lane that waits on
// has a new wait, behind all others. May never happen: a lane parked in two lines; two lanes of a line called. Who
// is called and waits elsewhere has left the line: a Line of its own holds its call.
import { Heap } from "./heap.ts";
import type { Lane } from "./lane.ts";
import type { Queue } from "./queue.ts";
import type { Throttle } from "./throttle.ts";

/** For how long what a called lane needs is set aside for it, milliseconds; doubled with each time that it was in vain. */
export const firstPatienceMs = 100;
const longestPatienceMs = 60_000;

export class Wait {
  readonly lane: Lane;
  /** When it began, among all waits: the older one goes first where two are in each other's way. */
  readonly age: number;
  /** Where its round counts. */
  readonly home: Throttle;
  /** Where it is parked; undefined: it is not. */
  at: Line | undefined;
  /** Within the heap of that line. */
  index = -1;
  /** It has a call elsewhere that it may lose, or had one: its age says when it goes. */
  urgent = false;
  /** When it came to its place, among all that did. */
  order = 0;
  round: number;
  /** Cost units that it may still take in its turn. */
  credit = 0;
  creditedRound: number;
  /** The lines in which it is called. */
  readonly calls: Line[] = [];
  patienceMs = firstPatienceMs;

  /** @param cost of its next message @param credit left over from its last turn */
  constructor(lane: Lane, age: number, home: Throttle, cost: number, credit: number) {
    this.lane = lane;
    this.age = age;
    this.order = age;
    this.home = home;
    this.creditedRound = home.round;
    this.credit = credit;
    this.round = this.creditedRound + Math.max(1, Math.ceil((cost - credit) / lane.key.weight));
  }

  /** Its round has come: it has the credit of all rounds until then. false: its next message takes more by now. */
  begin(cost: number): boolean {
    const { weight } = this.lane.key;
    const earned = this.credit + weight * (this.round - this.creditedRound);
    this.credit = Math.min(earned, weight + cost - 1);
    this.creditedRound = this.round;
    if (this.credit >= cost) return true;
    this.round += Math.ceil((cost - this.credit) / weight);
    return false;
  }

  /** The round in which it can pay by now, its cost or its weight being another one; undefined: that has come already, or is
   * the same. */
  betterRound(cost: number): number | undefined {
    if (this.round === this.creditedRound) return undefined;
    const rounds = Math.max(1, Math.ceil((cost - this.credit) / this.lane.key.weight));
    const round = Math.max(this.creditedRound + rounds, this.home.round);
    return round === this.round ? undefined : round;
  }

  inVain(): void {
    this.patienceMs = Math.min(this.patienceMs * 2, longestPatienceMs);
  }

  /** Of those who wait for their round: whose place is before the other's. */
  placedBefore(other: Wait): boolean {
    return this.round < other.round || (this.round === other.round && this.order < other.order);
  }

  /** Whether it goes first: by place, but who has a call to lose, by age. */
  before(other: Wait): boolean {
    return this.urgent || other.urgent ? this.age < other.age : this.placedBefore(other);
  }
}

/** Who goes first of the two. */
export function firstOf(placed: Wait | undefined, urgent: Wait | undefined): Wait | undefined {
  if (placed === undefined || urgent === undefined) return placed ?? urgent;
  return urgent.before(placed) ? urgent : placed;
}

function heapOf(precedes: (a: Wait, b: Wait) => boolean): Heap<Wait> {
  const setPlace = (wait: Wait, place: number): void => void (wait.index = place);
  return new Heap({ precedes, placeOf: ({ index }) => index, setPlace });
}

/** The lanes of one queue that wait at one bucket, and the one that is called. */
export class Line {
  readonly throttle: Throttle;
  readonly queue: Queue;
  readonly #placed = heapOf((a, b) => a.placedBefore(b));
  readonly #urgent = heapOf((a, b) => a.age < b.age);
  called: Wait | undefined;
  /** Until then what the called one needs is set aside. */
  patientUntil = 0;
  /** Since then the queue has delivered something else. */
  overtaken = false;
  /** Its places among the lines of its throttle, by who is placed first and by who is urgent; -1 = it has none there. */
  placedIndex = -1;
  urgentIndex = -1;

  constructor(throttle: Throttle, queue: Queue) {
    this.throttle = throttle;
    this.queue = queue;
  }

  get size(): number {
    return this.#placed.size + this.#urgent.size;
  }

  get first(): Wait | undefined {
    return firstOf(this.placed, this.urgent);
  }

  /** The first of those who wait for their round. */
  get placed(): Wait | undefined {
    return this.#placed.first;
  }

  /** The first of those who have a call to lose. */
  get urgent(): Wait | undefined {
    return this.#urgent.first;
  }

  /** Those who wait for their round, and those who have a call to lose; both in the order of a heap. */
  heaps(): readonly (readonly Wait[])[] {
    return [this.#placed.all(), this.#urgent.all()];
  }

  add(wait: Wait): void {
    wait.at = this;
    (wait.urgent ? this.#urgent : this.#placed).put(wait);
  }

  remove(wait: Wait): void {
    wait.at = undefined;
    (wait.urgent ? this.#urgent : this.#placed).remove(wait);
  }
}
