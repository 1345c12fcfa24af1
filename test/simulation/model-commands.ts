// What each command must do and answer, in the order in which the core runs them.
import type { Command, OpenConsumer } from "../../server/src/core/commands.ts";
import { parseMessageId } from "../../server/src/core/message-id.ts";
import type { EnqueuedMutation } from "../../server/src/core/mutations.ts";
import { expect } from "./failure.ts";
import { checkAttemptEnded, checkReleased, checkVerdict } from "./model-attempts.ts";
import { noteLoss } from "./model-endings.ts";
import { checkFirstUse, checkUsed } from "./model-idempotency.ts";
import { checkMoved } from "./model-moves.ts";
import { checkOperation } from "./model-operations.ts";
import { after } from "./model-policy.ts";
import { checkCreate, checkDelete, checkUpdate } from "./model-queues.ts";
import { isKeyFull } from "./model-throttles.ts";
import type { Model } from "./model.ts";
import { checkSettle } from "./model-settlement.ts";
import { ModelConsumer, ModelDue, type ModelLease, type ModelMessage } from "./model-state.ts";
import { type TurnReader, shown } from "./turn-reader.ts";

type CommandOf<T extends Command["type"]> = Extract<Command, { type: T }>;

export function checkCommand(model: Model, reader: TurnReader, command: Command): void {
  model.serial += 1;
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
    case "decided":
      return checkDecided(model, reader, command);
    case "create-queue":
      return checkCreate(model, reader, command);
    case "update-queue":
      return checkUpdate(model, reader, command);
    case "delete-queue":
      return checkDelete(model, reader, command);
    case "queue-stats":
      return checkStats(model, reader, command);
    case "list-queues": {
      const listed = reader.effect("queues").queues.map(({ name }) => name);
      expect(listed.join() === [...model.queuesByName.keys()].sort().join(), () => `listed ${listed.join()}`);
      return;
    }
    default:
      checkOperation(model, reader, command);
  }
}

function checkEnqueue(model: Model, reader: TurnReader, command: CommandOf<"enqueue">): void {
  const { outcomes } = reader.effect("enqueued");
  const { wall } = reader.turn.now;
  model.clock.read(wall);
  for (const [at, item] of command.items.entries()) {
    const outcome = outcomes[at];
    const queue = model.queuesByName.get(item.queue);
    if (queue === undefined) {
      const refused = typeof outcome === "object" && "reason" in outcome && outcome.reason === "QUEUE_NOT_FOUND";
      expect(refused, () => "enqueued to no queue");
      continue;
    }
    if (!checkFirstUse(model, queue, item, outcome, model.steady(reader.turn.now))) continue;
    const key = model.keyOf(queue, item.fairnessKey);
    if (item.weight !== 0 && item.weight !== key.ownWeight) {
      expect(reader.mutation("weighed").weight === item.weight, () => "the weight is not the one that was named");
      model.weigh(queue, key, item.weight);
    }
    const mutation = reader.mutation("enqueued");
    const { sequence, enqueuedAt, cost, body, lane } = mutation;
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
    const message = model.addMessage(outcome as string, queue, item, key, enqueuedAt);
    checkUsed(model, reader, message);
    checkTimesOf(model, reader, message, mutation);
  }
}

/** When a new message is due, and how long it lives. */
function checkTimesOf(model: Model, reader: TurnReader, message: ModelMessage, mutation: EnqueuedMutation): void {
  const { now } = reader.turn;
  const { wall } = now;
  const { delayMs = 0, deliverAt = 0, ttlMs = 0 } = message.item;
  const { readyAt, waiting, expiresAt } = mutation;
  expect(expiresAt === (ttlMs === 0 ? 0 : wall + ttlMs), () => `${message.name} lives until ${expiresAt}`);
  if (ttlMs > 0) model.setExpiry(message, model.duration(now, ttlMs, expiresAt));
  if (delayMs > 0) {
    expect(waiting === "delayed" && readyAt === wall + delayMs, () => `${message.name} is not delayed as it should be`);
    model.wait(message, model.duration(now, delayMs, readyAt));
  } else if (deliverAt > wall) {
    expect(waiting === "scheduled" && readyAt === deliverAt, () => `${message.name} is not scheduled as it should be`);
    model.wait(message, new ModelDue("wall", deliverAt, deliverAt));
  } else {
    expect(waiting === "ready", () => `${message.name} waits for nothing`);
    model.clock.check(readyAt, wall);
    model.readyAt(message, readyAt);
  }
}

function checkOpen(model: Model, reader: TurnReader, command: OpenConsumer): void {
  const queue = model.queuesByName.get(command.queue);
  if (queue === undefined) {
    expect(reader.effect("ended").failure.reason === "QUEUE_NOT_FOUND", () => "opened on no queue");
    return;
  }
  const { adopted, visibilityMs } = reader.effect("opened");
  const duration = command.visibilityMs === 0 ? queue.settings.visibilityMs : command.visibilityMs;
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
  const expected = new Map<ModelLease, boolean>();
  const written = Math.max(command.written, consumer.written);
  for (const lease of consumer.leases) {
    if (lease.ordinal > written) expected.set(lease, false);
    else if (consumer.kind === "poll") model.letGo(lease);
    else expected.set(lease, true);
  }
  while (expected.size > 0) {
    const next = reader.peekNamed();
    const lease = next === undefined ? undefined : model.find(next.queueNumber, next.sequence)?.lease;
    const counted = lease === undefined ? undefined : expected.get(lease);
    expect(
      lease !== undefined && counted !== undefined,
      () => `${expected.size} leases of a closed stream stand, and next comes ${shown(next)}`,
    );
    expected.delete(lease);
    model.endLease(lease, true);
    if (counted) checkAttemptEnded(model, reader, lease.message, { by: "dead-stream" });
    else checkReleased(model, reader, lease.message);
  }
}

/** A hook's answer counts for the attempt that it was asked about, once. */
function checkDecided(model: Model, reader: TurnReader, command: CommandOf<"decided">): void {
  const { queueNumber, sequence, attempt, decision } = command;
  const message = model.find(queueNumber, sequence);
  const { deciding } = message ?? {};
  if (message === undefined || deciding?.attempt !== attempt) {
    model.coverage.decisionsTooLate += 1;
    return;
  }
  model.leaveLists(message);
  model.coverage.decisionsApplied += 1;
  expect(decision.type === "retry" || decision.type === "dead-letter", () => "the hook said something else");
  const verdict = decision.type === "retry" ? after(decision.delayMs) : decision;
  checkVerdict(model, reader, message, verdict, deciding.end, false);
}

function checkQuarantine(model: Model, reader: TurnReader, command: CommandOf<"quarantine">): void {
  const message = model.find(command.queueNumber, command.sequence);
  if (message === undefined || message.quarantined) return;
  const { lease } = message;
  if (lease !== undefined) {
    const { consumer, ordinal } = lease;
    noteLoss(reader, lease);
    model.endLease(lease, false);
    consumer?.neverWrites(ordinal);
  } else model.leaveLists(message);
  if (!message.queue.isDeadLetterQueue) {
    checkMoved(model, reader, message, "corrupt", undefined);
    return;
  }
  const mutation = reader.mutation("quarantined");
  const same = mutation.sequence === message.sequence && mutation.queueNumber === message.origin;
  expect(same, () => "another message is set aside");
  message.quarantined = true;
  message.touched = model.serial;
}

function checkStats(model: Model, reader: TurnReader, command: CommandOf<"queue-stats">): void {
  const queue = model.queuesByName.get(command.name);
  if (queue === undefined) {
    reader.effect("failed");
    return;
  }
  const { depth, inFlight, consumers, activeKeys, paused } = reader.effect("stats").stats;
  expect(paused === queue.settings.paused, () => `stats of ${queue.name} say paused: ${paused}`);
  const active = new Set<string>();
  let least = 0;
  for (const key of queue.keys.values()) {
    if (key.ready.length === 0 || key.paused) continue;
    active.add(key.name);
    const free = key.ready.some((message) => !model.throttles.concern(message));
    if (free && !isKeyFull(queue, key, model.leasedOf(key))) least += 1;
  }
  for (const message of model.waiting) {
    if (message.woken === "maybe" && message.queue === queue && !message.key.paused) active.add(message.key.name);
  }
  const right = depth === queue.messages.size && inFlight === queue.inFlight && consumers === queue.consumers.size;
  expect(
    right && activeKeys >= least && activeKeys <= active.size,
    () => `stats of ${queue.name}: ${depth}, ${inFlight}, ${consumers}, ${activeKeys}`,
  );
}
