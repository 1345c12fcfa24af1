// Whether a core, live or rebuilt, holds exactly what the model holds.
import type { Core } from "../../server/src/core/core.ts";
import { MessageState } from "../../server/src/core/message-table.ts";
import type { Queue } from "../../server/src/core/queue.ts";
import { verify } from "../../server/src/core/verify.ts";
import { expect } from "./failure.ts";
import { contains } from "./model-clock.ts";
import type { Model } from "./model.ts";
import type { ModelMessage, ModelQueue } from "./model-state.ts";

/** @param rebuilt nothing is left of deleted queues */
export function compare(model: Model, core: Core, rebuilt: boolean): void {
  verify(core);
  const { state } = core;
  expect(state.nextQueueNumber === model.nextQueueNumber, () => `the next queue is ${state.nextQueueNumber}`);
  expect(state.queuesByName.size === model.queuesByName.size, () => "other queues");
  for (const queue of model.queuesByName.values()) compareQueue(queue, core);
  compareConfig(model, core);
  let left = 0;
  for (const slot of state.table.slots()) if (state.laneOf(slot).key.queue.dead) left += 1;
  expect(state.table.size === model.depth + left, () => `${state.table.size - left} messages, not ${model.depth}`);
  expect(!rebuilt || left === 0, () => "messages of a deleted queue came back");
}

function compareQueue(expected: ModelQueue, core: Core): void {
  const { name } = expected;
  const queue = core.state.queuesByName.get(name);
  expect(queue?.number === expected.number, () => `queue ${name} is not there`);
  const { settings, deadLetters, madeFor } = queue;
  expect(JSON.stringify(settings) === JSON.stringify(expected.settings), () => `queue ${name} has other settings`);
  expect(deadLetters === expected.deadLetters && madeFor === expected.madeFor, () => `queue ${name} belongs to others`);
  const maybe = new Map<string, number>();
  for (const message of expected.messages) {
    compareMessage(message, core);
    if (message.woken !== "maybe") continue;
    const slot = core.state.index.get(message.origin, message.sequence) ?? -1;
    const woken = core.state.table.state(slot) === MessageState.ready ? 1 : 0;
    maybe.set(message.key.name, (maybe.get(message.key.name) ?? 0) + woken);
  }
  expect(
    queue.nextSequence === expected.nextSequence,
    () => `queue ${name}: next ${queue.nextSequence}, not ${expected.nextSequence}`,
  );
  compareOverrides(expected, queue);
  const known = queue.idempotency?.size ?? 0;
  expect(known === expected.uses.size, () => `queue ${name} knows ${known} keys, not ${expected.uses.size}`);
  expect(queue.keys.size === expected.keys.size, () => `queue ${name} has other keys`);
  for (const key of expected.keys.values()) {
    const found = queue.keys.get(key.name);
    const ready = key.ready.length + (maybe.get(key.name) ?? 0);
    const weighed = found?.weight === key.weight && found.ownWeight === key.ownWeight && found.weighed === key.weighed;
    const same = weighed && found.paused === key.paused && found.ready === ready;
    const has = `weight ${found?.weight} and ${found?.ready} ready`;
    expect(same, () => `key ${key.name} of queue ${name}: ${has}, not ${key.weight} and ${ready}`);
  }
}

function compareOverrides(expected: ModelQueue, { overrides, name }: Queue): void {
  expect(overrides.size === expected.overrides.size, () => `queue ${name} has ${overrides.size} overrides`);
  for (const [key, { weight, paused, maxInFlight }] of expected.overrides) {
    const found = overrides.get(key);
    const same = found?.weight === weight && found.paused === paused && found.maxInFlight === maxInFlight;
    expect(same, () => `the override of key ${key} of queue ${name} is ${JSON.stringify(found)}`);
  }
}

function compareConfig({ config }: Model, core: Core): void {
  const found = core.state.config;
  expect(found.revision === config.revision, () => `the configuration is at ${found.revision}, not ${config.revision}`);
  expect(found.values.size === config.values.size, () => "the configuration has other keys");
  for (const [key, value] of config.values) {
    expect(found.values.get(key) === value, () => `${key} is ${found.values.get(key)}, not ${value}`);
  }
}

function compareMessage(message: ModelMessage, core: Core): void {
  const { state } = core;
  const { table } = state;
  const slot = state.index.get(message.origin, message.sequence);
  expect(slot !== undefined, () => `${message.name} is lost`);
  const { item, lease, deciding } = message;
  const what = table.state(slot);
  const facts = {
    enqueuedAt: [table.enqueuedAt(slot), message.enqueuedAt],
    attempts: [table.attempts(slot), message.attempts],
    cost: [table.cost(slot), item.cost],
    length: [table.length(slot), item.body.byteLength],
    expiresAt: [table.expiresAt(slot), message.expiry?.at ?? 0],
    firstFailedAt: [table.firstFailedAt(slot), message.firstFailedAt],
  };
  for (const [name, [got, wanted]] of Object.entries(facts)) {
    expect(got === wanted, () => `${message.name}: ${name} is ${got}, not ${wanted}`);
  }
  expect(
    statesOf(message).includes(what),
    () => `${message.name} is in state ${what}, not ${statesOf(message).join()}`,
  );
  compareTime(message, what, table.readyAt(slot));
  const lane = state.laneOf(slot);
  const sameLane =
    lane.key.queue.name === message.queue.name &&
    lane.key.name === item.fairnessKey &&
    lane.throttleKeys.join() === item.throttleKeys.join();
  expect(sameLane, () => `${message.name} stands in another lane`);
  const asked = state.undecided.get(slot);
  if (deciding !== undefined && asked !== undefined) {
    const same = asked.attempt === deciding.attempt && asked.deadline === deciding.deadline;
    expect(same, () => `${message.name} is asked about as attempt ${asked.attempt}, until ${asked.deadline}`);
  }
  if (lease === undefined) return;
  const held = state.leases.get(slot);
  const sameToken = held?.token.high === lease.token.high && held.token.low === lease.token.low;
  const sameTime =
    held?.durationMs === lease.durationMs && held.leasedAt === lease.leasedAt && held.deadline === lease.deadline;
  expect(sameToken && sameTime, () => `${message.name} has another lease`);
  const { kind, principal, session } = held.holder;
  const sameHolder = kind === lease.kind && principal === lease.principal && session === lease.session;
  expect(sameHolder && held.consumer?.id === lease.consumer?.id, () => `${message.name} has another holder`);
}

function compareTime(message: ModelMessage, what: number, readyAt: number): void {
  const { waits, place } = message;
  const waiting = what === MessageState.delayed || what === MessageState.scheduled;
  if (waiting) expect(readyAt === waits?.at, () => `${message.name} is due at ${readyAt}, not at ${waits?.at}`);
  if (what !== MessageState.ready && what !== MessageState.leased) return;
  expect(contains(place, readyAt), () => `${message.name} is at ${readyAt}, not at ${place.low} to ${place.high}`);
}

/** It may be in one of them. */
function statesOf(message: ModelMessage): number[] {
  const { quarantined, lease, deciding, waits, woken } = message;
  if (quarantined) return [MessageState.quarantined];
  if (lease !== undefined) return [MessageState.leased];
  if (deciding !== undefined) return [MessageState.deciding];
  if (waits === undefined || woken === "yes") return [MessageState.ready];
  const waiting = waits.clock === "steady" ? MessageState.delayed : MessageState.scheduled;
  return woken === "no" ? [waiting] : [waiting, MessageState.ready];
}
