// What operators do to queues, keys and single messages.
import type { Command } from "./commands.ts";
import { findUses, releaseKey } from "./deduplication.ts";
import type { Reply } from "./effects.ts";
import { remove } from "./ending.ts";
import { type Failure, failure } from "./errors.ts";
import { type Explanation, explain, explainKey } from "./explain.ts";
import { unknownQueue } from "./failures.ts";
import type { Endings } from "./lease-endings.ts";
import { parseMessageId } from "./message-id.ts";
import { type Times, viewOf } from "./message-view.ts";
import type { Purges } from "./purges.ts";
import type { KeyOverride, Queue } from "./queue.ts";
import { type QueueSettings, changed, deadLetterSuffix } from "./queue-settings.ts";
import { describe, listKeys } from "./queue-stats.ts";
import { redrive } from "./redrive.ts";
import { scan } from "./scan.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

export interface Operated extends Endings, Times {
  readonly state: State;
  readonly purges: Purges;
}

type Operation = Extract<
  Command,
  {
    type:
      | "update-queue"
      | "describe-queue"
      | "list-keys"
      | "set-key"
      | "cancel"
      | "purge"
      | "scan"
      | "get-messages"
      | "explain"
      | "redrive"
      | "find-uses"
      | "release-key";
  }
>;

/** Keys of one queue that an operator may set something on. */
export const maxOverridesPerQueue = 10_000;

export function operate(core: Operated, turn: Turn, command: Operation): void {
  const name = command.type === "update-queue" ? command.name : command.queue;
  const queue = core.state.queuesByName.get(name);
  const { request } = command;
  const reply = queue === undefined ? unknownQueue(name) : run(core, turn, queue, command);
  if (reply === "later") return;
  turn.effects.push("reason" in reply ? { type: "failed", request, failure: reply } : reply);
}

function run(core: Operated, turn: Turn, queue: Queue, command: Operation): Reply | Failure | "later" {
  const { request } = command;
  const done: Reply = { type: "done", request };
  switch (command.type) {
    case "update-queue":
      updateQueue(core, turn, queue, command.settings);
      return done;
    case "describe-queue":
      return { type: "described", request, description: describe(core.state, queue, command.maxKeys) };
    case "list-keys":
      return { type: "keys", request, ...listKeys(queue, command.after, command.limit) };
    case "set-key":
      return setKey(core, turn, queue, command.fairnessKey, command.override) ?? done;
    case "cancel":
      return cancel(core, turn, queue, command.id) ?? done;
    case "purge":
      core.purges.add(queue, request);
      return "later";
    case "scan": {
      const { filter, after, limit, row } = command;
      return { type: "scanned", request, ...scan(core, queue, filter, after, limit, row, turn.limits.rowsPerSearch) };
    }
    case "get-messages": {
      const slots = command.ids.map((id) => find(core.state, queue, id)).filter((slot) => slot !== undefined);
      return { type: "scanned", request, messages: slots.map((slot) => viewOf(core, slot)), row: undefined };
    }
    case "find-uses": {
      const ids = findUses(core.state, turn, queue, command.uses);
      return { type: "uses-found", request, queueNumber: queue.number, ids };
    }
    case "release-key":
      return releaseKey(turn, queue, command.key) ? done : keyNotInUse(queue);
    case "explain":
      return { type: "explained", request, explanation: explained(core, queue, command) };
    case "redrive": {
      const to = redriveTarget(core.state, queue);
      if ("reason" in to) return to;
      const messages = redrive(core, turn, queue, to, command.messages);
      const next = [queue, to].map(({ number, nextSequence }) => ({ queueNumber: number, sequence: nextSequence }));
      return { type: "redriven", request, messages, next };
    }
  }
}

function keyNotInUse({ name }: Queue): Failure {
  return failure("KEY_NOT_FOUND", `queue "${name}" remembers no such idempotency key; it may be used`, {
    metadata: { queue: name },
  });
}

function explained(core: Operated, queue: Queue, command: Extract<Command, { type: "explain" }>): Explanation {
  if (command.id !== undefined) {
    const slot = slotOf(core.state, command.id);
    return explain(core, slot, queue);
  }
  const key = queue.keys.get(command.fairnessKey ?? "");
  return (key && explainKey(core, key)) ?? { why: "unknown" };
}

/** The queue whose dead letters these are. */
export function redriveTarget(state: State, queue: Queue): Queue | Failure {
  if (!queue.isDeadLetterQueue) {
    return failure(
      "NOT_A_DEAD_LETTER_QUEUE",
      `queue "${queue.name}" is no dead-letter queue; name "${queue.name}${deadLetterSuffix}"`,
      { metadata: { queue: queue.name } },
    );
  }
  const source = queue.name.slice(0, -deadLetterSuffix.length);
  return state.queuesByName.get(source) ?? unknownQueue(source);
}

function find(state: State, queue: Queue, id: string): number | undefined {
  const slot = slotOf(state, id);
  return slot !== undefined && state.laneOf(slot).key.queue === queue ? slot : undefined;
}

/** Wherever the message is. */
function slotOf(state: State, id: string): number | undefined {
  const parsed = parseMessageId(id);
  const slot = parsed === undefined ? undefined : state.index.get(parsed.queueNumber, parsed.sequence);
  return slot !== undefined && state.idOf(slot) === id.toLowerCase() ? slot : undefined;
}

function updateQueue({ state }: Operated, turn: Turn, queue: Queue, settings: Partial<QueueSettings>): void {
  state.setSettings(queue, changed(queue.settings, settings));
  const { number: queueNumber, name, deadLetters, madeFor } = queue;
  turn.mutations.push({ type: "queue-updated", queueNumber, name, settings: queue.settings, deadLetters, madeFor });
}

/** Its script of this hook has answered. */
export function scriptWorked(
  state: State,
  turn: Turn,
  { queueNumber, hook, script }: Extract<Command, { type: "script-worked" }>,
): void {
  const queue = state.queuesByNumber.get(queueNumber);
  if (queue === undefined || queue.dead) return;
  const { settings, name, deadLetters, madeFor } = queue;
  const proven = hook === "on_enqueue" ? settings.provenOnEnqueue : settings.provenOnFailure;
  const now = hook === "on_enqueue" ? settings.onEnqueueScript : settings.onFailureScript;
  if (proven.current || now !== script) return;
  const after = { current: true, before: proven.before };
  queue.settings = {
    ...settings,
    ...(hook === "on_enqueue" ? { provenOnEnqueue: after } : { provenOnFailure: after }),
  };
  turn.mutations.push({ type: "queue-updated", queueNumber, name, settings: queue.settings, deadLetters, madeFor });
}

function setKey(
  { state }: Operated,
  turn: Turn,
  queue: Queue,
  fairnessKey: string,
  change: Partial<KeyOverride>,
): Failure | undefined {
  const before = queue.overrides.get(fairnessKey);
  const override = { weight: 0, paused: false, maxInFlight: 0, ...before, ...change };
  const says = override.weight !== 0 || override.paused || override.maxInFlight !== 0;
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
  const slot = find(state, queue, id);
  if (slot === undefined) {
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
      turn.lost(consumer, { id: state.idOf(slot), token });
    }
    state.endLease(lease);
  }
  remove(state, turn, slot, "cancel");
  return undefined;
}
