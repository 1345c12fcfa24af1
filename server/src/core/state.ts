// All that the core knows, with the moves that keep its parts in step: table, index, lanes, ring, counts and leases
// change together or not at all. Policy (who gets what, and when) stands in the modules that call these moves.
import type { ConsumerId, LeaseToken } from "./commands.ts";
import { Undecideds } from "./attempts.ts";
import type { Consumer } from "./consumer.ts";
import { DyingQueues } from "./dying-queues.ts";
import { invariant } from "./errors.ts";
import { FairnessKey } from "./fairness-key.ts";
import type { RingKey } from "./fairness-ring.ts";
import { Lane } from "./lane.ts";
import { DeadlineHeap, Lease } from "./lease.ts";
import { formatMessageId } from "./message-id.ts";
import { MessageIndex } from "./message-index.ts";
import { MessageState, MessageTable, type NewMessage, none } from "./message-table.ts";
import type { Holder } from "./mutations.ts";
import type { QueueSettings } from "./queue-settings.ts";
import { type KeyOverride, Queue } from "./queue.ts";
import { RuntimeConfig } from "./runtime-config.ts";
import { RecentSettlements } from "./recent-settlements.ts";
import { SlotHeap } from "./slot-heap.ts";
import { Throttles } from "./throttles.ts";

export class State {
  readonly table = new MessageTable();
  readonly index: MessageIndex;
  readonly #lanes: (Lane | undefined)[] = [];
  readonly #vacantLanes: number[] = [];
  readonly queuesByName = new Map<string, Queue>();
  readonly queuesByNumber = new Map<number, Queue>();
  nextQueueNumber = 1;
  /** How many of the queues are dead-letter queues that were made with theirs. */
  madeAlong = 0;
  readonly consumers = new Map<ConsumerId, Consumer>();
  readonly deadlines = new DeadlineHeap();
  /** Leases by the slot of their message. */
  leases = new Map<number, Lease>();
  readonly recent = new RecentSettlements();
  /** Messages that wait for a duration, by the steady clock; for a time of day, by the wall clock. Both by `readyAt`. */
  readonly delayed: SlotHeap;
  readonly scheduled: SlotHeap;
  /** Messages with a time to live, but those whose time was over while they were leased. */
  readonly expiries: SlotHeap;
  /** Queues with something to deliver and someone to take it. */
  readonly toSchedule: Queue[] = [];
  /** Deleted queues whose messages still have to go. */
  readonly dying = new DyingQueues();
  /** Messages whose attempt has ended and whose next step is not decided. */
  readonly undecided = new Undecideds();
  readonly config = new RuntimeConfig();
  readonly throttles = new Throttles({
    open: (lane) => this.#moved(lane),
    call: (lane) => this.#called(lane),
    close: (lane) => this.#moved(lane),
    costOf: (lane) => this.table.cost(lane.head),
  });
  /** Queues that remember idempotency keys. */
  readonly remembering = new Set<Queue>();
  /** Slots of quarantined messages, which stand in no lane. */
  readonly setAside = new Set<number>();
  /** Part of every message id, so that two stores do not give the same ones. */
  salt: number;
  readonly headCost = (key: RingKey): number => this.#headCostOf(key as FairnessKey);

  constructor(salt: number) {
    this.salt = salt;
    const { table } = this;
    const sequenceOf = (slot: number): number => table.sequence(slot);
    const timeOf = (slot: number): number => table.readyAt(slot);
    // Who waits stands in no list, so the link to the next one is free.
    const placeOf = (slot: number): number => table.next(slot);
    const setPlace = (slot: number, place: number): void => table.setNext(slot, place);
    this.delayed = new SlotHeap({ timeOf, sequenceOf, placeOf, setPlace });
    this.scheduled = new SlotHeap({ timeOf, sequenceOf, placeOf, setPlace });
    this.expiries = new SlotHeap({
      timeOf: (slot) => table.expiresAt(slot),
      sequenceOf,
      placeOf: (slot) => table.expiryPlace(slot),
      setPlace: (slot, place) => table.setExpiryPlace(slot, place),
    });
    this.index = new MessageIndex({
      sequenceOf: (slot) => this.table.sequence(slot),
      queueNumberOf: (slot) => this.table.queueNumber(slot),
    });
  }

  laneOf(slot: number): Lane {
    return this.#lanes[this.table.lane(slot)] as Lane;
  }

  /** All lanes, of every queue. */
  *lanes(): Iterable<Lane> {
    for (const lane of this.#lanes) if (lane !== undefined) yield lane;
  }

  idOf(slot: number): string {
    const { table } = this;
    return formatMessageId(table.enqueuedAt(slot), table.queueNumber(slot), table.sequence(slot), this.salt);
  }

  addQueue(number: number, name: string, settings: QueueSettings, deadLetters: number, madeFor: number): Queue {
    const queue = new Queue(number, name, settings, deadLetters, madeFor);
    this.queuesByName.set(name, queue);
    this.queuesByNumber.set(number, queue);
    if (madeFor !== 0) this.madeAlong += 1;
    this.nextQueueNumber = Math.max(this.nextQueueNumber, number + 1);
    return queue;
  }

  keyOf(queue: Queue, name: string): FairnessKey {
    let key = queue.keys.get(name);
    if (key === undefined) {
      key = new FairnessKey(queue, name);
      queue.keys.set(name, key);
      const override = queue.overrides.size > 0 ? queue.overrides.get(name) : undefined;
      if (override !== undefined) {
        if (override.weight !== 0) key.weight = override.weight;
        key.paused = override.paused;
      }
      key.maxInFlight = override?.maxInFlight || queue.settings.maxInFlightPerKey;
    }
    return key;
  }

  /** Messages give the key this weight; an operator's stands before it. */
  setOwnWeight(key: FairnessKey, weight: number): void {
    key.ownWeight = weight;
    key.weighed = true;
    this.#setWeight(key, key.queue.overrides.get(key.name)?.weight || weight);
  }

  /** What an operator sets on a key from now on; undefined: nothing any more. */
  setOverride(queue: Queue, name: string, override: KeyOverride | undefined): void {
    if (override === undefined) queue.overrides.delete(name);
    else queue.overrides.set(name, override);
    const key = queue.keys.get(name);
    if (key === undefined) return;
    this.#setWeight(key, override?.weight || key.ownWeight);
    key.paused = override?.paused ?? false;
    key.maxInFlight = override?.maxInFlight || queue.settings.maxInFlightPerKey;
    this.#follow(key);
  }

  /** Acts on the backlog at once. */
  setSettings(queue: Queue, settings: QueueSettings): void {
    const before = queue.settings.maxInFlightPerKey;
    queue.settings = settings;
    if (settings.maxInFlightPerKey !== before) {
      for (const key of queue.keys.values()) {
        key.maxInFlight = queue.overrides.get(key.name)?.maxInFlight || settings.maxInFlightPerKey;
        this.#follow(key);
      }
    }
    this.schedule(queue);
  }

  /** The lane parks or goes on. */
  #moved(lane: Lane): void {
    const { key } = lane;
    const before = key.first;
    key.reorder(this.table, lane);
    if (key.first !== undefined && key.inRing && key.first !== before) {
      key.queue.ring.headChanged(key, this.#headCostOf(key));
      this.#nextChanged(key.queue);
    } else this.#follow(key);
  }

  /** The lane goes on, and tokens are set aside for it: its key has gone on without it, and comes to its next visit now. */
  #called(lane: Lane): void {
    const { key } = lane;
    const goesOn = key.inRing;
    this.#moved(lane);
    if (goesOn && key.first === lane) key.queue.ring.hasten(key);
  }

  /** What holds the key, or what it could deliver, has changed: it stands in the ring when it may deliver. */
  #follow(key: FairnessKey): void {
    const { ring } = key.queue;
    const may = key.first !== undefined && key.held() === undefined;
    if (may === key.inRing) return;
    if (may) {
      if (key.blocked) ring.unblock(key, this.#headCostOf(key));
      else ring.activate(key, this.#headCostOf(key));
      this.schedule(key.queue);
      return;
    }
    ring.block(key);
    if (key.first !== undefined) this.throttles.held(key);
    this.#nextChanged(key.queue);
  }

  #setWeight(key: FairnessKey, weight: number): void {
    if (weight === key.weight) return;
    key.queue.ring.setWeight(key, weight, key.inRing ? this.#headCostOf(key) : 1);
    this.throttles.weighed(key);
    this.#nextChanged(key.queue);
  }

  /** Another message may go next: one that fits those for whom the last one was too large. */
  #nextChanged(queue: Queue): void {
    if (queue.turnedAway.size === 0) return;
    this.#letBack(queue);
    this.schedule(queue);
  }

  #letBack(queue: Queue): void {
    for (const consumer of queue.turnedAway) if (consumer.canTake(0)) queue.line.join(consumer);
    queue.turnedAway.clear();
  }

  laneFor(key: FairnessKey, throttleKeys: readonly string[]): Lane {
    const known = key.findLane(throttleKeys);
    if (known !== undefined) return known;
    const id = this.#vacantLanes.pop() ?? this.#lanes.length;
    const lane = new Lane(id, key, throttleKeys, this.throttles.named(key.queue, throttleKeys));
    this.#lanes[id] = lane;
    key.addLane(lane);
    return lane;
  }

  /** A message that is in no list yet: `makeReady`, `delay` or `addLease` comes next. */
  addMessage(lane: Lane, facts: NewMessage): number {
    const slot = this.table.allocate();
    this.table.fill(slot, lane.id, facts);
    if (facts.queueNumber !== lane.key.queue.number) lane.key.queue.mixed = true;
    this.index.add(facts.queueNumber, facts.sequence, slot);
    this.#enterLane(lane);
    return slot;
  }

  #enterLane(lane: Lane): void {
    lane.total += 1;
    lane.key.total += 1;
    lane.key.queue.depth += 1;
  }

  /** To a lane of another queue or key; the message stands in no list and has no lease. Returns its key if that has gone. */
  moveMessage(slot: number, to: Lane): FairnessKey | undefined {
    if (this.table.queueNumber(slot) !== to.key.queue.number) to.key.queue.mixed = true;
    // Entered before it leaves, so that a lane it stays in does not go.
    this.#enterLane(to);
    const left = this.#leaveLane(this.laneOf(slot));
    this.table.setLane(slot, to.id);
    return left;
  }

  /** The message stands in no list and has no lease any more. Its lane and key go with their last message.
   * Returns the key if it has gone. */
  removeMessage(slot: number): FairnessKey | undefined {
    const lane = this.laneOf(slot);
    this.index.remove(this.table.queueNumber(slot), this.table.sequence(slot), slot);
    if (this.table.expiryPlace(slot) >= 0) this.expiries.remove(slot);
    this.table.release(slot);
    return this.#leaveLane(lane);
  }

  #leaveLane(lane: Lane): FairnessKey | undefined {
    const { key } = lane;
    const { queue } = key;
    lane.total -= 1;
    key.total -= 1;
    queue.depth -= 1;
    if (lane.total === 0) {
      key.removeLane(lane);
      this.throttles.unname(lane);
      this.#lanes[lane.id] = undefined;
      this.#vacantLanes.push(lane.id);
    }
    if (key.total > 0) return undefined;
    queue.keys.delete(key.name);
    if (queue.keys.size === 0) queue.keys = new Map();
    return key;
  }

  /** The message waits: for a duration until `due` of the steady clock, or for the time of day `due`. */
  delay(slot: number, clock: "steady" | "wall", due: number): void {
    this.table.setReadyAt(slot, due);
    if (clock === "steady") {
      this.table.setState(slot, MessageState.delayed);
      this.delayed.add(slot);
    } else {
      this.table.setState(slot, MessageState.scheduled);
      this.scheduled.add(slot);
    }
  }

  /** The message waits no longer; what becomes of it is the caller's next move. */
  undelay(slot: number): void {
    (this.table.state(slot) === MessageState.delayed ? this.delayed : this.scheduled).remove(slot);
  }

  /** Takes a message that has no lease out of whatever list its state has it in. */
  leaveLists(slot: number): void {
    switch (this.table.state(slot)) {
      case MessageState.ready:
        this.unready(slot);
        return;
      case MessageState.delayed:
      case MessageState.scheduled:
        this.undelay(slot);
        return;
      case MessageState.quarantined:
        this.setAside.delete(slot);
        return;
      case MessageState.deciding:
        this.undecided.delete(slot);
    }
  }

  /** Its time to live ends then, steady clock; 0 = never. */
  setExpiry(slot: number, at: number): void {
    if (this.table.expiryPlace(slot) >= 0) this.expiries.remove(slot);
    this.table.setExpiresAt(slot, at);
    this.table.setExpiryPlace(slot, none);
    if (at > 0) this.expiries.add(slot);
  }

  /** The message is no longer leased: its time to live counts again, also if it was over meanwhile. */
  resumeExpiry(slot: number): void {
    const at = this.table.expiresAt(slot);
    if (at > 0 && this.table.expiryPlace(slot) < 0) this.setExpiry(slot, at);
  }

  /** The message may be delivered from now on, at its place (readyAt, sequence). */
  makeReady(slot: number): void {
    const lane = this.laneOf(slot);
    const { key } = lane;
    this.table.setState(slot, MessageState.ready);
    const before = key.first?.head;
    if (lane.insert(this.table, slot)) this.#headChanged(lane);
    key.ready += 1;
    if (!key.inRing) {
      this.#follow(key);
      return;
    }
    if (key.first?.head !== before) {
      key.queue.ring.headChanged(key, this.#headCostOf(key));
      this.#nextChanged(key.queue);
    }
    this.schedule(key.queue);
  }

  /** The same for a new message, whose place is behind all others: the clock of places never goes backwards. */
  makeNewReady(slot: number, lane: Lane): void {
    const { key } = lane;
    // One that moved here in the same millisecond may have a higher sequence.
    if (key.queue.mixed) {
      this.makeReady(slot);
      return;
    }
    if (lane.insertLast(this.table, slot)) key.reorder(this.table, lane);
    key.ready += 1;
    if (key.inRing) this.schedule(key.queue);
    else this.#follow(key);
  }

  /** Takes the head of a lane out for delivery and charges its cost to the key and to the buckets of the lane. */
  takeHead(lane: Lane, now: number): number {
    const { key } = lane;
    const slot = lane.head;
    const { ring } = key.queue;
    const cost = this.table.cost(slot);
    lane.remove(this.table, slot);
    key.reorder(this.table, lane);
    key.ready -= 1;
    if (key.ready === 0) ring.deactivate(key);
    else if (key.first === undefined) ring.chargeAndBlock(key, cost);
    else ring.charge(key, cost, this.#headCostOf(key));
    if (lane.throttles.length > 0) this.throttles.taken(lane, cost, ring.visiting === key, now);
    if (key.queue.unfetched.size > 0) this.throttles.overtaken(key.queue, lane);
    if (key.queue.turnedAway.size > 0) this.#letBack(key.queue);
    return slot;
  }

  /** Takes a ready message out without delivering it. */
  unready(slot: number): void {
    const lane = this.laneOf(slot);
    const { key } = lane;
    const wasHead = lane.remove(this.table, slot);
    if (wasHead) this.#headChanged(lane);
    key.ready -= 1;
    if (!key.inRing) {
      if (key.ready === 0) key.queue.ring.forget(key);
      return;
    }
    if (key.ready === 0) key.queue.ring.deactivate(key);
    else if (key.first === undefined) key.queue.ring.block(key);
    else if (wasHead) key.queue.ring.headChanged(key, this.#headCostOf(key));
    else return;
    this.#nextChanged(key.queue);
  }

  #headChanged(lane: Lane): void {
    if (lane.wait !== undefined) this.throttles.headChanged(lane);
    lane.key.reorder(this.table, lane);
  }

  addLease(slot: number, token: LeaseToken, durationMs: number, holder: Holder, wall: number, mono: number): Lease {
    const lease = new Lease(slot, token, durationMs, holder, wall, mono + durationMs);
    this.table.setState(slot, MessageState.leased);
    this.leases.set(slot, lease);
    this.deadlines.add(lease);
    const { key } = this.laneOf(slot);
    key.inFlight += 1;
    key.queue.inFlight += 1;
    if (key.maxInFlight > 0) this.#follow(key);
    return lease;
  }

  /** The lease is over; what becomes of the message is the caller's next move. */
  endLease(lease: Lease): void {
    const { consumer, slot } = lease;
    this.leases.delete(slot);
    // See Queue.keys.
    if (this.leases.size === 0) this.leases = new Map();
    this.deadlines.remove(lease);
    const { key } = this.laneOf(slot);
    key.inFlight -= 1;
    key.queue.inFlight -= 1;
    if (key.maxInFlight > 0) this.#follow(key);
    if (key.queue.settings.maxInFlight > 0) this.schedule(key.queue);
    if (consumer === undefined) return;
    consumer.drop(lease, this.table.length(slot));
    this.maybeAvailable(consumer);
  }

  /** The consumer may be able to take a message again. */
  maybeAvailable(consumer: Consumer): void {
    if (consumer.closed || !consumer.canTake(0)) return;
    consumer.queue.line.join(consumer);
    this.schedule(consumer.queue);
  }

  schedule(queue: Queue): void {
    if (
      queue.scheduled ||
      queue.dead ||
      queue.held() !== undefined ||
      queue.ring.size === 0 ||
      queue.line.first === undefined
    )
      return;
    queue.scheduled = true;
    this.toSchedule.push(queue);
  }

  #headCostOf(key: FairnessKey): number {
    const lane = key.first;
    invariant(lane !== undefined, "an active key has a lane with a head");
    return this.table.cost(lane.head);
  }
}
