// What must be true of the broker, told by someone who knows its promises and nothing of its data structures. It sees
// every durable turn: commands, mutations, effects. Each mutation must have a cause that the promises allow, and what
// the promises demand must be there.
import type { EnqueueItem } from "../../server/src/core/commands.ts";
import type { QueueCreatedMutation, QueueUpdatedMutation } from "../../server/src/core/mutations.ts";
import type { KeyOverride } from "../../server/src/core/queue.ts";
import type { Now } from "../../server/src/core/turn.ts";
import type { Coverage } from "./coverage.ts";
import { expect } from "./failure.ts";
import { maxKeys } from "./fair-shares.ts";
import { PlaceClock } from "./model-clock.ts";
import { ModelConfig } from "./model-config.ts";
import type { ModelPurge } from "./model-purges.ts";
import { ModelThrottles } from "./model-throttles.ts";
import { ModelDue, ModelKey, ModelMessage, ModelQueue, nameOf, tokenNumber } from "./model-state.ts";
import type { ModelConsumer, ModelLease } from "./model-state.ts";

export class Model {
  readonly coverage: Coverage;
  readonly queuesByName = new Map<string, ModelQueue>();
  /** Living ones. */
  readonly queuesByNumber = new Map<number, ModelQueue>();
  nextQueueNumber = 1;
  readonly consumers = new Map<number, ModelConsumer>();
  /** Of living and of deleted queues. */
  readonly leases = new Set<ModelLease>();
  /** Every lease that ever was, by its token. */
  readonly everLeased = new Map<number, ModelLease>();
  /** Messages of living queues, by their names. */
  readonly messages = new Map<number, ModelMessage>();
  /** Those that wait for a time, or have waited and may be ready by now. */
  readonly waiting = new Set<ModelMessage>();
  /** Those with a time to live. */
  readonly mortal = new Set<ModelMessage>();
  readonly deciding = new Set<ModelMessage>();
  /** Messages that a connection held once, through a lease that it lost. */
  readonly formerHolders = new Map<number, Set<ModelMessage>>();
  readonly clock = new PlaceClock();
  readonly config = new ModelConfig();
  readonly throttles = new ModelThrottles(this.config);
  /** Those under way, in the order of their requests. */
  purges: ModelPurge[] = [];
  /** What each request of a redrive moved, until somebody asks for it. */
  readonly redriven = new Map<number, ModelMessage[]>();
  /** Counts everything that happens. */
  serial = 0;
  /** Of the core that runs now. */
  maxIdempotencyKeys = Infinity;
  orphanDeadline = Infinity;
  /** Dead letters of deleted queues, by their names: the records of their failures go one by one. */
  readonly dyingFailures = new Set<number>();
  /** Ids of messages that have ended as promised, but not by an ack. */
  ended: string[] = [];
  /** What the steady clock is ahead of the monotonic one, and of the wall clock. */
  steadyBase = 0;
  lead = 0;

  constructor(coverage: Coverage) {
    this.coverage = coverage;
  }

  /** A wall clock that nobody sets. */
  steady({ mono }: { readonly mono: number }): number {
    return mono + this.steadyBase;
  }

  started({ mono, wall }: Now): void {
    this.steadyBase = wall - mono;
    this.lead = 0;
  }

  /** Somebody has set the wall clock. */
  clockSet(now: Now): void {
    this.lead = this.steady(now) - now.wall;
    for (const message of this.waiting) message.waits?.clockSet(this.lead);
    for (const message of this.mortal) message.expiry?.clockSet(this.lead);
  }

  /** @param written what the event says of it, wall clock */
  duration(now: Now, ms: number, written: number): ModelDue {
    const due = new ModelDue("steady", this.steady(now) + ms, written);
    // It may have been set while the turn was written down.
    due.clockSet(this.lead);
    return due;
  }

  /** Leased messages of a key. */
  leasedOf(key: ModelKey): number {
    let leased = 0;
    for (const { message } of this.leases) if (message.key === key) leased += 1;
    return leased;
  }

  find(origin: number, sequence: number): ModelMessage | undefined {
    return this.messages.get(nameOf(origin, sequence));
  }

  createQueue(mutation: Omit<QueueCreatedMutation, "type">): ModelQueue {
    const { queueNumber, name, settings, deadLetters, madeFor } = mutation;
    const next = this.nextQueueNumber;
    expect(queueNumber === next, () => `queue number ${queueNumber} given, ${next} is next`);
    expect(!this.queuesByName.has(name), () => `queue ${name} was created twice`);
    this.nextQueueNumber += 1;
    const queue = new ModelQueue(queueNumber, name, settings, deadLetters, madeFor);
    this.queuesByName.set(name, queue);
    this.queuesByNumber.set(queueNumber, queue);
    return queue;
  }

  updateQueue({ queueNumber, settings, deadLetters }: Omit<QueueUpdatedMutation, "type">): void {
    const queue = this.queuesByNumber.get(queueNumber);
    expect(queue !== undefined, () => `queue ${queueNumber} is changed, but is not there`);
    queue.settings = settings;
    queue.deadLetters = deadLetters;
  }

  deleteQueue(queue: ModelQueue): void {
    queue.dead = true;
    this.queuesByName.delete(queue.name);
    this.queuesByNumber.delete(queue.number);
    for (const consumer of queue.consumers) this.consumers.delete(consumer.id);
    for (const message of queue.messages) {
      if (message.failure !== undefined) this.dyingFailures.add(nameOf(message.origin, message.sequence));
      this.forget(message);
      this.ended.push(message.id);
    }
  }

  /** It is in no list any more. */
  forget(message: ModelMessage): void {
    this.messages.delete(nameOf(message.origin, message.sequence));
    this.waiting.delete(message);
    this.mortal.delete(message);
    this.deciding.delete(message);
  }

  keyOf(queue: ModelQueue, name: string): ModelKey {
    let key = queue.keys.get(name);
    if (key === undefined) {
      // The world names keys k0 to k7.
      key = new ModelKey(name, Number(name.slice(1)) % maxKeys);
      queue.keys.set(name, key);
      this.#heed(queue, key);
      queue.shares.weighed(key.index, key.weight);
    }
    return key;
  }

  weigh(queue: ModelQueue, key: ModelKey, weight: number): void {
    key.ownWeight = weight;
    key.weighed = true;
    this.#heed(queue, key);
  }

  override(queue: ModelQueue, name: string, override: KeyOverride | undefined): void {
    if (override === undefined) queue.overrides.delete(name);
    else queue.overrides.set(name, override);
    const key = queue.keys.get(name);
    if (key !== undefined) this.#heed(queue, key);
  }

  /** What an operator has set on the key stands before its own weight. */
  #heed(queue: ModelQueue, key: ModelKey): void {
    const { weight, paused } = queue.overrides.get(key.name) ?? { weight: 0, paused: false };
    const now = weight === 0 ? key.ownWeight : weight;
    if (now !== key.weight) {
      key.weight = now;
      queue.shares.weighed(key.index, now);
    }
    if (paused === key.paused) return;
    key.paused = paused;
    if (paused) queue.shares.left(key.index);
    else if (key.ready.length > 0) queue.shares.resumed(key.index);
  }

  /** Neither ready nor waiting yet. */
  addMessage(id: string, queue: ModelQueue, item: EnqueueItem, key: ModelKey, enqueuedAt: number): ModelMessage {
    const message = new ModelMessage(id, queue, queue.nextSequence, key, item, enqueuedAt);
    queue.nextSequence += 1;
    message.entered = this.serial;
    message.touched = this.serial;
    queue.messages.add(message);
    this.messages.set(nameOf(message.origin, message.sequence), message);
    key.total += 1;
    return message;
  }

  /** The message leaves its key, and stands in no list; true: the key had a weight of its own and has gone with it. */
  leaveKey(message: ModelMessage): boolean {
    const { queue, key } = message;
    queue.messages.delete(message);
    key.total -= 1;
    if (key.total > 0) return false;
    queue.keys.delete(key.name);
    return key.weighed;
  }

  enterKey(message: ModelMessage, queue: ModelQueue, key: ModelKey): void {
    message.queue = queue;
    message.key = key;
    message.entered = this.serial;
    message.touched = this.serial;
    queue.messages.add(message);
    key.total += 1;
  }

  setExpiry(message: ModelMessage, expiry: ModelDue | undefined): void {
    message.expiry = expiry;
    if (expiry === undefined) this.mortal.delete(message);
    else this.mortal.add(message);
  }

  /** Ready, and the store says so. */
  readyAt(message: ModelMessage, place: number): void {
    message.waits = undefined;
    message.woken = "yes";
    message.place = { low: place, high: place };
    this.makeReady(message);
  }

  wait(message: ModelMessage, due: ModelDue): void {
    message.waits = due;
    message.woken = "no";
    message.touched = this.serial;
    this.waiting.add(message);
  }

  makeReady(message: ModelMessage): void {
    const { key, queue } = message;
    message.touched = this.serial;
    key.insert(message);
    if (key.ready.length === 1 && !key.paused) queue.shares.joined(key.index);
  }

  takeReady(message: ModelMessage): void {
    const { key, queue } = message;
    key.take(message);
    if (key.ready.length === 0) queue.shares.left(key.index);
  }

  /** Takes a message that has no lease out of whatever it is in. */
  leaveLists(message: ModelMessage): void {
    if (this.waiting.delete(message) || message.quarantined) return;
    if (this.deciding.delete(message)) message.deciding = undefined;
    else this.takeReady(message);
  }

  startLease(message: ModelMessage, lease: ModelLease, consumer: ModelConsumer): void {
    message.lease = lease;
    message.deliveries += 1;
    message.touched = this.serial;
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
    message.entered = this.serial;
    message.touched = this.serial;
    message.lease = undefined;
    message.queue.inFlight -= 1;
    this.leases.delete(lease);
  }

  #remember(connection: number, message: ModelMessage): void {
    const held = this.formerHolders.get(connection);
    if (held === undefined) this.formerHolders.set(connection, new Set([message]));
    else held.add(message);
  }

  /** Living messages, leased or not. */
  get depth(): number {
    return this.messages.size;
  }
}
