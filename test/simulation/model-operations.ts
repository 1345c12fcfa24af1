// What operators do to queues, keys and single messages, and what they are shown.
import type { Command } from "../../server/src/core/commands.ts";
import type { MessageView } from "../../server/src/core/message-view.ts";
import { type MessageFilter, comparePlaces } from "../../server/src/core/scan.ts";
import type { KeyOverride } from "../../server/src/core/queue.ts";
import { expect, fail } from "./failure.ts";
import { checkConfig } from "./model-config.ts";
import { noteLoss } from "./model-endings.ts";
import { checkFindUses, checkRelease } from "./model-idempotency.ts";
import { checkRemoved } from "./model-moves.ts";
import { checkRedrive } from "./model-redrive.ts";
import type { Model } from "./model.ts";
import type { ModelMessage, ModelQueue } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

type CommandOf<T extends Command["type"]> = Extract<Command, { type: T }>;

export function checkOperation(model: Model, reader: TurnReader, command: Command): void {
  switch (command.type) {
    case "set-config":
    case "get-config":
    case "list-config":
    case "config-changes":
      return checkConfig(model, reader, command);
    case "set-key":
    case "cancel":
    case "purge":
    case "redrive":
    case "scan":
    case "get-messages":
    case "list-keys":
    case "describe-queue":
    case "release-key":
    case "find-uses":
      return checkOfQueue(model, reader, command);
    default:
      fail(`the world sends no ${command.type}`);
  }
}

function checkOfQueue(model: Model, reader: TurnReader, command: Extract<Command, { queue: string }>): void {
  const queue = model.queuesByName.get(command.queue);
  if (queue === undefined) {
    expect(reader.effect("failed").failure.reason === "QUEUE_NOT_FOUND", () => `${command.type} of no queue`);
    return;
  }
  switch (command.type) {
    case "set-key":
      return checkSetKey(model, queue, reader, command);
    case "cancel":
      return checkCancel(model, queue, reader, command);
    case "purge":
      model.purges.push({
        queue,
        request: command.request,
        before: queue.nextSequence,
        began: model.serial,
        removed: 0,
      });
      return;
    case "redrive":
      return checkRedrive(model, queue, reader, command);
    case "scan":
      return checkScan(model, queue, reader, command);
    case "get-messages":
      for (const view of reader.effect("scanned").messages) checkView(model, queue, view);
      return;
    case "list-keys":
      return checkKeys(model, queue, reader, command);
    case "describe-queue":
      return checkDescription(model, queue, reader);
    case "release-key":
      return checkRelease(model, queue, reader, command);
    case "find-uses":
      return checkFindUses(model, queue, reader, command);
    default:
      fail(`the world sends no ${command.type}`);
  }
}

function checkSetKey(model: Model, queue: ModelQueue, reader: TurnReader, command: CommandOf<"set-key">): void {
  const { fairnessKey, override: change } = command;
  const before = queue.overrides.get(fairnessKey) ?? { weight: 0, paused: false, maxInFlight: 0 };
  const { weight = before.weight, paused = before.paused, maxInFlight = before.maxInFlight } = change;
  reader.effect("done");
  const { override, ...mutation } = reader.mutation("key-set");
  const named = mutation.queueNumber === queue.number && mutation.fairnessKey === fairnessKey;
  const says = weight !== 0 || paused || maxInFlight !== 0;
  const right = !says ? override === undefined : override?.weight === weight && override.maxInFlight === maxInFlight;
  expect(
    named && right && (override?.paused ?? false) === paused,
    () => `key ${fairnessKey} is set to ${JSON.stringify(override)}, not to ${weight}, paused: ${paused}`,
  );
  model.override(queue, fairnessKey, override);
  model.coverage.keysSet += 1;
}

function checkCancel(model: Model, queue: ModelQueue, reader: TurnReader, { id }: CommandOf<"cancel">): void {
  const message = [...queue.messages].find((each) => each.id === id);
  if (message === undefined) {
    expect(reader.effect("failed").failure.reason === "MESSAGE_NOT_FOUND", () => `${id} is cancelled, but not there`);
    return;
  }
  reader.effect("done");
  const { lease } = message;
  if (lease !== undefined) {
    noteLoss(reader, lease);
    model.endLease(lease, true);
    model.coverage.cancelledLeased += 1;
  } else {
    if (model.waiting.has(message)) model.coverage.cancelledWaiting += 1;
    model.leaveLists(message);
  }
  checkRemoved(model, reader, message, "cancel");
  model.coverage.cancelled += 1;
}

/** The states of messages that were woken, or not, are not known for certain. */
function certain({ woken }: ModelMessage): boolean {
  return woken !== "maybe";
}

export function stateOf({ quarantined, lease, deciding, waits, woken }: ModelMessage): MessageView["state"] {
  if (quarantined) return "quarantined";
  if (lease !== undefined) return "leased";
  if (deciding !== undefined) return "deciding";
  if (waits === undefined || woken === "yes") return "ready";
  return waits.clock === "steady" ? "delayed" : "scheduled";
}

/** Whether the facts that the core knows let the message through. */
export function passes(message: ModelMessage, filter: MessageFilter): boolean {
  const { states, fairnessKey, enqueuedAfter = -1, enqueuedBefore = Infinity, below = [] } = filter;
  return (
    !below.some(({ queueNumber, sequence }) => queueNumber === message.origin && sequence <= message.sequence) &&
    (states?.includes(stateOf(message)) ?? true) &&
    (fairnessKey === undefined || message.key.name === fairnessKey) &&
    message.enqueuedAt > enqueuedAfter &&
    message.enqueuedAt < enqueuedBefore
  );
}

function checkScan(model: Model, queue: ModelQueue, reader: TurnReader, command: CommandOf<"scan">): void {
  const { filter, after, limit, row } = command;
  const { messages, row: next } = reader.effect("scanned");
  expect(messages.length <= limit, () => `${messages.length} messages, ${limit} were asked for`);
  for (const [at, view] of messages.entries()) {
    const message = checkView(model, queue, view);
    expect(!certain(message) || passes(message, filter), () => `${message.name} does not pass the filter`);
    const before = at === 0 ? after : messages[at - 1];
    expect(before === undefined || comparePlaces(before, view) < 0, () => `${message.name} is out of order`);
  }
  // One slice over the whole table: nothing is left out.
  if (row !== 0 || next !== undefined) return;
  const found = new Set(messages.map(({ id }) => id));
  const last = messages.length === limit ? messages.at(-1) : undefined;
  for (const message of queue.messages) {
    const place = { enqueuedAt: message.enqueuedAt, queueNumber: message.origin, sequence: message.sequence };
    const beyond = after === undefined || comparePlaces(place, after) > 0;
    const within = last === undefined || comparePlaces(place, last) <= 0;
    if (!beyond || !within || !certain(message) || !passes(message, filter)) continue;
    expect(found.has(message.id), () => `${message.name} is not found`);
  }
}

function checkView(model: Model, queue: ModelQueue, view: MessageView): ModelMessage {
  const message = model.find(view.queueNumber, view.sequence);
  expect(message?.queue === queue && message.id === view.id, () => `${view.id} is shown in ${queue.name}`);
  const { key, item, attempts, enqueuedAt, lease } = message;
  const same =
    view.fairnessKey === key.name &&
    view.weight === key.weight &&
    view.attempts === attempts &&
    view.enqueuedAt === enqueuedAt &&
    view.cost === item.cost &&
    view.queue === queue.name &&
    (view.lease === undefined) === (lease === undefined);
  expect(same, () => `${message.name} is shown as ${JSON.stringify(view)}`);
  expect(!certain(message) || view.state === stateOf(message), () => `${message.name} is shown as ${view.state}`);
  return message;
}

function checkKeys(
  model: Model,
  queue: ModelQueue,
  reader: TurnReader,
  { after, limit }: CommandOf<"list-keys">,
): void {
  const { keys, total, more } = reader.effect("keys");
  const names = [...queue.keys.keys()].filter((name) => name > after).sort();
  const shown = keys.map(({ key }) => key).join();
  expect(shown === names.slice(0, limit).join(), () => `the keys of ${queue.name} are shown as ${shown}`);
  expect(total === queue.keys.size && more === names.length > limit, () => `${total} keys, more: ${more}`);
  for (const each of keys) {
    const key = queue.keys.get(each.key);
    const cap = queue.overrides.get(each.key)?.maxInFlight || queue.settings.maxInFlightPerKey;
    const sameCap = each.maxInFlight === cap && key !== undefined && each.inFlight === model.leasedOf(key);
    const same = sameCap && key.weight === each.weight && key.paused === each.paused && key.total === each.total;
    expect(same, () => `key ${each.key} of ${queue.name} is shown as ${JSON.stringify(each)}`);
  }
}

function checkDescription(model: Model, queue: ModelQueue, reader: TurnReader): void {
  const { name, settings, keys, deadLetters } = reader.effect("described").description;
  const overrides = keys.map(({ key, ...each }) => `${key} ${shownOverride(each)}`).join();
  const due = [...queue.overrides].map(([key, each]) => `${key} ${shownOverride(each)}`);
  expect(overrides === due.sort().join(), () => `${queue.name} is described with ${overrides}`);
  const same = name === queue.name && JSON.stringify(settings) === JSON.stringify(queue.settings);
  const its = model.queuesByNumber.get(queue.deadLetters)?.name;
  // The number of a deleted one is known until it is emptied.
  expect(same && (its === undefined || deadLetters === its), () => `${queue.name} is described as another`);
}

function shownOverride({ weight, paused, maxInFlight }: KeyOverride): string {
  return `${weight} ${paused} ${maxInFlight}`;
}
