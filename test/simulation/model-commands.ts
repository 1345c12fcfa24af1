// What each command must do and answer, in the order in which the core runs them.
import type { Command, OpenConsumer } from "../../server/src/core/commands.ts";
import { parseMessageId } from "../../server/src/core/message-id.ts";
import { expect } from "./failure.ts";
import { checkEnded, noteLoss } from "./model-endings.ts";
import type { Model } from "./model.ts";
import { checkSettle } from "./model-settlement.ts";
import { ModelConsumer } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

type CommandOf<T extends Command["type"]> = Extract<Command, { type: T }>;

export function checkCommand(model: Model, reader: TurnReader, command: Command): void {
  switch (command.type) {
    case "enqueue":
      return checkEnqueue(model, reader, command);
    case "settle":
      return checkSettle(model, reader, command);
    case "open":
      return checkOpen(model, reader, command);
    case "credit": {
      const consumer = model.consumers.get(command.consumer);
      if (consumer !== undefined) consumer.credit += command.messages;
      return;
    }
    case "stop": {
      const consumer = model.consumers.get(command.consumer);
      if (consumer === undefined) return;
      consumer.stopped = true;
      expect(reader.effect("stopped").consumer === command.consumer, () => "another consumer stopped");
      return;
    }
    case "written":
      model.consumers.get(command.consumer)?.wrote(command.ordinal);
      return;
    case "undelivered": {
      const consumer = model.consumers.get(command.consumer);
      for (const ordinal of command.ordinals) consumer?.neverWrites(ordinal);
      // A poll that was sent anything is over; a Consume stream has no credit.
      const back = consumer?.kind === "stream" || (consumer?.kind === "poll" && command.all);
      if (consumer !== undefined && back) consumer.credit += command.ordinals.length;
      return;
    }
    case "close":
      return checkClose(model, reader, command);
    case "disconnect":
      model.formerHolders.delete(command.connection);
      return;
    case "quarantine":
      return checkQuarantine(model, reader, command);
    case "create-queue":
      return checkCreate(model, reader, command);
    case "delete-queue":
      return checkDelete(model, reader, command);
    case "queue-stats":
      return checkStats(model, reader, command);
    case "list-queues": {
      const listed = reader.effect("queues").queues.map(({ name }) => name);
      expect(listed.join() === [...model.queuesByName.keys()].sort().join(), () => `listed ${listed.join()}`);
    }
  }
}

function checkEnqueue(model: Model, reader: TurnReader, command: CommandOf<"enqueue">): void {
  const { outcomes } = reader.effect("enqueued");
  const { wall } = reader.turn.now;
  model.readClock(wall);
  for (const [at, item] of command.items.entries()) {
    const outcome = outcomes[at];
    const queue = model.queuesByName.get(item.queue);
    if (queue === undefined) {
      expect(typeof outcome === "object" && outcome.reason === "QUEUE_NOT_FOUND", () => "enqueued to no queue");
      continue;
    }
    const key = model.keyOf(queue, item.fairnessKey);
    if (item.weight !== 0 && item.weight !== key.weight) {
      expect(reader.mutation("weighed").weight === item.weight, () => "the weight is not the one that was named");
      key.weight = item.weight;
      key.weighed = true;
      queue.shares.weighed(key.index, key.weight);
    }
    const { sequence, enqueuedAt, readyAt, cost, body, lane } = reader.mutation("enqueued");
    const id = typeof outcome === "string" ? parseMessageId(outcome) : undefined;
    expect(
      id?.sequence === queue.nextSequence && id.queueNumber === queue.number && id.time === wall,
      () => `the id ${JSON.stringify(outcome)}`,
    );
    const stored = sequence === queue.nextSequence && enqueuedAt === wall && cost === item.cost && body === item.body;
    expect(stored, () => "what is stored is not what was enqueued");
    expect(
      (lane.fairnessKey === key.name && lane.throttleKeys === item.throttleKeys) ||
        lane.throttleKeys.join() === item.throttleKeys.join(),
      () => "stored in another lane",
    );
    model.checkReadyAt(readyAt, wall);
    model.addMessage(queue, item, key, enqueuedAt, readyAt);
  }
}

function checkOpen(model: Model, reader: TurnReader, command: OpenConsumer): void {
  const queue = model.queuesByName.get(command.queue);
  if (queue === undefined) {
    expect(reader.effect("ended").failure.reason === "QUEUE_NOT_FOUND", () => "opened on no queue");
    return;
  }
  const { adopted, visibilityMs } = reader.effect("opened");
  const duration = command.visibilityMs === 0 ? queue.visibilityMs : command.visibilityMs;
  expect(visibilityMs === duration, () => `a visibility timeout of ${visibilityMs}`);
  const consumer = new ModelConsumer(command.consumer, queue, command, duration, command.credit);
  model.consumers.set(consumer.id, consumer);
  queue.consumers.add(consumer);
  const { mono, wall } = reader.turn.now;
  const tokens = new Set(adopted.map(({ token }) => `${token.high}.${token.low}`));
  for (const lease of model.leases) {
    const own =
      lease.session === command.session && lease.principal === command.principal && lease.message.queue === queue;
    if (!lease.orphan || !own || lease.session === "" || lease.kind !== "stream" || command.kind !== "stream") continue;
    expect(
      tokens.delete(`${lease.token.high}.${lease.token.low}`),
      () => `the lease of ${lease.message.name} is not taken up`,
    );
    lease.orphan = false;
    lease.deadline = mono + lease.durationMs;
    model.hold(lease, consumer);
  }
  expect(tokens.size === 0, () => "a lease was taken up by a stream that did not hold it");
  for (const each of adopted) expect(each.leaseExpiresAt >= wall, () => "a lease taken up is over");
}

function checkClose(model: Model, reader: TurnReader, command: CommandOf<"close">): void {
  const consumer = model.consumers.get(command.consumer);
  if (consumer === undefined) return;
  model.consumers.delete(consumer.id);
  consumer.queue.consumers.delete(consumer);
  const expected = new Map<number, boolean>();
  const written = Math.max(command.written, consumer.written);
  for (const lease of consumer.leases) {
    if (lease.ordinal > written) expected.set(lease.message.sequence, false);
    else if (consumer.kind === "poll") model.letGo(lease);
    else expected.set(lease.message.sequence, true);
  }
  while (expected.size > 0) {
    const { sequence, counted, by } = checkEnded(model, reader);
    expect(
      expected.get(sequence) === counted && by === (counted ? "dead-stream" : "release"),
      () => `message ${sequence} of a closed stream: attempt counted: ${counted}, ended by ${by}`,
    );
    expected.delete(sequence);
  }
}

function checkQuarantine(model: Model, reader: TurnReader, command: CommandOf<"quarantine">): void {
  const message = model.queuesByNumber.get(command.queueNumber)?.messages.get(command.sequence);
  if (message === undefined) return;
  const mutation = reader.mutation("quarantined");
  expect(mutation.sequence === message.sequence, () => "another message is set aside");
  if (message.lease !== undefined) {
    const { consumer, ordinal } = message.lease;
    noteLoss(reader, message.lease);
    model.endLease(message.lease, false);
    consumer?.neverWrites(ordinal);
  } else if (!message.quarantined) model.takeReady(message);
  message.quarantined = true;
}

function checkCreate(model: Model, reader: TurnReader, command: CommandOf<"create-queue">): void {
  if (model.queuesByName.has(command.name)) {
    expect(reader.effect("failed").failure.reason === "QUEUE_EXISTS", () => "a queue was created twice");
    return;
  }
  if (reader.nextEffectType === "failed") {
    expect(reader.effect("failed").failure.reason === "TOO_MANY_QUEUES", () => "no queue was created");
    return;
  }
  reader.effect("done");
  const { queueNumber, name, visibilityMs } = reader.mutation("queue-created");
  expect(name === command.name && visibilityMs === command.visibilityMs, () => "another queue was created");
  model.createQueue(queueNumber, name, visibilityMs);
}

function checkDelete(model: Model, reader: TurnReader, command: CommandOf<"delete-queue">): void {
  const queue = model.queuesByName.get(command.name);
  if (queue === undefined) {
    expect(reader.effect("failed").failure.reason === "QUEUE_NOT_FOUND", () => "no queue was deleted");
    return;
  }
  const { queueNumber } = reader.mutation("queue-deleted");
  expect(queueNumber === queue.number, () => "another queue was deleted");
  for (let left = queue.consumers.size; left > 0; left -= 1) {
    const { consumer } = reader.effect("ended");
    expect(model.consumers.get(consumer)?.queue === queue, () => "a consumer of another queue was ended");
  }
  model.deleteQueue(queue);
  reader.effect("done");
}

function checkStats(model: Model, reader: TurnReader, command: CommandOf<"queue-stats">): void {
  const queue = model.queuesByName.get(command.name);
  if (queue === undefined) {
    reader.effect("failed");
    return;
  }
  const { depth, inFlight, consumers, activeKeys } = reader.effect("stats").stats;
  let active = 0;
  for (const key of queue.keys.values()) if (key.ready.length > 0) active += 1;
  const right = depth === queue.messages.size && inFlight === queue.inFlight && consumers === queue.consumers.size;
  expect(
    right && activeKeys === active,
    () => `stats of ${queue.name}: ${depth}, ${inFlight}, ${consumers}, ${activeKeys}`,
  );
}
