// Dead letters: a message that its queue cannot deliver moves to the queue's dead-letter queue, in one turn, with its id,
// key, weight, cost, throttle keys, bytes and count of attempts, and with a record of what it failed of.
import { type Endings } from "./lease-endings.ts";
import { MessageState } from "./message-table.ts";
import type { Queue } from "./queue.ts";
import { type QueueSettings, deadLetterSuffix, defaultQueueSettings } from "./queue-settings.ts";
import type { AttemptEnd, DeadLetterReason } from "./retry-policy.ts";
import { noteGone } from "./ending.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

/** The message stands in no list and has no lease any more. */
export function deadLetter(
  core: Endings,
  turn: Turn,
  slot: number,
  reason: DeadLetterReason,
  error: string,
  ended?: AttemptEnd["by"],
): void {
  const { state } = core;
  const { table } = state;
  const from = state.laneOf(slot);
  const source = from.key.queue;
  const target = deadLetterQueueOf(state, turn, source);
  const key = state.keyOf(target, from.key.name);
  const { ownWeight: weight } = from.key;
  const lane = state.laneFor(key, from.throttleKeys);
  const now = turn.now.wall;
  const firstFailedAt = table.firstFailedAt(slot) || now;
  noteGone(turn, state.moveMessage(slot, lane));
  if (weight !== key.ownWeight) {
    state.setOwnWeight(key, weight);
    turn.mutations.push({ type: "weighed", queueNumber: target.number, fairnessKey: key.name, weight });
  }
  const { retentionMs } = target.settings;
  state.setExpiry(slot, retentionMs === 0 ? 0 : turn.steady + retentionMs);
  table.setFirstFailedAt(slot, 0);
  table.setReadyAt(slot, core.readyClock.readRetry(turn));
  const quarantined = reason === "corrupt";
  turn.mutations.push({
    type: "moved",
    queueNumber: table.queueNumber(slot),
    sequence: table.sequence(slot),
    page: table.page(slot),
    inQueue: source.number,
    lane,
    readyAt: table.readyAt(slot),
    expiresAt: retentionMs === 0 ? 0 : now + retentionMs,
    attempts: table.attempts(slot),
    failure: { reason, error, firstFailedAt, lastFailedAt: now, sourceQueue: source.name },
    quarantined,
    ended,
  });
  if (!quarantined) {
    state.makeReady(slot);
    return;
  }
  table.setState(slot, MessageState.quarantined);
  state.setAside.add(slot);
}

/** The queue's own, made when it has none: it may have been deleted by itself. */
function deadLetterQueueOf(state: State, turn: Turn, queue: Queue): Queue {
  const known = state.queuesByNumber.get(queue.deadLetters);
  // While a deleted one is emptied, its number is known still.
  return known === undefined || known.dead ? addDeadLetterQueue(state, turn, queue) : known;
}

/** Gives a queue its dead-letter queue: one that exists under that name, or a new one. */
export function addDeadLetterQueue(state: State, turn: Turn, queue: Queue): Queue {
  const name = queue.name + deadLetterSuffix;
  const made = state.queuesByName.get(name) ?? createQueue(state, turn, name, { madeFor: queue.number });
  queue.deadLetters = made.number;
  const { number: queueNumber, settings, deadLetters, madeFor } = queue;
  turn.mutations.push({ type: "queue-updated", queueNumber, name: queue.name, settings, deadLetters, madeFor });
  return made;
}

export function createQueue(
  state: State,
  turn: Turn,
  name: string,
  { settings = defaultQueueSettings, deadLetters = 0, madeFor = 0 }: Partial<QueueFacts>,
): Queue {
  const queue = state.addQueue(state.nextQueueNumber, name, settings, deadLetters, madeFor);
  turn.mutations.push({ type: "queue-created", queueNumber: queue.number, name, settings, deadLetters, madeFor });
  return queue;
}

interface QueueFacts {
  readonly settings: QueueSettings;
  readonly deadLetters: number;
  readonly madeFor: number;
}
