// Builds the core again from what was written down: messages from pages, then the events of the journal since, then one
// pass that links everything. Ring position, deficits and tokens are not restored; the order of messages is.
import type { LeaseToken } from "./commands.ts";
import type { Core } from "./core.ts";
import { type FairnessKey } from "./fairness-key.ts";
import { type Lane, precedes } from "./lane.ts";
import { MessageState, type NewMessage, none } from "./message-table.ts";
import type { Holder, LaneFacts } from "./mutations.ts";
import type { Now } from "./turn.ts";

export interface StoredLease {
  readonly token: LeaseToken;
  readonly durationMs: number;
  /** Wall clock. */
  readonly leasedAt: number;
  readonly holder: Holder;
}

export class Restorer {
  readonly #core: Core;
  readonly #leases = new Map<number, StoredLease>();

  constructor(core: Core) {
    this.#core = core;
  }

  salt(salt: number): void {
    this.#core.state.salt = salt;
  }

  queue(number: number, name: string, visibilityMs: number): void {
    this.#core.state.addQueue(number, name, visibilityMs);
  }

  /** Sequences below were given before. false: the queue is gone. */
  nextSequence(queueNumber: number, next: number): boolean {
    const queue = this.#core.state.queuesByNumber.get(queueNumber);
    if (queue === undefined) return false;
    queue.nextSequence = Math.max(queue.nextSequence, next);
    return true;
  }

  /** The slot of the message, or undefined: its queue is gone. */
  message(lane: LaneFacts, facts: NewMessage): number | undefined {
    const { state } = this.#core;
    const queue = state.queuesByNumber.get(lane.queueNumber);
    if (queue === undefined) return undefined;
    this.nextSequence(lane.queueNumber, facts.sequence + 1);
    this.#core.readyClock.read(facts.readyAt);
    return state.addMessage(state.laneFor(state.keyOf(queue, lane.fairnessKey), lane.throttleKeys), facts);
  }

  find(queueNumber: number, sequence: number): number | undefined {
    return this.#core.state.index.get(queueNumber, sequence);
  }

  leased(slot: number, lease: StoredLease): void {
    this.#core.state.table.setState(slot, MessageState.leased);
    this.#leases.set(slot, lease);
  }

  returned(slot: number, counted: boolean, readyAt: number): void {
    const { table } = this.#core.state;
    this.#leases.delete(slot);
    table.setState(slot, MessageState.ready);
    if (counted) table.setAttempts(slot, table.attempts(slot) + 1);
    table.setReadyAt(slot, readyAt);
    this.#core.readyClock.read(readyAt);
  }

  removed(slot: number): void {
    const lease = this.#leases.get(slot);
    // So that an ack whose answer was lost in the crash is answered OK again.
    if (lease !== undefined) {
      const { recent, table } = this.#core.state;
      const { queueNumber } = this.#core.state.laneOf(slot);
      recent.add(lease.token, "ack", queueNumber, table.sequence(slot));
    }
    this.#leases.delete(slot);
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
    key.weight = weight;
    key.weighed = true;
    return true;
  }

  /** Links messages into lanes and keys into rings; leases stand and start their full time anew. */
  finish(now: Now): void {
    this.#link();
    const { state, orphans } = this.#core;
    for (const [slot, stored] of this.#leases) {
      const lease = state.addLease(slot, stored.token, stored.durationMs, stored.holder, stored.leasedAt, now.mono);
      if (stored.holder.kind !== "poll") orphans.add(lease, state.laneOf(slot).queueNumber, now.mono);
    }
    this.#leases.clear();
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
      key.queue.ring.activate(key, state.headCost(key));
    }
  }
}
