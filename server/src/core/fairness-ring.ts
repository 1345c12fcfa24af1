// Deficit round robin (Shreedhar and Varghese, 1995) over the active fairness keys of one queue, fine-grained: a visit
// adds `weight` cost units to a key's deficit once; the key delivers while its deficit covers the cost of its next
// message; then the ring moves on. A key whose next message needs k more rounds is filed under the round in which it can
// pay and is not visited before: visiting it in vain made one delivery cost millions of visits.
// A key that may not deliver for now, though it has messages (paused, at its cap, short of tokens), is blocked: it leaves
// the ring with its deficit, and resumes its visit when it is let back. Rounds that pass meanwhile credit it once at most.
//
// States of a key: idle (not in the ring) -activate-> filed (waits for its round) -peek-> visiting (at most one per
// ring) -charge-> visiting | filed | idle; filed | visiting -block-> blocked -unblock-> filed. A visit that stops for want of credit simply stays open: peek answers with
// the same key again and adds nothing. May never happen: a key in two lists; a filed key whose round has passed.
import { invariant } from "./errors.ts";

export const maxWeight = 1_000;
export const maxCost = 1_000;
/** More than the rounds that the dearest message of the lightest key waits. */
const wheelSize = 1_024;

/** A place in a circular list; the list's own place is its anchor. */
export class RingNode {
  ringNext: RingNode = this;
  ringPrev: RingNode = this;
}

/** A fairness key as the ring sees it. */
export class RingKey extends RingNode {
  /** 1 to 1,000. Change it through FairnessRing.setWeight only. */
  weight = 1;
  /** Cost units that it may still deliver. */
  deficit = 0;
  /** The round up to which the deficit is credited. */
  creditedRound = 0;
  /** The round in which it is visited next. */
  dueRound = 0;
  inRing = false;
  /** Has messages and is not in the ring. */
  blocked = false;
}

export class FairnessRing {
  #round = 0;
  #visiting: RingKey | undefined;
  #current = new RingNode();
  #next = new RingNode();
  /** Lists for rounds further away, by round modulo wheelSize; made when the first message needs several rounds. */
  #far: { readonly lists: (RingNode | undefined)[]; readonly occupied: Uint32Array } | undefined;
  #size = 0;
  /** Steps taken, for the proof that they do not grow with the number of keys. */
  operations = 0;

  /** Number of active keys. */
  get size(): number {
    return this.#size;
  }

  get round(): number {
    return this.#round;
  }

  get visiting(): RingKey | undefined {
    return this.#visiting;
  }

  /** Every filed key with the round under which it stands; the visited one is in no list. */
  *filed(): Iterable<readonly [RingKey, number]> {
    yield* listed(this.#current, this.#round);
    yield* listed(this.#next, this.#round + 1);
    if (this.#far === undefined) return;
    for (const [place, list] of this.#far.lists.entries()) {
      if (list === undefined || list.ringNext === list) continue;
      const marked = (this.#far.occupied[place >>> 5] as number) & (1 << (place & 31));
      invariant(marked !== 0, "a list of a far round that has keys is marked");
      const distance = (place - (this.#round % wheelSize) + wheelSize) % wheelSize;
      yield* listed(list, this.#round + distance);
    }
  }

  /** The key has a deliverable message again: it joins at the tail with nothing saved. */
  activate(key: RingKey, headCost: number): void {
    invariant(!key.inRing && !key.blocked, "a key enters the ring once");
    key.inRing = true;
    key.deficit = 0;
    this.#size += 1;
    this.#file(key, headCost);
  }

  /** The key has no deliverable message any more: it leaves at once and its deficit is dropped. */
  deactivate(key: RingKey): void {
    invariant(key.inRing, "only an active key leaves the ring");
    if (this.#visiting === key) this.#visiting = undefined;
    else this.#unlink(key);
    key.inRing = false;
    key.deficit = 0;
    this.#size -= 1;
  }

  /** The key may not deliver for now, though it has messages: what it has left of its visit is kept. */
  block(key: RingKey): void {
    const credited = key === this.#visiting ? this.#round : Math.min(this.#round, key.dueRound - 1);
    const saved = key.deficit + key.weight * Math.max(0, credited - key.creditedRound);
    this.deactivate(key);
    key.blocked = true;
    key.creditedRound = Math.max(key.creditedRound, credited);
    key.deficit = saved;
  }

  /** It may again, with one visit's deficit at most: it resumes its visit before all others, or waits for the round in
   * which it can pay. */
  unblock(key: RingKey, headCost: number): void {
    invariant(key.blocked && !key.inRing, "only a blocked key is let back");
    // What was missing for a dear message before the visit, and the visit.
    const most = headCost - 1 + key.weight;
    const kept = Math.min(key.deficit + key.weight * Math.max(0, this.#round - key.creditedRound), most);
    key.blocked = false;
    key.inRing = true;
    key.deficit = kept;
    this.#size += 1;
    if (kept < headCost) this.#file(key, headCost);
    else this.#resume(key);
  }

  /** The key's next visit comes before all others, where it can pay then; its rounds are counted as if it had come in its
   * turn, so it gains no credit. */
  hasten(key: RingKey): void {
    invariant(key.inRing, "only an active key is visited");
    if (key === this.#visiting) return;
    if (key.dueRound > this.#round + 1) return;
    this.#unlink(key);
    if (key.dueRound > this.#round) {
      key.deficit += key.weight * (key.dueRound - key.creditedRound);
      key.creditedRound = key.dueRound;
      key.dueRound = this.#round;
    }
    append(this.#current.ringNext, key);
  }

  /** The blocked key has no message left. */
  forget(key: RingKey): void {
    key.blocked = false;
    key.deficit = 0;
  }

  /** First in the current round, which has given it its credit. */
  #resume(key: RingKey): void {
    this.operations += 1;
    key.creditedRound = Math.max(key.creditedRound, this.#round);
    key.dueRound = this.#round;
    append(this.#current.ringNext, key);
  }

  /**
   * The key that delivers next; its visit is open until `charge` or `deactivate` ends it.
   * @param headCost cost of the next message of a key
   */
  peek(headCost: (key: RingKey) => number): RingKey | undefined {
    for (;;) {
      if (this.#visiting !== undefined) return this.#visiting;
      if (this.#size === 0) return undefined;
      if (this.#current.ringNext === this.#current) this.#advance();
      this.operations += 1;
      const key = this.#current.ringNext as RingKey;
      this.#unlink(key);
      key.deficit += key.weight * Math.max(0, this.#round - key.creditedRound);
      key.creditedRound = Math.max(key.creditedRound, this.#round);
      const cost = headCost(key);
      // Only after its head has changed for a dearer one: it waits for what is missing.
      if (key.deficit < cost) this.#file(key, cost);
      else this.#visiting = key;
    }
  }

  /** The visited key delivered a message of this cost; `nextCost` is that of its next one, which it has. */
  charge(key: RingKey, cost: number, nextCost: number): void {
    invariant(this.#visiting === key && key.deficit >= cost, "only the visited key delivers, and within its deficit");
    key.deficit -= cost;
    if (key.deficit < nextCost) this.#endVisit(key, nextCost);
  }

  /** The same, of one that has messages and no next one: none of its lanes may go on. */
  chargeAndBlock(key: RingKey, cost: number): void {
    invariant(this.#visiting === key && key.deficit >= cost, "only the visited key delivers, and within its deficit");
    key.deficit -= cost;
    this.block(key);
  }

  /** Another message has become the key's next one. */
  headChanged(key: RingKey, headCost: number): void {
    if (key === this.#visiting) {
      if (key.deficit < headCost) this.#endVisit(key, headCost);
      return;
    }
    this.#refile(key, headCost);
  }

  /** From the next visit on; a lowered weight leaves no more than one visit's deficit. */
  setWeight(key: RingKey, weight: number, headCost: number): void {
    invariant(weight >= 1 && weight <= maxWeight, "a weight is 1 to 1,000");
    const lowered = weight < key.weight;
    if (!key.inRing) {
      key.weight = weight;
      return;
    }
    if (key !== this.#visiting) {
      // A key that is due now is credited for the round by its visit alone.
      const credited = Math.min(this.#round, key.dueRound - 1);
      key.deficit += key.weight * Math.max(0, credited - key.creditedRound);
      key.creditedRound = Math.max(key.creditedRound, credited);
    }
    key.weight = weight;
    if (lowered) key.deficit = Math.min(key.deficit, weight);
    this.headChanged(key, headCost);
  }

  #endVisit(key: RingKey, nextCost: number): void {
    this.#visiting = undefined;
    this.#file(key, nextCost);
  }

  /** Rounds from the one it is credited up to until it can pay; at least one. */
  #roundsToPay(key: RingKey, cost: number): number {
    return Math.max(1, Math.ceil((cost - key.deficit) / key.weight));
  }

  #file(key: RingKey, headCost: number): void {
    // A visit that was hastened has the credit of the round to come.
    key.creditedRound = Math.max(key.creditedRound, this.#round);
    this.#fileUnder(key, key.creditedRound + this.#roundsToPay(key, headCost));
  }

  #refile(key: RingKey, headCost: number): void {
    // What is due in the current round keeps its place; its visit will tell.
    if (key.dueRound <= this.#round) return;
    const due = Math.max(key.creditedRound + this.#roundsToPay(key, headCost), this.#round + 1);
    if (due === key.dueRound) return;
    this.#unlink(key);
    this.#fileUnder(key, due);
  }

  #fileUnder(key: RingKey, due: number): void {
    this.operations += 1;
    key.dueRound = due;
    const distance = due - this.#round;
    invariant(distance >= 1 && distance < wheelSize, "a key is filed under a round to come");
    append(distance === 1 ? this.#next : this.#farList(due), key);
  }

  #farList(due: number): RingNode {
    this.#far ??= { lists: new Array<RingNode | undefined>(wheelSize).fill(undefined), occupied: new Uint32Array(32) };
    const place = due % wheelSize;
    (this.#far.occupied[place >>> 5] as number) |= 1 << (place & 31);
    return (this.#far.lists[place] ??= new RingNode());
  }

  #unlink(key: RingKey): void {
    this.operations += 1;
    key.ringPrev.ringNext = key.ringNext;
    key.ringNext.ringPrev = key.ringPrev;
    key.ringNext = key;
    key.ringPrev = key;
  }

  /** On to the next round that has keys; the current one has none left. */
  #advance(): void {
    this.operations += 1;
    if (this.#next.ringNext === this.#next) {
      this.#round = this.#nextFarRound();
    } else {
      this.#round += 1;
      const spent = this.#current;
      this.#current = this.#next;
      this.#next = spent;
    }
    const far = this.#far?.lists[this.#round % wheelSize];
    // Those filed rounds ago come before those filed in the last one.
    if (far !== undefined) moveToFront(far, this.#current);
  }

  /** The occupancy bits are cleared here only, so an emptied list may still be marked. */
  #nextFarRound(): number {
    invariant(this.#far !== undefined, "active keys are filed somewhere");
    const { lists, occupied } = this.#far;
    for (let distance = 1; distance < wheelSize;) {
      this.operations += 1;
      const place = (this.#round + distance) % wheelSize;
      const bits = (occupied[place >>> 5] as number) >>> (place & 31);
      if (bits === 0) {
        distance += 32 - (place & 31);
        continue;
      }
      distance += 31 - Math.clz32(bits & -bits);
      const found = (this.#round + distance) % wheelSize;
      const list = lists[found];
      if (list !== undefined && list.ringNext !== list) return this.#round + distance;
      (occupied[found >>> 5] as number) &= ~(1 << (found & 31));
    }
    invariant(false, "active keys are filed somewhere");
  }
}

function moveToFront(from: RingNode, to: RingNode): void {
  if (from.ringNext === from) return;
  from.ringPrev.ringNext = to.ringNext;
  to.ringNext.ringPrev = from.ringPrev;
  to.ringNext = from.ringNext;
  from.ringNext.ringPrev = to;
  from.ringNext = from;
  from.ringPrev = from;
}

function* listed(list: RingNode, round: number): Iterable<readonly [RingKey, number]> {
  for (let node = list.ringNext; node !== list; node = node.ringNext) {
    invariant(node.ringNext.ringPrev === node, "neighbours in the ring know each other");
    yield [node as RingKey, round];
  }
}

function append(list: RingNode, node: RingNode): void {
  node.ringPrev = list.ringPrev;
  node.ringNext = list;
  list.ringPrev.ringNext = node;
  list.ringPrev = node;
}
