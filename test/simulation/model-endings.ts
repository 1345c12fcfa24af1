// What a turn grants and leaves undone, and who must hear of it.
import {
  maxUnsettledBytes,
  maxUnsettledMessages,
  maxUnwrittenBytes,
  maxUnwrittenMessages,
} from "../../server/src/core/consumer.ts";
import { expect } from "./failure.ts";
import { isFull, isKeyFull } from "./model-throttles.ts";
import type { Model } from "./model.ts";
import {
  type ModelConsumer,
  ModelLease,
  type ModelMessage,
  type ModelQueue,
  goesBefore,
  tokenNumber,
} from "./model-state.ts";
import { wakeNow } from "./model-waiting.ts";
import type { Rest, TurnReader } from "./turn-reader.ts";

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
    checkIdle(model, poll.queue);
  }
  return granted;
}

function checkGrant(model: Model, reader: TurnReader, deliveries: Rest["deliveries"]): Granted {
  const { queueNumber, sequence, token, durationMs, leasedAt } = reader.mutation("leased");
  const { mono, wall } = reader.turn.now;
  const message = model.find(queueNumber, sequence);
  expect(message !== undefined, () => `message ${sequence} of queue ${queueNumber} is leased, but gone`);
  expect(message.lease === undefined, () => `${message.name} has two leases`);
  expect(message.deciding === undefined, () => `${message.name} is leased while its hook decides`);
  expect(!message.quarantined, () => `${message.name} is leased, but was set aside`);
  if (model.waiting.has(message)) {
    expect(message.woken === "maybe", () => `${message.name} is delivered ${earlyBy(model, message, reader)} ms early`);
    wakeNow(model, message);
  }
  expect(!message.queue.settings.paused, () => `${message.name} is leased, and its queue is paused`);
  expect(!message.key.paused, () => `${message.name} is leased, and its key is paused`);
  expect(!isFull(message.queue), () => `${message.name} is leased, and its queue has ${message.queue.inFlight} leases`);
  const leased = model.leasedOf(message.key);
  expect(
    !isKeyFull(message.queue, message.key, leased),
    () => `${message.name} is leased, its key has ${leased} leases`,
  );
  model.throttles.leased(message, mono);
  if (model.throttles.concern(message)) model.coverage.throttled += 1;
  for (const other of message.key.ready) {
    if (other === message) break;
    const sameLane = other.item.throttleKeys.join() === message.item.throttleKeys.join();
    if (!sameLane && model.throttles.concern(other)) continue;
    expect(!goesBefore(other, message), () => `${message.name} is leased out of the order of its key`);
  }
  expect(!model.everLeased.has(tokenNumber(token)), () => "a token was given twice");
  const told = deliveries.get(tokenNumber(token));
  expect(told !== undefined, () => `the lease of ${message.name} is delivered to nobody`);
  const consumer = model.consumers.get(told.consumer);
  expect(consumer?.queue === message.queue, () => `${message.name} is delivered to a consumer that is not there`);
  checkRoom(consumer, message.item.body.byteLength);
  expect(durationMs === consumer.visibilityMs && leasedAt === wall, () => "the lease is not the consumer's");
  const { delivery } = told;
  const { key, item } = message;
  expect(
    delivery.id === message.id && delivery.queue === message.queue.name && delivery.queueNumber === message.origin,
    () => `${message.name} is shown as ${delivery.id} of ${delivery.queue}`,
  );
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
  if (isFull(message.queue)) model.coverage.queuesFull += 1;
  if (isKeyFull(message.queue, key, leased + 1)) model.coverage.keysFull += 1;
  if (!message.queue.heldBack) message.queue.shares.delivered(key.index, item.cost);
  return { message, consumer };
}

function earlyBy(model: Model, { waits }: ModelMessage, reader: TurnReader): number {
  const { now } = reader.turn;
  return (waits?.at ?? 0) - (waits?.clock === "wall" ? now.wall : model.steady(now));
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
export function checkIdle(model: Model, queue: ModelQueue): void {
  if (queue.settings.paused || isFull(queue)) return;
  let ready = false;
  for (const key of queue.keys.values()) {
    if (ready) break;
    if (key.paused || key.ready.length === 0 || isKeyFull(queue, key, model.leasedOf(key))) continue;
    ready = key.ready.some((message) => !model.throttles.concern(message));
  }
  if (!ready) return;
  for (const consumer of queue.consumers) {
    const takesAny =
      !consumer.stopped &&
      consumer.unwritten.length === 0 &&
      (consumer.kind === "consume" ? consumer.leases.size === 0 : consumer.credit > 0);
    expect(!takesAny, () => `consumer ${consumer.id} of queue ${queue.name} waits, and so do messages`);
  }
}
