// What must be true of the broker, told by someone who knows its promises and nothing of its data structures. It sees
// every durable turn: commands, mutations, effects. Each mutation must have a cause that the promises allow, and what
// the promises demand must be there.
import type { EnqueueItem } from "../../server/src/core/commands.ts";
import { adoptionMs } from "../../server/src/core/orphans.ts";
import type { Now } from "../../server/src/core/turn.ts";
import { expect } from "./failure.ts";
import { maxKeys } from "./fair-shares.ts";
import { ModelKey, ModelMessage, ModelQueue, tokenNumber } from "./model-state.ts";
import type { ModelConsumer, ModelLease } from "./model-state.ts";

export class Model {
  readonly queuesByName = new Map<string, ModelQueue>();
  /** Living ones. */
  readonly queuesByNumber = new Map<number, ModelQueue>();
  nextQueueNumber = 1;
  readonly consumers = new Map<number, ModelConsumer>();
  /** Of living and of deleted queues. */
  readonly leases = new Set<ModelLease>();
  /** Every lease that ever was, by its token. */
  readonly everLeased = new Map<number, ModelLease>();
  /** Messages that a connection held once, through a lease that it lost. */
  readonly formerHolders = new Map<number, Set<ModelMessage>>();
  orphanDeadline = Infinity;
  /** Between these two stands the clock of places; after a restart it may be behind. */
  #clockLow = 0;
  #clockHigh = 0;
  #retriedIn: object | undefined;

  /** The place in time that a message gets now must be the wall clock's, and never before an earlier one. */
  checkReadyAt(readyAt: number, wall: number): void {
    this.readClock(wall);
    const due = readyAt >= this.#clockLow && readyAt <= this.#clockHigh;
    expect(due, () => `ready at ${readyAt}, expected ${this.#clockLow} to ${this.#clockHigh}`);
    this.#clockLow = readyAt;
    this.#clockHigh = readyAt;
  }

  /** For an ended attempt: while the wall clock is behind, that time goes on a little with each turn that needs it. */
  checkRetryAt(readyAt: number, turn: { readonly now: { readonly wall: number } }): void {
    const { wall } = turn.now;
    const first = this.#retriedIn !== turn;
    this.#retriedIn = turn;
    if (first && wall < this.#clockLow) this.#clockLow += 1;
    if (first && wall < this.#clockHigh) this.#clockHigh += 1;
    this.checkReadyAt(readyAt, wall);
  }

  /** The clock of places was looked at, whether or not anything got a place. */
  readClock(wall: number): void {
    this.#clockLow = Math.max(wall, this.#clockLow);
    this.#clockHigh = Math.max(wall, this.#clockHigh);
  }

  createQueue(number: number, name: string, visibilityMs: number): void {
    expect(number === this.nextQueueNumber, () => `queue number ${number} given, ${this.nextQueueNumber} is next`);
    this.nextQueueNumber += 1;
    const queue = new ModelQueue(number, name, visibilityMs);
    this.queuesByName.set(name, queue);
    this.queuesByNumber.set(number, queue);
  }

  deleteQueue(queue: ModelQueue): void {
    queue.dead = true;
    this.queuesByName.delete(queue.name);
    this.queuesByNumber.delete(queue.number);
    for (const consumer of queue.consumers) this.consumers.delete(consumer.id);
  }

  keyOf(queue: ModelQueue, name: string): ModelKey {
    let key = queue.keys.get(name);
    if (key === undefined) {
      // The world names keys k0 to k7.
      key = new ModelKey(name, Number(name.slice(1)) % maxKeys);
      queue.keys.set(name, key);
      queue.shares.weighed(key.index, 1);
    }
    return key;
  }

  addMessage(queue: ModelQueue, item: EnqueueItem, key: ModelKey, enqueuedAt: number, readyAt: number): ModelMessage {
    const message = new ModelMessage(queue, queue.nextSequence, key, item, enqueuedAt, readyAt);
    queue.nextSequence += 1;
    queue.messages.set(message.sequence, message);
    key.total += 1;
    this.makeReady(message);
    return message;
  }

  /** true: its key had a weight of its own and has gone with it. */
  removeMessage(message: ModelMessage): boolean {
    const { queue, key } = message;
    queue.messages.delete(message.sequence);
    key.total -= 1;
    if (key.total > 0) return false;
    queue.keys.delete(key.name);
    return key.weighed;
  }

  makeReady(message: ModelMessage): void {
    const { key, queue } = message;
    key.insert(message);
    if (key.ready.length === 1) queue.shares.joined(key.index);
  }

  takeReady(message: ModelMessage): void {
    const { key, queue } = message;
    key.take(message);
    if (key.ready.length === 0) queue.shares.left(key.index);
  }

  startLease(message: ModelMessage, lease: ModelLease, consumer: ModelConsumer): void {
    message.lease = lease;
    message.deliveries += 1;
    message.queue.inFlight += 1;
    this.leases.add(lease);
    this.everLeased.set(tokenNumber(lease.token), lease);
    this.hold(lease, consumer);
  }

  /** The lease counts for what the consumer holds. */
  hold(lease: ModelLease, consumer: ModelConsumer): void {
    lease.consumer = consumer;
    consumer.leases.add(lease);
    consumer.unsettledBytes += lease.message.item.body.byteLength;
  }

  letGo(lease: ModelLease): void {
    const { consumer } = lease;
    if (consumer === undefined) return;
    consumer.leases.delete(lease);
    consumer.unsettledBytes -= lease.message.item.body.byteLength;
    lease.consumer = undefined;
  }

  /** @param lost the holder did not ack it */
  endLease(lease: ModelLease, lost: boolean): void {
    const { message, consumer } = lease;
    if (lost && consumer !== undefined) this.#remember(consumer.connection, message);
    this.letGo(lease);
    lease.over = true;
    message.lease = undefined;
    message.queue.inFlight -= 1;
    this.leases.delete(lease);
  }

  #remember(connection: number, message: ModelMessage): void {
    const held = this.formerHolders.get(connection);
    if (held === undefined) this.formerHolders.set(connection, new Set([message]));
    else held.add(message);
  }

  /** The process died and has recovered what was durable: consumers are gone, leases stand and start anew. */
  restart(now: Now): void {
    this.consumers.clear();
    this.formerHolders.clear();
    this.orphanDeadline = Infinity;
    for (const lease of this.leases) {
      lease.consumer = undefined;
      // Written to a transport that is gone: whoever takes it up has it as if written.
      lease.ordinal = 0;
      lease.deadline = now.mono + lease.durationMs;
      lease.orphan = lease.kind !== "poll";
      // Of a deleted queue nothing is left.
      if (lease.message.queue.dead) this.leases.delete(lease);
      else if (lease.orphan) this.orphanDeadline = now.mono + adoptionMs;
    }
    this.#clockLow = 0;
    for (const queue of this.queuesByNumber.values()) {
      queue.consumers.clear();
      queue.shares.restarted();
      for (const message of queue.messages.values()) this.#clockLow = Math.max(this.#clockLow, message.readyAt);
    }
  }

  /** Living messages, leased or not. */
  get depth(): number {
    let depth = 0;
    for (const queue of this.queuesByNumber.values()) depth += queue.messages.size;
    return depth;
  }
}
