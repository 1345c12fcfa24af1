// How leases end by time, and what a turn grants and leaves undone.
import {
  maxUnsettledBytes,
  maxUnsettledMessages,
  maxUnwrittenBytes,
  maxUnwrittenMessages,
} from "../../server/src/core/consumer.ts";
import type { ReturnedMutation } from "../../server/src/core/mutations.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import { type ModelConsumer, ModelLease, type ModelMessage, type ModelQueue, tokenNumber } from "./model-state.ts";
import type { Rest, TurnReader } from "./turn-reader.ts";

/** Reads the end of one lease and gives its message back. */
export function checkEnded(model: Model, reader: TurnReader): ReturnedMutation {
  const mutation = reader.mutation("returned");
  const message = model.queuesByNumber.get(mutation.queueNumber)?.messages.get(mutation.sequence);
  expect(message?.lease !== undefined, () => `message ${mutation.sequence} is given back, but is not leased`);
  model.endLease(message.lease, true);
  if (mutation.counted) {
    model.checkRetryAt(mutation.readyAt, reader.turn);
    message.attempts += 1;
    message.readyAt = mutation.readyAt;
  }
  expect(mutation.readyAt === message.readyAt, () => `${message.name} does not return to its place`);
  model.makeReady(message);
  return mutation;
}

/** Leases whose time is over; returns how many. */
export function checkExpiries(model: Model, reader: TurnReader): number {
  let expired = 0;
  const { now, expire, more } = reader.turn;
  const givenUp = now.mono >= model.orphanDeadline;
  for (; reader.nextType === "returned"; expired += 1) {
    const lease = nextReturned(model, reader);
    noteLoss(reader, lease);
    const over = lease.deadline <= now.mono || (lease.orphan && givenUp);
    expect(expire && over, () => `the lease of ${lease.message.name} ended ${lease.deadline - now.mono} ms early`);
    const { counted, by } = checkEnded(model, reader);
    expect(counted, () => `an expiry of ${lease.message.name} is no attempt`);
    const due = lease.deadline <= now.mono ? "expiry" : "dead-stream";
    expect(by === due, () => `the lease of ${lease.message.name} ended by ${by}, not by ${due}`);
  }
  if (!expire || more) return expired;
  for (const lease of model.leases) {
    const { message } = lease;
    const over = lease.deadline <= now.mono || (lease.orphan && givenUp);
    if (over && message.queue.dead) model.leases.delete(lease);
    else expect(!over, () => `the lease of ${message.name} should have ended`);
  }
  if (givenUp) model.orphanDeadline = Infinity;
  return expired;
}

/** The holder must hear of it in this very turn. */
export function noteLoss(reader: TurnReader, lease: ModelLease): void {
  if (lease.consumer !== undefined) reader.lost.set(tokenNumber(lease.token), lease.consumer.id);
}

function checkLosses(model: Model, reader: TurnReader, told: Rest["told"]): void {
  let due = 0;
  for (const [token, consumer] of reader.lost) {
    if (!model.consumers.has(consumer)) continue;
    due += 1;
    expect(told.get(token) === consumer, () => `consumer ${consumer} is not told that it has lost a lease`);
  }
  expect(told.size === due, () => `${told.size} leases are reported lost, ${due} were`);
}

function nextReturned(model: Model, reader: TurnReader): ModelLease {
  const next = reader.peekReturned();
  const lease = model.queuesByNumber.get(next.queueNumber)?.messages.get(next.sequence)?.lease;
  expect(lease !== undefined, () => `message ${next.sequence} expired without a lease`);
  return lease;
}

export interface Granted {
  readonly message: ModelMessage;
  readonly consumer: ModelConsumer;
}

/** Reads the leases that the turn grants, in order. */
export function checkGrants(model: Model, reader: TurnReader): Granted[] {
  const granted: Granted[] = [];
  const { deliveries, idle, told } = reader.rest();
  checkLosses(model, reader, told);
  while (reader.nextType === "leased") granted.push(checkGrant(model, reader, deliveries));
  expect(deliveries.size === granted.length, () => "a delivery without a lease that is written down");
  // A poll answers once, with what one turn brings.
  for (const { consumer } of granted) if (consumer.kind === "poll") consumer.credit = 0;
  for (const id of idle) {
    const poll = model.consumers.get(id);
    expect(poll?.kind === "poll" && poll.delivered === 0, () => `consumer ${id} is told that there is nothing`);
    checkIdle(poll.queue);
  }
  return granted;
}

function checkGrant(model: Model, reader: TurnReader, deliveries: Rest["deliveries"]): Granted {
  const { queueNumber, sequence, token, durationMs, leasedAt } = reader.mutation("leased");
  const { mono, wall } = reader.turn.now;
  const message = model.queuesByNumber.get(queueNumber)?.messages.get(sequence);
  expect(message !== undefined, () => `message ${sequence} of queue ${queueNumber} is leased, but gone`);
  expect(message.lease === undefined, () => `${message.name} has two leases`);
  expect(message.key.ready[0] === message, () => `${message.name} is leased out of the order of its key`);
  expect(!model.everLeased.has(tokenNumber(token)), () => "a token was given twice");
  const told = deliveries.get(tokenNumber(token));
  expect(told !== undefined, () => `the lease of ${message.name} is delivered to nobody`);
  const consumer = model.consumers.get(told.consumer);
  expect(consumer?.queue === message.queue, () => `${message.name} is delivered to a consumer that is not there`);
  checkRoom(consumer, message.item.body.byteLength);
  expect(durationMs === consumer.visibilityMs && leasedAt === wall, () => "the lease is not the consumer's");
  const { delivery } = told;
  const { key, item } = message;
  const shown =
    delivery.attempts === message.attempts && delivery.weight === key.weight && delivery.fairnessKey === key.name;
  expect(
    shown,
    () =>
      `${message.name}: shows attempts ${delivery.attempts} for ${message.attempts}, weight ${delivery.weight} for ${key.weight}`,
  );
  expect(
    delivery.leaseExpiresAt === wall + durationMs && delivery.enqueuedAt === message.enqueuedAt,
    () => "wrong times",
  );
  expect(delivery.throttleKeys.join() === item.throttleKeys.join(), () => "other throttle keys than it came with");
  const lease = new ModelLease(message, token, consumer, wall, mono + durationMs);
  consumer.delivered += 1;
  expect(delivery.ordinal === consumer.delivered, () => "ordinals count from 1 without a gap");
  lease.ordinal = delivery.ordinal;
  if (consumer.kind !== "consume") consumer.credit -= 1;
  consumer.unwritten.push({ ordinal: lease.ordinal, bytes: item.body.byteLength });
  model.takeReady(message);
  model.startLease(message, lease, consumer);
  message.queue.shares.delivered(key.index, item.cost);
  return { message, consumer };
}

/** Whether a consumer may get so many bytes more. */
function hasRoom(consumer: ModelConsumer, bytes: number): boolean {
  const { unwritten, leases, kind } = consumer;
  if (consumer.stopped) return false;
  if (unwritten.length > 0) {
    const unwrittenBytes = unwritten.reduce((sum, each) => sum + each.bytes, 0);
    if (unwritten.length >= maxUnwrittenMessages || unwrittenBytes + bytes > maxUnwrittenBytes) return false;
  }
  if (kind !== "consume") return consumer.credit > 0;
  if (leases.size === 0) return true;
  return leases.size < maxUnsettledMessages && consumer.unsettledBytes + bytes <= maxUnsettledBytes;
}

function checkRoom(consumer: ModelConsumer, bytes: number): void {
  expect(hasRoom(consumer, bytes), () => `consumer ${consumer.id} (${consumer.kind}) gets more than it can take`);
}

/** Nothing that can be delivered waits, once there is nothing more to do. */
export function checkIdle(queue: ModelQueue): void {
  let ready = false;
  for (const key of queue.keys.values()) ready ||= key.ready.length > 0;
  if (!ready) return;
  for (const consumer of queue.consumers) {
    const takesAny =
      !consumer.stopped &&
      consumer.unwritten.length === 0 &&
      (consumer.kind === "consume" ? consumer.leases.size === 0 : consumer.credit > 0);
    expect(!takesAny, () => `consumer ${consumer.id} of queue ${queue.name} waits, and so do messages`);
  }
}
