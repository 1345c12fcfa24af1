// The clock of places: by it messages find their places in their keys. It is the wall clock, but never goes backwards.
import { expect } from "./failure.ts";

/** Some number from low to high; mostly both are the same. */
export interface Span {
  readonly low: number;
  readonly high: number;
}

export function contains({ low, high }: Span, value: number): boolean {
  return value >= low && value <= high;
}

type AtWall = { readonly now: { readonly wall: number } };

export class PlaceClock {
  /** It stands between these two: that some messages were woken in a turn that did not get through with it shows later. */
  #low = 0;
  #high = 0;
  #retriedIn: object | undefined;

  /** The place that a message gets now must be the clock's. */
  check(readyAt: number, wall: number): void {
    this.read(wall);
    const due = readyAt >= this.#low && readyAt <= this.#high;
    expect(due, () => `ready at ${readyAt}, expected ${this.#low} to ${this.#high}`);
    this.#low = readyAt;
    this.#high = readyAt;
  }

  /** For an ended attempt: while the wall clock is behind, this one goes on a little with each turn that needs it. */
  checkRetry(readyAt: number, turn: AtWall): void {
    const { wall } = turn.now;
    const first = this.#retriedIn !== turn;
    this.#retriedIn = turn;
    if (first && wall < this.#low) this.#low += 1;
    if (first && wall < this.#high) this.#high += 1;
    this.check(readyAt, wall);
  }

  /** It was looked at, whether or not anything got a place. */
  read(wall: number): void {
    this.#low = Math.max(wall, this.#low);
    this.#high = Math.max(wall, this.#high);
  }

  /**
   * Messages that waited are ready from this turn on: with the place of their due time, or, while the wall clock is behind,
   * with that of a retry. Gives the place of one that was due so long ago.
   * @param certain false: whether any of them is ready yet cannot be told
   */
  woken(turn: AtWall, certain: boolean): (late: number) => Span {
    const { wall } = turn.now;
    const [low, high] = [this.#low, this.#high];
    if (wall >= high) {
      this.#high = wall;
      if (certain) this.#low = wall;
      return (late) => ({ low: wall - late, high: wall - late });
    }
    const first = this.#retriedIn !== turn;
    if (first) this.#high += 1;
    if (certain) {
      this.#retriedIn = turn;
      this.#low = wall < low && first ? low + 1 : Math.max(low, wall);
    }
    const span = { low: this.#low, high: this.#high };
    return (late) => (wall < low ? span : { low: wall - late, high: span.high });
  }

  /** A rebuilt core knows the places that the store told it of. */
  restarted(shows: number, least: number, most: number): void {
    const known = shows >= least && shows <= Math.max(most, this.#high);
    expect(known, () => `the clock of places shows ${shows}, not ${least} to ${Math.max(most, this.#high)}`);
    this.#low = shows;
    this.#high = shows;
  }
}
