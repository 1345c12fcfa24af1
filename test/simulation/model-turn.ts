// One durable turn, held against the model.
import type { TurnUnderWay } from "./broker-process.ts";
import { checkCommand } from "./model-commands.ts";
import { checkGrants, checkIdle } from "./model-endings.ts";
import { checkForgotten } from "./model-idempotency.ts";
import { checkPurges } from "./model-purges.ts";
import { holdsBack } from "./model-throttles.ts";
import { checkAskedAgain, checkTimes } from "./model-waiting.ts";
import type { Model } from "./model.ts";
import { TurnReader } from "./turn-reader.ts";

export function applyTurn(model: Model, turn: TurnUnderWay): void {
  const { coverage } = model;
  const reader = new TurnReader(turn, (queueNumber) => model.queuesByNumber.has(queueNumber));
  model.serial += 1;
  checkPurges(model, reader);
  checkAskedAgain(model, reader);
  for (const command of turn.commands) checkCommand(model, reader, command);
  model.serial += 1;
  checkTimes(model, reader);
  checkForgotten(model, reader);
  for (const queue of model.queuesByNumber.values()) {
    if (queue.heldBack || holdsBack(queue, model.throttles)) queue.shares.heldBack();
    queue.heldBack = holdsBack(queue, model.throttles);
  }
  for (const { message } of checkGrants(model, reader)) {
    coverage.deliveries += 1;
    if (message.deliveries > 1) coverage.redeliveries += 1;
    if (message.waits?.clock === "steady") coverage.delayedDeliveries += 1;
    else if (message.waits?.clock === "wall") coverage.scheduledDeliveries += 1;
  }
  reader.done();
  if (!turn.more) for (const queue of model.queuesByNumber.values()) checkIdle(model, queue);
}

/** Only the part of the turn for the system shard became durable. */
export function applyCatalog(model: Model, turn: TurnUnderWay): void {
  for (const mutation of turn.mutations) {
    if (mutation.type === "queue-created") model.createQueue(mutation);
    else if (mutation.type === "queue-updated") model.updateQueue(mutation);
    else if (mutation.type === "config-set") model.config.set(mutation);
    else if (mutation.type === "key-set") {
      const queue = model.queuesByNumber.get(mutation.queueNumber);
      if (queue !== undefined) model.override(queue, mutation.fairnessKey, mutation.override);
    } else if (mutation.type === "queue-deleted") {
      const queue = model.queuesByNumber.get(mutation.queueNumber);
      if (queue !== undefined) model.deleteQueue(queue);
    }
  }
}
