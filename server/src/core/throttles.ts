// All throttles: which lanes may pass now, who waits where, and who is called when. A lane passes when every configured
// bucket among its throttle keys holds its cost, beyond what is set aside there for lanes that were called before it, and
// nobody waits there who was first. Otherwise it parks at the bucket at which it waits longest.
//
// A bucket with somebody in line has a deadline: when it holds what the first one needs, which is called then. Of each line
// one lane at a time is called. It is back among the lanes of its key, keeps its place, and its tokens are set aside; the
// bucket goes on to others with what is left. A queue that does not fetch them (paused, full, nobody to take a message, its
// consumers busy) loses them when the patience is over, and its called lane is first again when it comes for them, with
// twice the patience: so nobody waits long for a queue that does not deliver, and one that is only slow gets its share. A
// queue that delivers other messages meanwhile, older ones of the lane's key, goes on to the next of its line.
//
// With several buckets: a lane that is called at one and finds another short parks there, in the order of age, and its line
// goes on with what it leaves. So it holds its place at the slow bucket for as long as it takes at the fast one, and the
// oldest lane goes on everywhere. Where it would hold it for longer than its patience, it gives it up for twice the
// patience: so no bucket is set aside for long while its lane waits for a slower one.
import type { FairnessKey } from "./fairness-key.ts";
import type { Lane } from "./lane.ts";
import type { Queue } from "./queue.ts";
import { parseRateLimit, throttlePrefix } from "./runtime-config.ts";
import { Throttle, ThrottleHeap } from "./throttle.ts";
import { Line, Wait } from "./throttle-line.ts";
import type { RateLimit } from "./token-bucket.ts";

/** What waiting does to the lane's key. */
export interface Lanes {
  /** The lane may deliver again. */
  open(lane: Lane): void;
  /** The same, and it is its turn: where it is the next one of its key, the key's visit begins before those of others. */
  call(lane: Lane): void;
  /** It may not; its key goes on without it. */
  close(lane: Lane): void;
  costOf(lane: Lane): number;
}

/** A bucket that a lane does not pass. */
export interface Shortage {
  readonly throttle: Throttle;
  /** Until it might, as far as can be told; Infinity: not with this limit. */
  readonly ms: number;
}

/** Where a lane stands at a bucket that it does not pass. */
export interface Standing {
  readonly throttle: Throttle;
  /** From 1. */
  readonly place: number;
  /** Until the bucket holds what the first in line needs. */
  readonly nextMs: number;
}

/** Deadlines are this far ahead at least, so that no rounding makes a turn find nothing to do. */
const leastMs = 0.01;
const unthrottled: readonly Throttle[] = [];

export class Throttles {
  readonly #byName = new Map<string, Throttle>();
  readonly #deadlines = new ThrottleHeap();
  /** Where something has changed since they were looked at. */
  readonly #touched = new Set<Throttle>();
  /** Where some are still to be set free: the limit was removed, or many in a row belong to keys that are held. */
  readonly #toFree = new Set<Throttle>();
  /** So many more may be set free with this turn. */
  #mayFree = 0;
  readonly #lanes: Lanes;
  #waits = 0;
  /** Lanes that are parked, at all buckets together. */
  waiting = 0;

  constructor(lanes: Lanes) {
    this.#lanes = lanes;
  }

  get nextDeadline(): number {
    return this.#touched.size + this.#toFree.size > 0 ? 0 : (this.#deadlines.first?.deadline ?? Infinity);
  }

  /** Those with a deadline, in the order of the heap. */
  get deadlines(): readonly Throttle[] {
    return this.#deadlines.all();
  }

  all(): Iterable<Throttle> {
    return this.#byName.values();
  }

  /** Of a lane of this queue that is made, which names them until `unname`. */
  named(queue: Queue, keys: readonly string[]): readonly Throttle[] {
    if (keys.length === 0) return unthrottled;
    return keys.map((key) => {
      const throttle = this.#known(key);
      throttle.lanes += 1;
      throttle.queues.set(queue, (throttle.queues.get(queue) ?? 0) + 1);
      return throttle;
    });
  }

  unname({ throttles, key: { queue } }: Lane): void {
    for (const throttle of throttles) {
      throttle.lanes -= 1;
      const left = (throttle.queues.get(queue) ?? 1) - 1;
      if (left === 0) throttle.queues.delete(queue);
      else throttle.queues.set(queue, left);
      this.#forgetUnused(throttle);
    }
  }

  #known(name: string): Throttle {
    let throttle = this.#byName.get(name);
    if (throttle === undefined) {
      throttle = new Throttle(name);
      this.#byName.set(name, throttle);
    }
    return throttle;
  }

  #forgetUnused(throttle: Throttle): void {
    if (throttle.lanes > 0 || throttle.bucket.limit !== undefined) return;
    this.#byName.delete(throttle.name);
    this.#touched.delete(throttle);
    this.#toFree.delete(throttle);
    this.#deadlines.set(throttle, Infinity);
  }

  /** An entry of the configuration has this value now; "" = it is deleted. */
  configured(key: string, value: string, now: number): void {
    if (!key.startsWith(throttlePrefix)) return;
    const limit = parseRateLimit(value);
    const name = key.slice(throttlePrefix.length);
    if (limit !== undefined) this.#setLimit(this.#known(name), limit, now);
    else {
      const throttle = this.#byName.get(name);
      if (throttle?.bucket.limit !== undefined) this.#removeLimit(throttle, now);
    }
  }

  #setLimit(throttle: Throttle, limit: RateLimit, now: number): void {
    throttle.bucket.setLimit(limit, now);
    this.#touch(throttle);
  }

  #removeLimit(throttle: Throttle, now: number): void {
    throttle.bucket.setLimit(undefined, now);
    for (const line of [...throttle.lines.values(), ...throttle.watched])
      if (line.called !== undefined) this.#endCall(line);
    this.#deadlines.set(throttle, Infinity);
    this.#toFree.add(throttle);
    this.#forgetUnused(throttle);
  }

  /** A turn begins, with which so many at most are set free; who waited at a limit that is removed goes on. */
  free(most: number): void {
    this.#mayFree = most;
    for (const throttle of this.#toFree) {
      const { lines, bucket } = throttle;
      if (bucket.limit === undefined) this.#freeSome(throttle);
      else this.#touch(throttle);
      if (bucket.limit === undefined && lines.size > 0) return;
      this.#toFree.delete(throttle);
    }
  }

  /** More are to be set free than the turn has. */
  get freeing(): boolean {
    return this.#toFree.size > 0;
  }

  #freeSome(throttle: Throttle): void {
    for (const line of throttle.lines.values()) {
      for (let wait = line.first; wait !== undefined && this.#mayFree > 0; wait = line.first) {
        this.#setFree(wait);
        if (wait.calls.length === 0) wait.lane.wait = undefined;
      }
      if (line.size === 0) throttle.forget(line);
    }
  }

  /** Where the lane has to wait longest for its next message; undefined: it passes. */
  shortageOf(lane: Lane, now: number): Shortage | undefined {
    let longest: Shortage | undefined;
    for (const throttle of lane.throttles) {
      if (throttle.bucket.limit === undefined) continue;
      const ms = this.#msAt(throttle, lane, now);
      if (ms > (longest?.ms ?? 0)) longest = { throttle, ms };
    }
    return longest;
  }

  /** Where a lane waits, or would if it were looked at now; undefined: nowhere. @param most places counted at most */
  standingOf(lane: Lane, now: number, most: number): Standing | undefined {
    const parkedAt = lane.wait?.at?.throttle;
    // One whose limit is removed frees it soon.
    const at = parkedAt?.bucket.limit === undefined ? undefined : parkedAt;
    const throttle = at ?? this.shortageOf(lane, now)?.throttle;
    if (throttle === undefined) return undefined;
    let place = 1;
    for (const line of throttle.lines.values()) {
      for (const heap of line.heaps()) {
        for (const other of heap) {
          if (place >= most) break;
          if (at === undefined || (lane.wait !== undefined && other.before(lane.wait))) place += 1;
        }
      }
    }
    const { bucket } = throttle;
    const next = throttle.next?.lane ?? lane;
    return { throttle, place, nextMs: bucket.msUntil(bucket.chargeOf(this.#lanes.costOf(next)), now) };
  }

  /** 0: it passes there. */
  #msAt(throttle: Throttle, lane: Lane, now: number): number {
    const { bucket } = throttle;
    const charge = bucket.chargeOf(this.#lanes.costOf(lane));
    if (throttle.quiet) return bucket.msUntil(charge, now);
    const own = throttle.lines.get(lane.key.queue);
    let ahead = own === undefined || throttle.watched.has(own) ? 0 : this.#aheadOf(lane, own, now);
    for (const line of throttle.watched) ahead += this.#aheadOf(lane, line, now);
    const inLine = calledAt(lane.wait, throttle) !== undefined ? 0 : waitBefore(throttle, lane);
    const ms = bucket.msUntil(Math.min(charge + ahead, Math.max(charge, bucket.limit?.burst ?? 0)), now);
    if (inLine === 0 && (ms > 0 || bucket.holds(charge + ahead, now))) return ms;
    const { rate = 0 } = bucket.limit ?? {};
    return Math.max(leastMs, ms, rate === 0 ? 0 : (inLine * charge * 1_000) / rate);
  }

  /** What stays in the bucket for who is called in the line, when the lane comes. */
  #aheadOf(lane: Lane, line: Line, now: number): number {
    const { called } = line;
    if (called === undefined || called.lane === lane || !this.#goesBefore(line, called, lane, now)) return 0;
    return this.#chargeOf(called, line.throttle);
  }

  /** Whether what the called one needs stays there for it. Lanes of one queue do not overtake, however long it takes. */
  #goesBefore(line: Line, called: Wait, lane: Lane, now: number): boolean {
    if (called.lane.key.held() !== undefined || line.queue.dead) return false;
    if (lane.wait !== undefined && lane.wait.age < called.age) return false;
    return now < line.patientUntil || (line.queue === lane.key.queue && called.at === undefined);
  }

  #chargeOf(wait: Wait, { bucket }: Throttle): number {
    return bucket.chargeOf(this.#lanes.costOf(wait.lane));
  }

  /**
   * The lane does not pass there: it waits, and its key goes on without it.
   * @param credit left over from its last turn
   */
  park(lane: Lane, { throttle, ms }: Shortage, now: number, credit = 0): void {
    const line = throttle.lineOf(lane.key.queue);
    const wait = (lane.wait ??= new Wait(lane, (this.#waits += 1), throttle, this.#lanes.costOf(lane), credit));
    const calledHere = calledAt(wait, throttle);
    if (calledHere !== undefined) {
      wait.inVain();
      this.#endCall(calledHere);
    }
    wait.urgent = throttle !== wait.home;
    const tooLong = ms > wait.patienceMs;
    if (tooLong && wait.calls.length > 0) wait.inVain();
    for (const call of [...wait.calls]) {
      if (tooLong) this.#endCall(call);
      else this.#setAside(this.#leaveLine(call), now + Math.max(wait.patienceMs, 2 * ms));
    }
    this.#enter(line, wait);
    this.#touch(throttle);
    this.#lanes.close(lane);
  }

  #enter(line: Line, wait: Wait): void {
    line.add(wait);
    line.throttle.changed(line);
    line.throttle.waiting += 1;
    this.waiting += 1;
  }

  #unpark(wait: Wait): void {
    const { at } = wait;
    if (at === undefined) return;
    at.remove(wait);
    at.throttle.changed(at);
    at.throttle.waiting -= 1;
    this.waiting -= 1;
    this.#touch(at.throttle);
  }

  /** Who is called there waits elsewhere by now: it keeps what is set aside for it, and its line goes on. */
  #leaveLine(line: Line): Line {
    const { throttle, queue, called } = line;
    const { calls } = called as Wait;
    const away = new Line(throttle, queue);
    away.called = called;
    calls[calls.indexOf(line)] = away;
    line.called = undefined;
    line.overtaken = false;
    queue.unfetched.delete(line);
    throttle.changed(line);
    return away;
  }

  #endCall(line: Line): void {
    const { calls } = line.called as Wait;
    calls.splice(calls.indexOf(line), 1);
    line.called = undefined;
    line.overtaken = false;
    line.queue.unfetched.delete(line);
    line.throttle.changed(line);
    this.#touch(line.throttle);
  }

  /** What is called in the line has its tokens until then. */
  #setAside(line: Line, until: number): void {
    line.patientUntil = until;
    line.queue.unfetched.delete(line);
    this.#lookAt(line);
  }

  /**
   * A message of the lane was leased.
   * @param cost of the message
   * @param visiting the visit of its key goes on
   */
  taken(lane: Lane, cost: number, visiting: boolean, now: number): void {
    for (const throttle of lane.throttles) {
      if (throttle.bucket.limit === undefined) continue;
      throttle.bucket.take(throttle.bucket.chargeOf(cost), now);
      if (!throttle.quiet) this.#touch(throttle);
    }
    const { wait } = lane;
    if (wait === undefined) return;
    wait.credit -= cost;
    if (lane.head >= 0 && visiting && wait.credit >= this.#lanes.costOf(lane)) return;
    this.#end(wait);
    // Its turn is used up: it goes to the back of the line. Behind older messages of its key it comes there when they are gone.
    if (lane.key.first !== lane) return;
    const shortage = this.shortageOf(lane, now);
    if (shortage !== undefined) this.park(lane, shortage, now, Math.max(0, wait.credit));
  }

  /** The lane has another head, or none any more. */
  headChanged(lane: Lane): void {
    const { wait } = lane;
    if (wait === undefined) return;
    if (lane.head < 0) this.#end(wait);
    else {
      this.#replace(wait);
      if (wait.at !== undefined) this.#touch(wait.at.throttle);
      for (const line of wait.calls) this.#touch(line.throttle);
    }
  }

  /** The key has another weight. */
  weighed(key: FairnessKey): void {
    if (this.waiting === 0) return;
    for (const { wait, head } of key.lanes()) if (wait !== undefined && head >= 0) this.#replace(wait);
  }

  /** It goes to the place in its line where it belongs by now. */
  #replace(wait: Wait): void {
    const { at } = wait;
    const round = wait.betterRound(this.#lanes.costOf(wait.lane));
    if (round === undefined) return;
    if (at !== undefined) this.#unpark(wait);
    wait.round = round;
    if (at !== undefined) this.#enter(at, wait);
  }

  #end(wait: Wait): void {
    this.#unpark(wait);
    for (const line of [...wait.calls]) this.#endCall(line);
    wait.lane.wait = undefined;
  }

  /** Nothing of the key is delivered now: who is called of it leaves its place at the front to others. */
  held(key: FairnessKey): void {
    for (const { wait } of key.heap) for (const line of wait?.calls ?? []) this.#lookAt(line);
  }

  /** A message of another lane was leased: the queue delivers, but not to whom it lets wait for what was set aside. */
  overtaken({ unfetched }: Queue, by: Lane): void {
    for (const line of unfetched) {
      if (line.called?.lane === by) continue;
      unfetched.delete(line);
      line.overtaken = true;
      this.#lookAt(line);
    }
  }

  #lookAt(line: Line): void {
    line.throttle.watch(line);
    this.#touch(line.throttle);
  }

  #touch(throttle: Throttle): void {
    this.#touched.add(throttle);
  }

  /** Calls whoever may go by now, at most at so many buckets; how many were looked at. */
  settle(now: number, most: number): number {
    let looked = 0;
    for (const throttle of this.#touched) {
      if (looked >= most) return looked;
      looked += 1;
      this.#touched.delete(throttle);
      this.#look(throttle, now);
    }
    for (let due = this.#deadlines.first; due !== undefined && due.deadline <= now; due = this.#deadlines.first) {
      if (looked >= most) return looked;
      looked += 1;
      this.#look(due, now);
    }
    return looked;
  }

  /** Something has changed since buckets were looked at. */
  get stirred(): boolean {
    return this.#touched.size > 0;
  }

  #look(throttle: Throttle, now: number): void {
    const { bucket } = throttle;
    if (bucket.limit === undefined) return;
    let deadline = Infinity;
    let aside = 0;
    for (const line of throttle.watched) {
      const { called } = line;
      if (called === undefined) {
        throttle.unwatch(line);
        if (line.size === 0) throttle.forget(line);
      } else if (called.lane.key.held() !== undefined) this.#endCall(line);
      else if (now < line.patientUntil) {
        aside += this.#chargeOf(called, throttle);
        deadline = Math.min(deadline, line.patientUntil);
      } else if (called.at !== undefined || (line.overtaken && line.size > 0)) {
        // It waits elsewhere for too long, or behind older messages of its key, and holds up the line.
        called.inVain();
        this.#endCall(line);
      } else {
        throttle.unwatch(line);
        if (!line.overtaken) line.queue.unfetched.add(line);
      }
    }
    for (let next = throttle.next; next !== undefined; next = throttle.next) {
      const needs = aside + this.#chargeOf(next, throttle);
      if (next.lane.key.held() === undefined) {
        if (!bucket.holds(needs, now)) {
          deadline = Math.min(deadline, now + bucket.msUntil(needs, now));
          break;
        }
        if (!this.#call(next, now)) continue;
        aside = needs;
        deadline = Math.min(deadline, now + next.patienceMs);
      } else if (this.#mayFree > 0) this.#setFree(next);
      else {
        this.#toFree.add(throttle);
        break;
      }
    }
    this.#touched.delete(throttle);
    this.#deadlines.set(throttle, throttle.waiting === 0 ? Infinity : Math.max(deadline, now + leastMs));
  }

  /** false: it has to wait for a later round, its next message being dearer by now. */
  #call(wait: Wait, now: number): boolean {
    const line = wait.at as Line;
    this.#unpark(wait);
    if (line.throttle === wait.home) {
      if (!wait.begin(this.#lanes.costOf(wait.lane))) {
        this.#enter(line, wait);
        return false;
      }
      line.throttle.round = Math.max(line.throttle.round, wait.round);
    }
    line.called = wait;
    wait.calls.push(line);
    const until = now + wait.patienceMs;
    for (const call of wait.calls) this.#setAside(call, call === line ? until : Math.max(call.patientUntil, until));
    line.throttle.changed(line);
    this.#lanes.call(wait.lane);
    return true;
  }

  /** Where its key is held, it waits for that among the lanes of its key, and comes back to its place. */
  #setFree(wait: Wait): void {
    this.#mayFree -= 1;
    this.#unpark(wait);
    this.#lanes.open(wait.lane);
  }
}

/** Where in the throttle it is called. */
function calledAt(wait: Wait | undefined, throttle: Throttle): Line | undefined {
  return wait?.calls.find((line) => line.throttle === throttle);
}

/** How many wait there and go before the lane. One that has a call to lose goes by age, past lines that are younger. */
function waitBefore(throttle: Throttle, { wait }: Lane): number {
  if (wait === undefined || wait.calls.length === 0) return throttle.waiting;
  let lines = 0;
  for (const { first } of throttle.lines.values()) if (first !== undefined && first.age < wait.age) lines += 1;
  return lines;
}
