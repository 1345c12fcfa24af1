// What operators do to queues, keys and single messages.
import type { Command } from "./commands.ts";
import { remove } from "./ending.ts";
import { type Failure, failure } from "./errors.ts";
import { unknownQueue } from "./failures.ts";
import type { Endings } from "./lease-endings.ts";
import { parseMessageId } from "./message-id.ts";
import type { Purges } from "./purges.ts";
import type { KeyOverride, Queue } from "./queue.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { Turn } from "./turn.ts";

export interface Operated extends Endings {
  readonly purges: Purges;
}

type Operation = Extract<Command, { type: "update-queue" | "set-key" | "cancel" | "purge" }>;

/** Keys of one queue that an operator may set something on. */
export const maxOverridesPerQueue = 10_000;

export function operate(core: Operated, turn: Turn, command: Operation): void {
  const name = command.type === "update-queue" ? command.name : command.queue;
  const queue = core.state.queuesByName.get(name);
  const { request } = command;
  const refused = queue === undefined ? unknownQueue(name) : run(core, turn, queue, command);
  if (refused !== undefined) turn.effects.push({ type: "failed", request, failure: refused });
  else if (command.type !== "purge") turn.effects.push({ type: "done", request });
}

function run(core: Operated, turn: Turn, queue: Queue, command: Operation): Failure | undefined {
  switch (command.type) {
    case "update-queue":
      updateQueue(core, turn, queue, command.settings);
      return undefined;
    case "set-key":
      return setKey(core, turn, queue, command.fairnessKey, command.override);
    case "cancel":
      return cancel(core, turn, queue, command.id);
    case "purge":
      core.purges.add(queue, command.request);
      return undefined;
  }
}

function updateQueue({ state }: Operated, turn: Turn, queue: Queue, settings: Partial<QueueSettings>): void {
  queue.settings = { ...queue.settings, ...settings };
  const { number: queueNumber, name, deadLetters, madeFor } = queue;
  turn.mutations.push({ type: "queue-updated", queueNumber, name, settings: queue.settings, deadLetters, madeFor });
  state.schedule(queue);
}

function setKey(
  { state }: Operated,
  turn: Turn,
  queue: Queue,
  fairnessKey: string,
  change: Partial<KeyOverride>,
): Failure | undefined {
  const before = queue.overrides.get(fairnessKey);
  const override = { weight: 0, paused: false, ...before, ...change };
  const says = override.weight !== 0 || override.paused;
  if (says && before === undefined && queue.overrides.size >= maxOverridesPerQueue) {
    return failure(
      "TOO_MANY_KEYS",
      `queue "${queue.name}" has ${maxOverridesPerQueue} keys with settings of their own already; give some back first`,
      { metadata: { queue: queue.name } },
    );
  }
  const now = says ? override : undefined;
  state.setOverride(queue, fairnessKey, now);
  turn.mutations.push({ type: "key-set", queueNumber: queue.number, fairnessKey, override: now });
  return undefined;
}

/** A message that waits is gone; of one that is leased the worker learns that its lease is lost. */
function cancel(core: Operated, turn: Turn, queue: Queue, id: string): Failure | undefined {
  const { state } = core;
  const { table } = state;
  const parsed = parseMessageId(id);
  const slot = parsed === undefined ? undefined : state.index.get(parsed.queueNumber, parsed.sequence);
  const known = slot !== undefined && state.idOf(slot) === id && state.laneOf(slot).key.queue === queue;
  if (!known) {
    return failure("MESSAGE_NOT_FOUND", `message ${JSON.stringify(id.slice(0, 64))} is not in queue "${queue.name}"`, {
      metadata: { queue: queue.name, message_id: id.slice(0, 64) },
    });
  }
  const lease = state.leases.get(slot);
  if (lease === undefined) state.leaveLists(slot);
  else {
    const { consumer, token } = lease;
    if (consumer !== undefined) {
      core.formerHolders.add(consumer.connection, table.queueNumber(slot), table.sequence(slot));
      turn.lost(consumer, { id, token });
    }
    state.endLease(lease);
  }
  remove(state, turn, slot, "cancel");
  return undefined;
}
