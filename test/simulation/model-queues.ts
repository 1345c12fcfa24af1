// Queues come and go together with their dead-letter queues, but for those that were there before.
import type { Command } from "../../server/src/core/commands.ts";
import { expect } from "./failure.ts";
import { checkLink, checkSettings } from "./model-moves.ts";
import type { Model } from "./model.ts";
import type { ModelQueue } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

type CommandOf<T extends Command["type"]> = Extract<Command, { type: T }>;

export function checkCreate(model: Model, reader: TurnReader, command: CommandOf<"create-queue">): void {
  const { name } = command;
  if (model.queuesByName.has(name)) {
    expect(reader.effect("failed").failure.reason === "QUEUE_EXISTS", () => "a queue was created twice");
    return;
  }
  if (reader.nextEffectType === "failed") {
    expect(reader.effect("failed").failure.reason === "TOO_MANY_QUEUES", () => "no queue was created");
    return;
  }
  reader.effect("done");
  const created = reader.mutation("queue-created");
  const right = created.name === name && created.settings === command.settings && created.madeFor === 0;
  expect(right, () => "another queue was created");
  const deadLetters = name.endsWith(".dlq") ? undefined : `${name}.dlq`;
  const there = deadLetters === undefined ? undefined : model.queuesByName.get(deadLetters);
  const queue = model.createQueue(created);
  if (there !== undefined) model.coverage.dlqsAdopted += 1;
  if (deadLetters === undefined || there !== undefined) {
    expect(queue.deadLetters === (there?.number ?? 0), () => `${name} has the dead-letter queue ${queue.deadLetters}`);
    // The one that came with its queue was deleted by itself.
    const source = name.endsWith(".dlq") ? model.queuesByName.get(name.slice(0, -4)) : undefined;
    if (source?.name.endsWith(".dlq") === false) checkLink(model, reader, source, queue);
    return;
  }
  const along = reader.mutation("queue-created");
  const its = along.name === deadLetters && along.madeFor === queue.number && along.deadLetters === 0;
  expect(its && queue.deadLetters === along.queueNumber, () => `${name} came with ${along.name}`);
  checkSettings(along.settings);
  model.createQueue(along);
}

export function checkUpdate(model: Model, reader: TurnReader, command: CommandOf<"update-queue">): void {
  const queue = model.queuesByName.get(command.name);
  if (queue === undefined) {
    expect(reader.effect("failed").failure.reason === "QUEUE_NOT_FOUND", () => "no queue was changed");
    return;
  }
  reader.effect("done");
  const updated = reader.mutation("queue-updated");
  const same = updated.queueNumber === queue.number && updated.deadLetters === queue.deadLetters;
  const settings = { ...queue.settings, ...command.settings };
  expect(
    same && JSON.stringify(updated.settings) === JSON.stringify(settings),
    () => `${queue.name} has the settings ${JSON.stringify(updated.settings)}`,
  );
  model.updateQueue(updated);
}

export function checkDelete(model: Model, reader: TurnReader, command: CommandOf<"delete-queue">): void {
  const queue = model.queuesByName.get(command.name);
  if (queue === undefined) {
    expect(reader.effect("failed").failure.reason === "QUEUE_NOT_FOUND", () => "no queue was deleted");
    return;
  }
  const deadLetters = model.queuesByNumber.get(queue.deadLetters);
  if (deadLetters?.madeFor === queue.number) deleteOne(model, reader, deadLetters);
  else if (deadLetters !== undefined) model.coverage.dlqsOutlived += 1;
  deleteOne(model, reader, queue);
  reader.effect("done");
}

function deleteOne(model: Model, reader: TurnReader, queue: ModelQueue): void {
  const { queueNumber } = reader.mutation("queue-deleted");
  expect(queueNumber === queue.number, () => `queue ${queueNumber} was deleted instead of ${queue.name}`);
  for (let left = queue.consumers.size; left > 0; left -= 1) {
    const { consumer } = reader.effect("ended");
    expect(model.consumers.get(consumer)?.queue === queue, () => "a consumer of another queue was ended");
  }
  model.deleteQueue(queue);
}
