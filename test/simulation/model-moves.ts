// How messages leave their queue: gone, or to a dead-letter queue with all that belongs to them.
import { defaultQueueSettings } from "../../server/src/core/queue-settings.ts";
import type { RemovedMutation } from "../../server/src/core/mutations.ts";
import type { AttemptEnd, DeadLetterReason } from "../../server/src/core/retry-policy.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import type { ModelMessage, ModelQueue } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

/** Reads that the message is gone; it stands in no list. */
export function checkRemoved(model: Model, reader: TurnReader, message: ModelMessage, by: RemovedMutation["by"]): void {
  const mutation = reader.mutation("removed");
  const { queueNumber, sequence } = mutation;
  expect(queueNumber === message.origin && sequence === message.sequence, () => "another message was removed");
  expect(mutation.by === by, () => `${message.name} went by ${mutation.by}, not by ${by}`);
  model.forget(message);
  if (by !== "ack") model.ended.push(message.id);
  if (model.leaveKey(message)) reader.mutation("forgotten");
}

/** Its time to live is over. */
export function checkExpired(model: Model, reader: TurnReader, message: ModelMessage): void {
  const { queue, expiry } = message;
  const early = (expiry?.at ?? Infinity) - model.steady(reader.turn.now);
  expect(early <= 0, () => `${message.name} ends ${early} ms before its time to live does`);
  if (queue.isDeadLetterQueue) model.coverage.retentionsOver += 1;
  else if (queue.settings.expiredTo === "drop") model.coverage.ttlDrops += 1;
  else {
    checkMoved(model, reader, message, "ttl", undefined);
    return;
  }
  checkRemoved(model, reader, message, "ttl");
}

/** Reads the move of a message that stands in no list and has no lease, and whose attempts are counted. */
export function checkMoved(
  model: Model,
  reader: TurnReader,
  message: ModelMessage,
  reason: DeadLetterReason,
  end: AttemptEnd | undefined,
): void {
  const source = message.queue;
  expect(!source.isDeadLetterQueue, () => `${message.name} is dead-lettered a second time`);
  const target = targetOf(model, reader, source);
  const { ownWeight: weight } = message.key;
  if (model.leaveKey(message)) reader.mutation("forgotten");
  const key = model.keyOf(target, message.key.name);
  if (key.ownWeight !== weight) {
    const weighed = reader.mutation("weighed");
    const right =
      weighed.queueNumber === target.number && weighed.weight === weight && weighed.fairnessKey === key.name;
    expect(right, () => `${message.name} does not take its weight along`);
    model.weigh(target, key, weight);
  }
  model.enterKey(message, target, key);
  readMove(model, reader, message, reason, end, source);
  countMove(model, reason);
}

/** The queue's own; made in this turn when it has none. */
function targetOf(model: Model, reader: TurnReader, source: ModelQueue): ModelQueue {
  const known = model.queuesByNumber.get(source.deadLetters);
  if (known !== undefined) return known;
  const name = `${source.name}.dlq`;
  let target = model.queuesByName.get(name);
  if (target === undefined) {
    const created = reader.mutation("queue-created");
    const right = created.name === name && created.madeFor === source.number && created.deadLetters === 0;
    expect(right, () => `queue ${created.name} was made for the dead letters of ${source.name}`);
    checkSettings(created.settings);
    target = model.createQueue(created);
    model.coverage.dlqsMadeAgain += 1;
  }
  checkLink(model, reader, source, target);
  return target;
}

/** The queue takes the other one as its dead-letter queue from now on. */
export function checkLink(model: Model, reader: TurnReader, source: ModelQueue, target: ModelQueue): void {
  const updated = reader.mutation("queue-updated");
  const right = updated.queueNumber === source.number && updated.deadLetters === target.number;
  expect(right && updated.madeFor === source.madeFor, () => `${source.name} does not know its dead-letter queue`);
  expect(
    JSON.stringify(updated.settings) === JSON.stringify(source.settings),
    () => `${source.name} has other settings`,
  );
  model.updateQueue(updated);
}

/** A dead-letter queue that comes with its queue has the default settings. */
export function checkSettings(settings: object): void {
  expect(settings === defaultQueueSettings, () => `a dead-letter queue with ${JSON.stringify(settings)}`);
}

function readMove(
  model: Model,
  reader: TurnReader,
  message: ModelMessage,
  reason: DeadLetterReason,
  end: AttemptEnd | undefined,
  source: ModelQueue,
): void {
  const { now } = reader.turn;
  const { wall } = now;
  const moved = reader.mutation("moved");
  const { queue, item } = message;
  expect(
    moved.queueNumber === message.origin && moved.sequence === message.sequence,
    () => `${moved.queueNumber}:${moved.sequence} moves instead of ${message.name}`,
  );
  const { queueNumber, fairnessKey, throttleKeys } = moved.lane;
  const there =
    queueNumber === queue.number &&
    fairnessKey === item.fairnessKey &&
    throttleKeys.join() === item.throttleKeys.join();
  expect(there, () => `${message.name} moves to another lane`);
  expect(moved.attempts === message.attempts, () => `${message.name} has ${moved.attempts} attempts on its way`);
  expect(moved.quarantined === (reason === "corrupt"), () => `${message.name} is set aside, or is not`);
  const { failure } = moved;
  expect(failure?.reason === reason, () => `${message.name} is dead-lettered as ${failure?.reason}, not as ${reason}`);
  expect(
    failure.sourceQueue === source.name &&
      failure.lastFailedAt === wall &&
      failure.firstFailedAt === (message.firstFailedAt || wall),
    () => `the record of ${message.name} says ${JSON.stringify(failure)}`,
  );
  const said = end?.by === "nack" ? failure.error === end.error : failure.error.length > 0;
  expect(said, () => `${message.name} failed of ${JSON.stringify(failure.error)}`);
  message.failure = failure;
  message.firstFailedAt = 0;
  const { retentionMs } = queue.settings;
  expect(
    moved.expiresAt === (retentionMs === 0 ? 0 : wall + retentionMs),
    () => `${message.name} is kept until ${moved.expiresAt}`,
  );
  model.setExpiry(message, retentionMs === 0 ? undefined : model.duration(now, retentionMs, moved.expiresAt));
  model.clock.checkRetry(moved.readyAt, reader.turn);
  if (moved.quarantined) {
    message.waits = undefined;
    message.quarantined = true;
  } else model.readyAt(message, moved.readyAt);
}

function countMove({ coverage }: Model, reason: DeadLetterReason): void {
  if (reason === "max_attempts") coverage.maxAttempts += 1;
  else if (reason === "rejected") coverage.rejected += 1;
  else if (reason === "hook") coverage.hookDeadLetters += 1;
  else if (reason === "ttl") coverage.ttlDeadLetters += 1;
  else coverage.corrupt += 1;
}
