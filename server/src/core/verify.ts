// Every invariant of the core's state, checked from the ground up. It looks at everything, so it is for tests and for the
// simulation; the checks that stay on in production stand where the state changes.
import {
  type Consumer,
  maxUnsettledBytes,
  maxUnsettledMessages,
  maxUnwrittenBytes,
  maxUnwrittenMessages,
} from "./consumer.ts";
import type { Core } from "./core.ts";
import { invariant } from "./errors.ts";
import type { FairnessKey } from "./fairness-key.ts";
import { maxWeight } from "./fairness-ring.ts";
import { type Lane, precedes } from "./lane.ts";
import { MessageState, none } from "./message-table.ts";
import type { Queue } from "./queue.ts";
import type { SlotHeap } from "./slot-heap.ts";
import type { State } from "./state.ts";
import { verifyThrottles } from "./verify-throttles.ts";

/** What the messages of the table add up to. */
interface Census {
  readonly perLane: Map<Lane, { total: number; ready: number }>;
  readonly inFlight: Map<Queue | FairnessKey, number>;
  delayed: number;
  scheduled: number;
  expiring: number;
}

/** Throws an InvariantError that names the first thing that is wrong. Call it between turns. */
export function verify(core: Core): void {
  const { state } = core;
  const census = takeCensus(state, new Set(core.askAgain.map(([slot]) => slot)));
  verifyLanes(state, census);
  verifySlotHeap(state.delayed, (slot) => state.table.readyAt(slot), census.delayed);
  verifySlotHeap(state.scheduled, (slot) => state.table.readyAt(slot), census.scheduled);
  verifySlotHeap(state.expiries, (slot) => state.table.expiresAt(slot), census.expiring);
  const queues = new Set([
    ...state.queuesByNumber.values(),
    ...[...census.perLane.keys()].map((lane) => lane.key.queue),
  ]);
  for (const queue of queues) {
    verifyCounts(queue, census);
    verifyRing(state, queue);
    verifyLine(queue);
    invariant(queue.scheduled === state.toSchedule.includes(queue), "a queue knows whether it is to be scheduled");
  }
  verifyThrottles(state);
  verifyQueues(state);
  verifyLeases(state);
  verifyConsumers(state);
}

/** @param toAsk deciding since before a restart, and to be asked about with the first turn */
function takeCensus(state: State, toAsk: ReadonlySet<number>): Census {
  const { table } = state;
  const census: Census = { perLane: new Map(), inFlight: new Map(), delayed: 0, scheduled: 0, expiring: 0 };
  let seen = 0;
  for (const slot of table.slots()) {
    seen += 1;
    const lane = state.laneOf(slot);
    const { queue } = lane.key;
    const counts = census.perLane.get(lane) ?? { total: 0, ready: 0 };
    census.perLane.set(lane, counts);
    counts.total += 1;
    const origin = state.queuesByNumber.get(table.queueNumber(slot));
    invariant(state.index.get(table.queueNumber(slot), table.sequence(slot)) === slot, "the index finds every message");
    invariant(origin === undefined || table.sequence(slot) < origin.nextSequence, "a sequence is given once");
    const what = table.state(slot);
    if (what === MessageState.delayed) census.delayed += 1;
    if (what === MessageState.scheduled) census.scheduled += 1;
    if (table.expiryPlace(slot) !== none) census.expiring += 1;
    const firedWhileAway = what === MessageState.leased || what === MessageState.deciding;
    invariant(
      table.expiresAt(slot) === 0 || table.expiryPlace(slot) !== none || firedWhileAway || queue.dead,
      "a time to live is watched",
    );
    invariant(
      (state.undecided.get(slot) !== undefined || toAsk.has(slot)) === (what === MessageState.deciding),
      "a message that is deciding is asked about",
    );
    if (what === MessageState.ready) counts.ready += 1;
    if (what === MessageState.leased) {
      for (const each of [queue, lane.key]) census.inFlight.set(each, (census.inFlight.get(each) ?? 0) + 1);
    }
    invariant(state.leases.has(slot) === (what === MessageState.leased), "a message is leased when it has a lease");
    invariant(state.setAside.has(slot) === (what === MessageState.quarantined), "a quarantined message is set aside");
  }
  invariant(seen === table.size, "the table counts its messages");
  invariant(state.index.size === table.size, "the index holds nothing else");
  return census;
}

/** How many messages there are of those that belong into the heap. */
function verifySlotHeap(heap: SlotHeap, timeOf: (slot: number) => number, expected: number): void {
  const slots = [...heap.all()];
  invariant(slots.length === expected, "a heap holds those that wait, and nobody else");
  for (const [at, slot] of slots.entries()) {
    const parent = slots[(at - 1) >> 1];
    invariant(parent === undefined || timeOf(parent) <= timeOf(slot), "a heap is in order");
  }
}

function verifyLanes(state: State, census: Census): void {
  let lanes = 0;
  for (const lane of state.lanes()) {
    lanes += 1;
    const counts = census.perLane.get(lane);
    invariant(counts !== undefined && lane.total === counts.total, "a lane counts its messages and goes with the last");
    invariant(lane.key.findLane(lane.throttleKeys) === lane, "a key finds its lanes");
    invariant(lane.key.queue.keys.get(lane.key.name) === lane.key, "a queue finds its keys");
    invariant(walk(state, lane) === counts.ready, "a lane holds its ready messages");
    const open = lane.head >= 0 && !lane.parked;
    invariant(
      lane.heapIndex >= 0 === open,
      "a lane stands in the heap of its key when it has a head and is not parked",
    );
    invariant(lane.wait === undefined || (lane.head >= 0 && lane.wait.lane === lane), "a lane that waits has a head");
  }
  invariant(lanes === census.perLane.size, "every message is of a lane that exists");
}

/** The number of messages in the lane, each of which is checked. */
function walk(state: State, lane: Lane): number {
  const { table } = state;
  let count = 0;
  let before = none;
  for (let slot = lane.first; slot !== none; slot = table.next(slot)) {
    invariant(
      table.state(slot) === MessageState.ready && state.laneOf(slot) === lane,
      "a lane lists ready messages of its own",
    );
    invariant(table.prev(slot) === before, "neighbours in a lane know each other");
    invariant(before === none || precedes(table, before, slot), "a lane is in order");
    before = slot;
    count += 1;
  }
  invariant(lane.tail === before, "a lane ends at its tail");
  let head = lane.first;
  for (const [at, slot] of lane.between.entries()) {
    invariant(
      table.state(slot) === MessageState.ready && state.laneOf(slot) === lane,
      "beside a lane stand ready messages of its own",
    );
    const parent = lane.between[(at - 1) >> 1];
    invariant(parent === undefined || precedes(table, parent, slot), "what stands beside a lane is in order");
    if (head === none || precedes(table, slot, head)) head = slot;
    count += 1;
  }
  invariant(lane.head === head, "the head of a lane is its first message");
  return count;
}

function verifyCounts(queue: Queue, census: Census): void {
  let depth = 0;
  for (const key of queue.keys.values()) {
    let total = 0;
    let ready = 0;
    for (const lane of key.lanes()) {
      total += lane.total;
      ready += census.perLane.get(lane)?.ready ?? 0;
    }
    invariant(
      key.queue === queue && key.total === total && total > 0,
      "a key counts its messages and goes with the last",
    );
    invariant(key.ready === ready, "a key counts its ready messages");
    invariant(key.inFlight === (census.inFlight.get(key) ?? 0), "a key counts its leases");
    depth += total;
  }
  invariant(queue.depth === depth, "a queue counts its messages");
  invariant(queue.inFlight === (census.inFlight.get(queue) ?? 0), "a queue counts its leases");
}

function verifyRing(state: State, queue: Queue): void {
  const { ring } = queue;
  const inRing = new Set<FairnessKey>();
  if (ring.visiting !== undefined) {
    const key = ring.visiting as FairnessKey;
    inRing.add(key);
    invariant(key.deficit >= state.headCost(key), "a visited key can pay for its next message");
    const ahead = key.creditedRound - ring.round;
    invariant(ahead === 0 || ahead === 1, "a visited key has its credit of this round, or of the one to come");
  }
  for (const [filed, round] of ring.filed()) {
    const key = filed as FairnessKey;
    invariant(!inRing.has(key), "a key stands in one list of the ring");
    inRing.add(key);
    verifyFiled(state, key, round, ring.round);
  }
  invariant(inRing.size === ring.size, "a ring counts its keys");
  for (const key of queue.keys.values()) {
    invariant(
      inRing.has(key) === (key.first !== undefined && key.held() === undefined) && key.inRing === inRing.has(key),
      "the ring holds exactly the active keys",
    );
    invariant(!key.blocked || (!key.inRing && key.ready > 0), "a blocked key has messages and waits outside the ring");
    invariant(key.inRing || key.blocked || key.deficit === 0, "an idle key has saved nothing");
    const override = queue.overrides.get(key.name);
    invariant(key.weight === (override?.weight || key.ownWeight), "an operator's weight stands before a key's own");
    invariant(key.paused === (override?.paused ?? false), "a key is paused when an operator says so");
    const cap = override?.maxInFlight || queue.settings.maxInFlightPerKey;
    invariant(key.maxInFlight === cap, "an operator's cap on a key stands before its queue's");
    invariant(Number.isInteger(key.weight) && key.weight >= 1 && key.weight <= maxWeight, "a weight is 1 to 1,000");
    verifyHeap(state, key);
    inRing.delete(key);
  }
  invariant(inRing.size === 0, "the ring holds keys of its queue only");
}

function verifyFiled(state: State, key: FairnessKey, round: number, now: number): void {
  invariant(key.dueRound === round, "a key is filed under its round");
  const ahead = key.creditedRound - now;
  const resumes = round === now && (ahead === 0 || ahead === 1);
  invariant(key.creditedRound < round || resumes, "a filed key has credit to come, or resumes its visit");
  invariant(key.deficit >= 0, "a deficit is never negative");
  // A key that is due now finds out at its visit whether it can pay.
  if (round === now) return;
  const credit = key.deficit + key.weight * (round - key.creditedRound);
  invariant(credit >= state.headCost(key), "a filed key can pay when its round comes");
  const sooner = credit - key.weight;
  const next = Math.max(now, key.creditedRound) + 1;
  invariant(round === next || sooner < state.headCost(key), "a filed key is not made to wait longer than it must");
}

function verifyHeap(state: State, key: FairnessKey): void {
  const { heap } = key;
  for (const [at, lane] of heap.entries()) {
    invariant(lane.key === key && lane.heapIndex === at && lane.head !== none, "a lane knows its place in the heap");
    const parent = heap[(at - 1) >> 1];
    invariant(at === 0 || !precedes(state.table, lane.head, (parent as Lane).head), "the heap of lanes is in order");
  }
}

function verifyLine(queue: Queue): void {
  const { line } = queue;
  let count = 0;
  for (let each = line.first; each !== undefined; each = each.lineNext === line.first ? undefined : each.lineNext) {
    count += 1;
    invariant(!each.closed && queue.consumers.has(each), "only open consumers of the queue stand in its line");
    invariant(each.lineNext?.linePrev === each, "neighbours in the line know each other");
    invariant(count <= queue.consumers.size, "a consumer stands in the line once");
  }
  for (const consumer of queue.consumers) {
    invariant(consumer.queue === queue, "a consumer is of one queue");
    // One that could take a small message, but not the one that was its turn, waits until it holds less.
    const mayWait =
      consumer.closed || !consumer.canTake(0) || consumer.unsettledMessages > 0 || consumer.unwritten.length > 0;
    invariant(line.has(consumer) || mayWait, "a consumer that can take a message stands in the line");
  }
  const canDeliver = !queue.dead && queue.held() === undefined && queue.ring.size > 0 && line.first !== undefined;
  invariant(!canDeliver || queue.scheduled, "a queue that could deliver is scheduled");
}

function verifyQueues(state: State): void {
  for (const [name, queue] of state.queuesByName) {
    invariant(queue.name === name && !queue.dead, "a name stands for a living queue");
    invariant(state.queuesByNumber.get(queue.number) === queue, "a living queue is known by its number");
  }
  for (const [number, queue] of state.queuesByNumber) {
    invariant(queue.number === number && number < state.nextQueueNumber, "a queue's number is given once");
    const known = queue.dead ? state.dying.all().includes(queue) : state.queuesByName.get(queue.name) === queue;
    invariant(known, "a queue is living or dying");
  }
}

function verifyLeases(state: State): void {
  const heap = [...state.deadlines.all()];
  for (const [at, lease] of heap.entries()) {
    invariant(lease.heapIndex === at, "a lease knows its place in the heap");
    invariant(state.leases.get(lease.slot) === lease, "a message has one lease");
    const parent = at === 0 ? undefined : heap[(at - 1) >> 1];
    if (parent === undefined) continue;
    const later = parent.deadline < lease.deadline;
    const same = parent.deadline === lease.deadline && parent.serial < lease.serial;
    invariant(later || same, "the heap of deadlines is in order");
  }
  invariant(heap.length === state.leases.size, "every lease has a deadline");
}

function verifyConsumers(state: State): void {
  let held = 0;
  const everyone = new Set(state.consumers.values());
  for (const queue of state.queuesByNumber.values()) for (const consumer of queue.consumers) everyone.add(consumer);
  for (const consumer of everyone) {
    const known = state.consumers.get(consumer.id) === consumer && consumer.queue.consumers.has(consumer);
    invariant(consumer.closed ? consumer.queue.dead : known, "an open consumer is known");
    invariant(consumer.deliveries.length === 0, "deliveries go out with their turn");
    held += verifyHeld(state, consumer);
    verifyLimits(consumer);
  }
  let leasesHeld = 0;
  for (const lease of state.leases.values()) if (lease.consumer !== undefined) leasesHeld += 1;
  invariant(held === leasesHeld, "a lease that has a consumer is in its list");
}

/** The number of leases that the consumer holds, each of which is checked. */
function verifyHeld(state: State, consumer: Consumer): number {
  let count = 0;
  let bytes = 0;
  let before: Consumer["firstLease"];
  for (let lease = consumer.firstLease; lease !== undefined; lease = lease.next) {
    count += 1;
    bytes += state.table.length(lease.slot);
    invariant(lease.consumer === consumer && lease.prev === before, "neighbours in a consumer's list know each other");
    invariant(state.leases.get(lease.slot) === lease, "a consumer lists living leases");
    const adopted = before?.ordinal === 0 && lease.ordinal === 0;
    invariant(before === undefined || before.ordinal < lease.ordinal || adopted, "a consumer's leases are in order");
    invariant(lease.ordinal < consumer.nextOrdinal, "an ordinal is given once");
    before = lease;
  }
  invariant(consumer.lastLease === before, "a consumer's list ends at its last lease");
  invariant(
    consumer.unsettledMessages === count && consumer.unsettledBytes === bytes,
    "a consumer counts what it holds",
  );
  return count;
}

function verifyLimits(consumer: Consumer): void {
  invariant(consumer.credit >= 0, "credit is never exceeded");
  let bytes = 0;
  let before = 0;
  const { unwritten } = consumer;
  for (const delivery of unwritten) {
    invariant(delivery.ordinal > before && delivery.ordinal < consumer.nextOrdinal, "what is unwritten is in order");
    before = delivery.ordinal;
    bytes += delivery.bytes;
  }
  invariant(consumer.unwrittenBytes === bytes, "unwritten bytes are counted");
  const few = unwritten.length <= maxUnwrittenMessages && (bytes <= maxUnwrittenBytes || unwritten.length === 1);
  invariant(few, "the window of unwritten bytes holds");
  if (consumer.holder.kind !== "consume") return;
  const { unsettledMessages, unsettledBytes } = consumer;
  const within = unsettledMessages <= maxUnsettledMessages && unsettledBytes <= maxUnsettledBytes;
  invariant(within || unsettledMessages === 1, "a Consume stream holds no more than it may");
}
