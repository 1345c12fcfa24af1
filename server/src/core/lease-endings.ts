// How a lease ends other than by a settlement: expiry, a stream that died, a release of what was never written.
import { endAttempt, expire } from "./attempts.ts";
import type { Consumer } from "./consumer.ts";
import { drop } from "./dying-queues.ts";
import type { Lease } from "./lease.ts";
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

  /** For a message that waited and was due so long ago: its place is then. While the wall clock is behind, nobody's place
   * tells when it came, and it goes behind all that are there. */
  readDue(turn: Turn, late: number): number {
    const behind = turn.now.wall < this.#last;
    const now = this.readRetry(turn);
    // Whole milliseconds, as all places: the monotonic clock knows finer ones.
    return behind ? now : now - Math.floor(late);
  }
}

export interface Endings {
  readonly state: State;
  readonly formerHolders: FormerHolders;
  readonly readyClock: ReadyClock;
}

/** Not begun: the message returns to its place, without an attempt. */
export function release(core: Endings, turn: Turn, lease: Lease): void {
  const { state } = core;
  const { table } = state;
  const { slot } = lease;
  if (!leaveLease(core, turn, lease)) return;
  const expiresAt = table.expiresAt(slot);
  if (expiresAt !== 0 && expiresAt <= turn.steady) {
    expire(core, turn, slot);
    return;
  }
  turn.mutations.push({
    type: "returned",
    queueNumber: table.queueNumber(slot),
    sequence: table.sequence(slot),
    page: table.page(slot),
    inQueue: state.laneOf(slot).queueNumber,
    counted: false,
    readyAt: table.readyAt(slot),
    waiting: "ready",
    by: "release",
  });
  state.resumeExpiry(slot);
  state.makeReady(slot);
}

/** The lease is over, and the message stands in no list. false: its queue was deleted, and the message went with it. */
export function leaveLease(core: Endings, turn: Turn, lease: Lease): boolean {
  const { state } = core;
  const { slot, consumer } = lease;
  const { table } = state;
  if (consumer !== undefined) {
    core.formerHolders.add(consumer.connection, table.queueNumber(slot), table.sequence(slot));
  }
  const { queue } = state.laneOf(slot).key;
  state.endLease(lease);
  if (!queue.dead) return true;
  drop(state, turn, slot);
  return false;
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
    endAttempt(core, turn, lease, { by: "expiry" });
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
    else endAttempt(core, turn, lease, { by: "dead-stream" });
    lease = after;
  }
  core.formerHolders.closed(consumer.connection);
}

export function leaveQueue(state: State, consumer: Consumer): void {
  consumer.closed = true;
  consumer.queue.line.leave(consumer);
  consumer.queue.turnedAway.delete(consumer);
  consumer.queue.consumers.delete(consumer);
  state.consumers.delete(consumer.id);
}
