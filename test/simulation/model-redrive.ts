// Redrive: dead letters go back, to the tail, as if they had never been tried; whatever cannot be moved is passed over.
import type { Command } from "../../server/src/core/commands.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import type { ModelMessage, ModelQueue } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

type Redrive = Extract<Command, { type: "redrive" }>;

/** Whether it lies there and can be moved. */
export function isMovable({ lease, quarantined }: ModelMessage): boolean {
  return lease === undefined && !quarantined;
}

export function checkRedrive(model: Model, from: ModelQueue, reader: TurnReader, command: Redrive): void {
  if (!from.isDeadLetterQueue) {
    const { reason } = reader.effect("failed").failure;
    expect(reason === "NOT_A_DEAD_LETTER_QUEUE", () => `a redrive of ${from.name} is answered ${reason}`);
    return;
  }
  const to = model.queuesByName.get(from.name.slice(0, -".dlq".length));
  if (to === undefined) {
    const { reason } = reader.effect("failed").failure;
    expect(reason === "QUEUE_NOT_FOUND", () => `a redrive of ${from.name} is answered ${reason}`);
    return;
  }
  const moved: ModelMessage[] = [];
  for (const { queueNumber, sequence } of command.messages) {
    const message = model.find(queueNumber, sequence);
    if (message?.queue !== from || !isMovable(message)) continue;
    model.leaveLists(message);
    move(model, reader, message, to);
    moved.push(message);
  }
  const { messages } = reader.effect("redriven");
  expect(messages === moved.length, () => `${messages} redriven, ${moved.length} could be`);
  model.redriven.set(command.request, moved);
  model.coverage.redriven += moved.length;
}

function move(model: Model, reader: TurnReader, message: ModelMessage, to: ModelQueue): void {
  const { ownWeight: weight, name } = message.key;
  const { item } = message;
  if (model.leaveKey(message)) reader.mutation("forgotten");
  const isNew = !to.keys.has(name);
  const key = model.keyOf(to, name);
  if (isNew && weight !== key.ownWeight) {
    const weighed = reader.mutation("weighed");
    const right = weighed.queueNumber === to.number && weighed.weight === weight && weighed.fairnessKey === name;
    expect(right, () => `${message.name} does not take its weight back`);
    model.weigh(to, key, weight);
  }
  const from = message.queue;
  model.enterKey(message, to, key);
  const moved = reader.mutation("moved");
  const { lane } = moved;
  const there =
    moved.queueNumber === message.origin &&
    moved.sequence === message.sequence &&
    moved.inQueue === from.number &&
    lane.queueNumber === to.number &&
    lane.fairnessKey === name &&
    lane.throttleKeys.join() === item.throttleKeys.join();
  expect(there, () => `${moved.queueNumber}:${moved.sequence} moves where ${message.name} is to be redriven`);
  const anew = moved.attempts === 0 && moved.expiresAt === 0 && moved.failure === undefined && !moved.quarantined;
  expect(anew, () => `${message.name} is redriven with ${moved.attempts} attempts, until ${moved.expiresAt}`);
  message.attempts = 0;
  message.firstFailedAt = 0;
  message.failure = undefined;
  model.setExpiry(message, undefined);
  model.clock.checkRetry(moved.readyAt, reader.turn);
  model.readyAt(message, moved.readyAt);
}
