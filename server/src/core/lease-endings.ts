// How a lease ends other than by an ack: nack, expiry, a stream that died, a release. And how all that a deleted queue
// held goes, in slices.
import type { Consumer } from "./consumer.ts";
import type { Lease } from "./lease.ts";
import { none } from "./message-table.ts";
import type { LeaseEnd } from "./mutations.ts";
import type { Queue } from "./queue.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Leases lost that a connection is remembered to have held, so that its late token-less ack is refused. */
export const maxRememberedPerConnection = 10_000;

/** The messages that each connection held once and lost, by connection. */
export class FormerHolders {
  readonly #byConnection = new Map<number, Set<string>>();
  readonly #openConsumers = new Map<number, number>();
  /** Closed, but some of their consumers are not yet. */
  readonly #gone = new Set<number>();

  /** A consumer of the connection is open. */
  opened(connection: number): void {
    this.#openConsumers.set(connection, (this.#openConsumers.get(connection) ?? 0) + 1);
  }

  /** One of its consumers is closed, and nothing more is added for it. */
  closed(connection: number): void {
    const left = (this.#openConsumers.get(connection) ?? 0) - 1;
    if (left > 0) {
      this.#openConsumers.set(connection, left);
      return;
    }
    this.#openConsumers.delete(connection);
    if (this.#gone.delete(connection)) this.#byConnection.delete(connection);
  }

  add(connection: number, queueNumber: number, sequence: number): void {
    let messages = this.#byConnection.get(connection);
    if (messages === undefined) {
      messages = new Set();
      this.#byConnection.set(connection, messages);
    }
    messages.add(`${queueNumber}:${sequence}`);
    if (messages.size > maxRememberedPerConnection) {
      for (const oldest of messages) {
        messages.delete(oldest);
        break;
      }
    }
  }

  has(connection: number, queueNumber: number, sequence: number): boolean {
    return this.#byConnection.get(connection)?.has(`${queueNumber}:${sequence}`) ?? false;
  }

  /** The connection is closed. Its streams may be reported after it, and what they held must not stay behind. */
  forget(connection: number): void {
    this.#byConnection.delete(connection);
    if (this.#openConsumers.has(connection)) this.#gone.add(connection);
  }

  /** Connections of which anything is remembered. */
  get size(): number {
    return new Set([...this.#byConnection.keys(), ...this.#openConsumers.keys(), ...this.#gone]).size;
  }
}

/** The clock by which messages find their place in a lane: the wall clock, but never backwards. */
export class ReadyClock {
  #last = 0;
  #retriedIn: Turn | undefined;

  read(wall: number): number {
    this.#last = Math.max(this.#last, wall);
    return this.#last;
  }

  /**
   * For an ended attempt. While the wall clock is behind, the time that it had goes on a little with each turn that needs
   * it: standing still, it would put every retry back at the head of its lane, for as long as the clock was set back.
   */
  readRetry(turn: Turn): number {
    if (turn.now.wall < this.#last && this.#retriedIn !== turn) this.#last += 1;
    this.#retriedIn = turn;
    return this.read(turn.now.wall);
  }
}

export interface Endings {
  readonly state: State;
  readonly formerHolders: FormerHolders;
  readonly readyClock: ReadyClock;
}

/** The attempt failed, whatever ended it: the message is ready again, behind what is ready already. */
export function endAttempt(core: Endings, turn: Turn, lease: Lease, by: Exclude<LeaseEnd, "release">): void {
  giveBack(core, turn, lease, by);
}

/** Not begun: the message returns to its place, without an attempt. */
export function release(core: Endings, turn: Turn, lease: Lease): void {
  giveBack(core, turn, lease, "release");
}

function giveBack(core: Endings, turn: Turn, lease: Lease, by: LeaseEnd): void {
  const counted = by !== "release";
  const { state } = core;
  const { table } = state;
  const { slot, consumer } = lease;
  const { queue } = state.laneOf(slot).key;
  const sequence = table.sequence(slot);
  if (consumer !== undefined) core.formerHolders.add(consumer.connection, queue.number, sequence);
  state.endLease(lease);
  if (queue.dead) {
    drop(state, turn, slot);
    return;
  }
  if (counted) {
    table.setAttempts(slot, table.attempts(slot) + 1);
    table.setReadyAt(slot, core.readyClock.readRetry(turn));
  }
  turn.mutations.push({
    type: "returned",
    queueNumber: queue.number,
    sequence,
    page: table.page(slot),
    counted,
    readyAt: table.readyAt(slot),
    by,
  });
  state.makeReady(slot);
}

/** Ends the leases whose time is over; true when there are more than one turn may end. */
export function expireLeases(core: Endings, turn: Turn): boolean {
  const { deadlines } = core.state;
  for (;;) {
    const lease = deadlines.first;
    if (lease === undefined || lease.deadline > turn.now.mono) return false;
    if (turn.sliceBudget <= 0) return true;
    turn.sliceBudget -= 1;
    const { consumer, token } = lease;
    if (consumer !== undefined) turn.lost(consumer, { id: core.state.idOf(lease.slot), token });
    endAttempt(core, turn, lease, "expiry");
  }
}

/**
 * The consumer's stream is gone. What never reached its transport goes back to its place; every other delivery ends an
 * attempt. The leases of a long poll whose answer was written stand.
 */
export function closeConsumer(core: Endings, turn: Turn, consumer: Consumer, written: number): void {
  leaveQueue(core.state, consumer);
  const reached = Math.max(written, consumer.writtenThrough);
  // Newest first: each released message then returns to the very head of its lane.
  for (let lease = consumer.lastLease; lease !== undefined && lease.ordinal > reached;) {
    const before: Lease | undefined = lease.prev;
    release(core, turn, lease);
    lease = before;
  }
  // Oldest first: each failed one then goes to the very tail. Both orders the other way round walk the lane every time.
  for (let lease = consumer.firstLease; lease !== undefined;) {
    const after: Lease | undefined = lease.next;
    if (consumer.holder.kind === "poll") consumer.drop(lease, core.state.table.length(lease.slot));
    else endAttempt(core, turn, lease, "dead-stream");
    lease = after;
  }
  core.formerHolders.closed(consumer.connection);
}

export function leaveQueue(state: State, consumer: Consumer): void {
  consumer.closed = true;
  consumer.queue.line.leave(consumer);
  consumer.queue.consumers.delete(consumer);
  state.consumers.delete(consumer.id);
}

/** Takes messages of deleted queues out, as many as the turn may; true when some are left. */
export function dropDeadQueues(state: State, turn: Turn): boolean {
  while (state.dying.length > 0) {
    const queue = state.dying[0] as Queue;
    for (const consumer of queue.consumers) {
      while (consumer.firstLease !== undefined && turn.dropBudget > 0) {
        turn.dropBudget -= 1;
        const { slot } = consumer.firstLease;
        state.endLease(consumer.firstLease);
        drop(state, turn, slot);
      }
      if (turn.dropBudget <= 0) return true;
      queue.consumers.delete(consumer);
    }
    for (const key of queue.keys.values()) {
      for (const lane of key.lanes()) {
        while (lane.head !== none && turn.dropBudget > 0) {
          turn.dropBudget -= 1;
          const slot = lane.head;
          state.unready(slot);
          drop(state, turn, slot);
        }
        if (turn.dropBudget <= 0) return true;
      }
    }
    for (const slot of state.setAside) {
      if (state.laneOf(slot).key.queue === queue) drop(state, turn, slot);
    }
    // What a long poll still holds goes when its lease ends.
    state.dying.shift();
    state.queuesByNumber.delete(queue.number);
  }
  return false;
}

function drop(state: State, turn: Turn, slot: number): void {
  const { table } = state;
  state.setAside.delete(slot);
  const record = table.record(slot);
  const length = table.length(slot);
  const page = table.page(slot);
  const { key, keyGone } = state.removeMessage(slot);
  turn.mutations.push({ type: "dropped", page, record, length });
  if (keyGone && key.weighed) {
    turn.mutations.push({ type: "forgotten", queueNumber: key.queue.number, fairnessKey: key.name });
  }
}
