// Whether a core, live or rebuilt, holds exactly what the model holds.
import type { Core } from "../../server/src/core/core.ts";
import { MessageState } from "../../server/src/core/message-table.ts";
import { verify } from "../../server/src/core/verify.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import type { ModelMessage, ModelQueue } from "./model-state.ts";

/** @param rebuilt nothing is left of deleted queues */
export function compare(model: Model, core: Core, rebuilt: boolean): void {
  verify(core);
  const { state } = core;
  expect(state.nextQueueNumber === model.nextQueueNumber, () => `the next queue is ${state.nextQueueNumber}`);
  expect(state.queuesByName.size === model.queuesByName.size, () => "other queues");
  for (const queue of model.queuesByName.values()) compareQueue(queue, core);
  let left = 0;
  for (const slot of state.table.slots()) if (state.laneOf(slot).key.queue.dead) left += 1;
  expect(state.table.size === model.depth + left, () => `${state.table.size - left} messages, not ${model.depth}`);
  expect(!rebuilt || left === 0, () => "messages of a deleted queue came back");
}

function compareQueue(expected: ModelQueue, core: Core): void {
  const queue = core.state.queuesByName.get(expected.name);
  expect(queue?.number === expected.number, () => `queue ${expected.name} is not there`);
  expect(queue.visibilityMs === expected.visibilityMs, () => `queue ${expected.name} has another visibility timeout`);
  for (const message of expected.messages.values()) compareMessage(message, core);
  expect(
    queue.nextSequence === expected.nextSequence,
    () => `queue ${expected.name}: next ${queue.nextSequence}, not ${expected.nextSequence}`,
  );
  expect(queue.keys.size === expected.keys.size, () => `queue ${expected.name} has other keys`);
  for (const key of expected.keys.values()) {
    const found = queue.keys.get(key.name);
    const same = found?.weight === key.weight && found.weighed === key.weighed && found.ready === key.ready.length;
    expect(same, () => `key ${key.name} of queue ${expected.name}: weight ${found?.weight}, not ${key.weight}`);
  }
}

function compareMessage(message: ModelMessage, core: Core): void {
  const { state } = core;
  const { table } = state;
  const slot = state.index.get(message.queue.number, message.sequence);
  expect(slot !== undefined, () => `${message.name} is lost`);
  const { item, lease } = message;
  const facts = {
    readyAt: [table.readyAt(slot), message.readyAt],
    enqueuedAt: [table.enqueuedAt(slot), message.enqueuedAt],
    attempts: [table.attempts(slot), message.attempts],
    cost: [table.cost(slot), item.cost],
    length: [table.length(slot), item.body.byteLength],
    state: [table.state(slot), stateOf(message)],
  };
  for (const [name, [got, wanted]] of Object.entries(facts)) {
    expect(got === wanted, () => `${message.name}: ${name} is ${got}, not ${wanted}`);
  }
  const lane = state.laneOf(slot);
  const sameLane = lane.key.name === item.fairnessKey && lane.throttleKeys.join() === item.throttleKeys.join();
  expect(sameLane, () => `${message.name} stands in another lane`);
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

function stateOf(message: ModelMessage): number {
  if (message.quarantined) return MessageState.quarantined;
  return message.lease === undefined ? MessageState.ready : MessageState.leased;
}
