// Which queues have series of their own. There are places for so many; the other queues are shown together, as one row. A
// queue with a place keeps it until it is deleted, or until it has moved nothing between two rankings while one without
// a place has: so series do not come and go with every look, and the busiest are seen.
//
// The sum over all rows never goes down (but for queues deleted while they had a place, whose series end), and neither does
// the row of the others: what a queue did before it got its place stays there.
import type { QueueReading } from "../core/queue-stats.ts";
import { QueueCounts } from "./queue-counts.ts";

/** Time between two rankings, milliseconds. */
const rankingMs = 60_000;

/** One line of every metric of queues. */
export interface QueueRow {
  /** undefined: all queues without a place. */
  readonly name: string | undefined;
  /** Wall clock, milliseconds: since when it is counted. */
  readonly since: number;
  readonly counts: Readonly<QueueCounts>;
  readonly depth: number;
  readonly inFlight: number;
  readonly consumers: number;
  readonly activeKeys: number;
  /** Wall clock: since when the message that waits longest may be delivered; undefined: none waits. */
  readonly waitingSince: number | undefined;
}

interface Entry {
  readonly counts: QueueCounts;
  /** Wall clock: when it was first heard of. */
  readonly since: number;
  /** Since when it is shown on its own, and what it had done before that the row of the others has shown. */
  place: { readonly since: number; readonly before: Readonly<QueueCounts> } | undefined;
  /** Whether the row of the others holds what it has done. */
  wasAmongOthers: boolean;
  /** At the last ranking. */
  rankedTraffic: number;
  /** Rounds of its ring that are counted: a ring starts anew when the store is reopened. */
  ringRounds: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class QueuePlaces {
  readonly #places: number;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #entries = new Map<number, Entry>();
  /** What deleted queues did while they had no place. */
  readonly #left = new QueueCounts();
  #taken = 0;
  #rankedAt = -Infinity;

  /** @param now wall clock, milliseconds */
  constructor(places: number, now: () => number) {
    this.#places = places;
    this.#now = now;
    this.#startedAt = now();
  }

  /** To be added to; the same object for the same queue, until it is deleted. */
  countsOf(queueNumber: number): QueueCounts {
    return this.#entryOf(queueNumber).counts;
  }

  deleted(queueNumber: number): void {
    const entry = this.#entries.get(queueNumber);
    if (entry === undefined) return;
    this.#entries.delete(queueNumber);
    this.#left.add(entry.place?.before ?? entry.counts);
    if (entry.place !== undefined) this.#taken -= 1;
  }

  rows(queues: readonly QueueReading[]): QueueRow[] {
    const living = new Set(queues.map(({ number }) => number));
    // Deleted by a commit whose outcome was not known.
    for (const number of [...this.#entries.keys()]) if (!living.has(number)) this.deleted(number);
    for (const { number, rounds } of queues) countRounds(this.#entryOf(number), rounds);
    if (queues.length <= this.#places) for (const entry of this.#entries.values()) this.#seat(entry);
    else if (this.#now() - this.#rankedAt >= rankingMs) this.#rank();
    return this.#rowsOf(queues);
  }

  #entryOf(queueNumber: number): Entry {
    let entry = this.#entries.get(queueNumber);
    if (entry === undefined) {
      entry = {
        counts: new QueueCounts(),
        since: this.#now(),
        place: undefined,
        wasAmongOthers: false,
        rankedTraffic: 0,
        ringRounds: 0,
      };
      this.#entries.set(queueNumber, entry);
    }
    return entry;
  }

  #seat(entry: Entry): void {
    if (entry.place !== undefined || this.#taken === this.#places) return;
    this.#taken += 1;
    const before = new QueueCounts();
    if (entry.wasAmongOthers) before.add(entry.counts);
    entry.place = { since: entry.wasAmongOthers ? this.#now() : entry.since, before };
  }

  #rank(): void {
    const moved = (entry: Entry): number => entry.counts.traffic - entry.rankedTraffic;
    const all = [...this.#entries.values()];
    const waiting = all.filter(({ place }) => place === undefined).sort((a, b) => moved(b) - moved(a));
    const idle = all.filter((entry) => entry.place !== undefined && moved(entry) === 0);
    for (const entry of waiting) {
      if (this.#taken === this.#places) {
        const leaving = moved(entry) > 0 ? idle.pop() : undefined;
        if (leaving === undefined) break;
        leaving.place = undefined;
        this.#taken -= 1;
      }
      this.#seat(entry);
    }
    for (const entry of all) entry.rankedTraffic = entry.counts.traffic;
    this.#rankedAt = this.#now();
  }

  #rowsOf(queues: readonly QueueReading[]): QueueRow[] {
    const rows: QueueRow[] = [];
    const counts = new QueueCounts();
    counts.add(this.#left);
    const others: Mutable<QueueRow> = { ...nothingWaits, name: undefined, since: this.#startedAt, counts };
    let unseated = 0;
    for (const queue of queues) {
      const entry = this.#entryOf(queue.number);
      if (entry.place !== undefined) {
        const { since, before } = entry.place;
        counts.add(before);
        rows.push({ ...queue, since, counts: entry.counts.minus(before) });
        continue;
      }
      unseated += 1;
      entry.wasAmongOthers = true;
      counts.add(entry.counts);
      others.depth += queue.depth;
      others.inFlight += queue.inFlight;
      others.consumers += queue.consumers;
      others.activeKeys += queue.activeKeys;
      others.waitingSince = earlier(others.waitingSince, queue.waitingSince);
    }
    if (unseated > 0 || counts.traffic > 0) rows.push(others);
    return rows;
  }
}

const nothingWaits = { depth: 0, inFlight: 0, consumers: 0, activeKeys: 0, waitingSince: undefined };

function countRounds(entry: Entry, rounds: number): void {
  entry.counts.rounds += rounds < entry.ringRounds ? rounds : rounds - entry.ringRounds;
  entry.ringRounds = rounds;
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}
