// Builds the core again from what was written down: messages from pages, then the events of the journal since, then one
// pass that links everything. Ring position, deficits and tokens are not restored; the order of messages is.
import type { LeaseToken } from "./commands.ts";
import { IdempotencyRecords, type KeyHash } from "./idempotency.ts";
import type { Core } from "./core.ts";
import { type FairnessKey } from "./fairness-key.ts";
import { type Lane, precedes } from "./lane.ts";
import { MessageState, type NewMessage, none } from "./message-table.ts";
import type { Holder, LaneFacts, Waiting } from "./mutations.ts";
import { type KeyOverride, Queue } from "./queue.ts";
import { type QueueSettings, defaultQueueSettings } from "./queue-settings.ts";
import type { AttemptEnd } from "./retry-policy.ts";
import type { Now } from "./turn.ts";

export interface StoredLease {
  readonly token: LeaseToken;
  readonly durationMs: number;
  /** Wall clock. */
  readonly leasedAt: number;
  readonly holder: Holder;
}

/** Where a message moved to. */
export interface MovedTo {
  readonly lane: LaneFacts;
  readonly readyAt: number;
  /** Wall clock; 0 = never. */
  readonly expiresAt: number;
  readonly attempts: number;
  readonly quarantined: boolean;
}

export class Restorer {
  readonly #core: Core;
  readonly #leases = new Map<number, StoredLease>();
  readonly #deciding = new Map<number, AttemptEnd>();
  /** By number, for the time of reading. */
  readonly #deleted = new Map<number, Queue>();

  constructor(core: Core) {
    this.#core = core;
  }

  salt(salt: number): void {
    this.#core.state.salt = salt;
  }

  queue(number: number, name: string, settings: QueueSettings, deadLetters: number, madeFor: number): void {
    this.#core.state.addQueue(number, name, settings, deadLetters, madeFor);
  }

  override(queueNumber: number, fairnessKey: string, override: KeyOverride): void {
    this.#core.state.queuesByNumber.get(queueNumber)?.overrides.set(fairnessKey, override);
  }

  /** In the order of their use. false: the queue is gone. */
  keysUsed(
    queueNumber: number,
    uses: readonly { key: KeyHash; sequence: number; enqueuedAt: number; expiresAt: number }[],
  ): boolean {
    const { state } = this.#core;
    const queue = state.queuesByNumber.get(queueNumber);
    if (queue === undefined) return false;
    queue.idempotency ??= new IdempotencyRecords();
    state.remembering.add(queue);
    // The steady clock will agree with the wall clock.
    for (const use of uses) queue.idempotency.add(use.key, use, use.expiresAt);
    return true;
  }

  keyReleased(queueNumber: number, key: KeyHash): void {
    this.#core.state.queuesByNumber.get(queueNumber)?.idempotency?.release(key);
  }

  /** Sequences below were given before. false: the queue is gone. */
  nextSequence(queueNumber: number, next: number): boolean {
    const queue = this.#core.state.queuesByNumber.get(queueNumber);
    if (queue === undefined) return false;
    queue.nextSequence = Math.max(queue.nextSequence, next);
    return true;
  }

  /** In no list; what it is in is said next. */
  message(lane: LaneFacts, facts: NewMessage): number {
    this.nextSequence(facts.queueNumber, facts.sequence + 1);
    return this.#core.state.addMessage(this.#laneOf(lane), facts);
  }

  /** A queue that is gone by the end stands in for itself until then: some of its messages may have moved on. */
  #laneOf({ queueNumber, fairnessKey, throttleKeys }: LaneFacts): Lane {
    const { state } = this.#core;
    const queue = state.queuesByNumber.get(queueNumber) ?? this.#deletedQueue(queueNumber);
    return state.laneFor(state.keyOf(queue, fairnessKey), throttleKeys);
  }

  #deletedQueue(number: number): Queue {
    let queue = this.#deleted.get(number);
    if (queue === undefined) {
      queue = new Queue(number, "", defaultQueueSettings, 0, 0);
      queue.dead = true;
      this.#deleted.set(number, queue);
    }
    return queue;
  }

  /** What is left in queues that are gone; each is to be removed. */
  *ofDeletedQueues(): Iterable<number> {
    if (this.#deleted.size === 0) return;
    const { table } = this.#core.state;
    for (let slot = table.usedFrom(0); slot !== none; slot = table.usedFrom(slot + 1)) {
      if (this.#core.state.laneOf(slot).key.queue.dead) yield slot;
    }
  }

  expiresAt(slot: number, wall: number): void {
    this.#core.state.table.setExpiresAt(slot, wall);
  }

  firstFailedAt(slot: number, wall: number): void {
    this.#core.state.table.setFirstFailedAt(slot, wall);
  }

  find(queueNumber: number, sequence: number): number | undefined {
    return this.#core.state.index.get(queueNumber, sequence);
  }

  leased(slot: number, lease: StoredLease): void {
    this.#core.state.table.setState(slot, MessageState.leased);
    this.#leases.set(slot, lease);
  }

  /** @param at wall clock */
  attemptEnded(slot: number, at: number): void {
    const { table } = this.#core.state;
    const attempts = table.attempts(slot) + 1;
    table.setAttempts(slot, attempts);
    if (attempts === 1) table.setFirstFailedAt(slot, at);
  }

  returned(slot: number, readyAt: number, waiting: Waiting): void {
    this.#leases.delete(slot);
    this.#deciding.delete(slot);
    this.waits(slot, readyAt, waiting);
  }

  waits(slot: number, readyAt: number, waiting: Waiting): void {
    const { table } = this.#core.state;
    table.setState(slot, MessageState[waiting]);
    table.setReadyAt(slot, readyAt);
    if (waiting === "ready") this.#core.readyClock.read(readyAt);
  }

  deciding(slot: number, end: AttemptEnd): void {
    this.#leases.delete(slot);
    this.#core.state.table.setState(slot, MessageState.deciding);
    this.#deciding.set(slot, end);
  }

  moved(slot: number, to: MovedTo): void {
    const { state } = this.#core;
    state.setAside.delete(slot);
    state.moveMessage(slot, this.#laneOf(to.lane));
    state.table.setAttempts(slot, to.attempts);
    state.table.setFirstFailedAt(slot, 0);
    state.table.setExpiresAt(slot, to.expiresAt);
    this.returned(slot, to.readyAt, "ready");
    if (to.quarantined) this.quarantined(slot);
  }

  /** @param acked its lease, if it had one, was settled by an ack */
  removed(slot: number, acked: boolean): void {
    const lease = this.#leases.get(slot);
    // So that an ack whose answer was lost in the crash is answered OK again.
    if (acked && lease !== undefined) {
      const { recent, table } = this.#core.state;
      recent.add(lease.token, "ack", table.queueNumber(slot), table.sequence(slot));
    }
    this.#leases.delete(slot);
    this.#deciding.delete(slot);
    this.#core.state.setAside.delete(slot);
    this.#core.state.removeMessage(slot);
  }

  quarantined(slot: number): void {
    this.#leases.delete(slot);
    this.#core.state.table.setState(slot, MessageState.quarantined);
    this.#core.state.setAside.add(slot);
  }

  /** The key's weight, unless it has no message left. */
  weight(queueNumber: number, fairnessKey: string, weight: number): boolean {
    const key = this.#core.state.queuesByNumber.get(queueNumber)?.keys.get(fairnessKey);
    if (key === undefined) return false;
    this.#core.state.setOwnWeight(key, weight);
    return true;
  }

  /** Links messages into lanes and keys into rings; leases stand and start their full time anew. */
  finish(now: Now): void {
    this.#deleted.clear();
    this.#core.startClock(now);
    const { config, throttles } = this.#core.state;
    for (const [key, value] of config.values) throttles.configured(key, value, now.mono);
    this.#wait(now);
    this.#link();
    const { state, orphans, readyClock } = this.#core;
    for (const [slot, end] of this.#deciding) this.#core.askAgain.push([slot, end]);
    this.#deciding.clear();
    for (const [slot, stored] of this.#leases) {
      // Where it may return to. Not sooner: of one that has waited, the store may know the due time only.
      readyClock.read(state.table.readyAt(slot));
      const lease = state.addLease(slot, stored.token, stored.durationMs, stored.holder, stored.leasedAt, now.mono);
      if (stored.holder.kind !== "poll") orphans.add(lease, state.laneOf(slot).queueNumber, now.mono);
    }
    this.#leases.clear();
  }

  /** Delays and times to live go on by the wall clock, which now agrees with the steady one. */
  #wait(now: Now): void {
    const { state, readyClock } = this.#core;
    const { table } = state;
    for (let slot = table.usedFrom(0); slot !== none; slot = table.usedFrom(slot + 1)) {
      const expiresAt = table.expiresAt(slot);
      if (expiresAt !== 0) state.setExpiry(slot, expiresAt);
      const what = table.state(slot);
      if (what !== MessageState.delayed && what !== MessageState.scheduled) continue;
      const due = table.readyAt(slot);
      if (due > now.wall) state.delay(slot, what === MessageState.delayed ? "steady" : "wall", due);
      else {
        readyClock.read(due);
        table.setState(slot, MessageState.ready);
      }
    }
  }

  #link(): void {
    const { state } = this.#core;
    const { table } = state;
    const unsorted = new Set<Lane>();
    const keys = new Set<FairnessKey>();
    for (const slot of table.slots()) {
      if (table.state(slot) !== MessageState.ready) continue;
      const lane = state.laneOf(slot);
      if (lane.tail !== none && precedes(table, slot, lane.tail)) unsorted.add(lane);
      lane.append(table, slot);
      lane.key.ready += 1;
      keys.add(lane.key);
    }
    for (const lane of unsorted) lane.sort(table);
    for (const key of keys) {
      for (const lane of key.lanes()) key.reorder(table, lane);
      if (key.held() === undefined) key.queue.ring.activate(key, state.headCost(key));
    }
  }
}
