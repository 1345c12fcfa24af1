// Messages come in: each gets its key, its lane and its sequence, and is ready, or waits for its time.
import type { EnqueueItem } from "./commands.ts";
import { firstUse, remember } from "./deduplication.ts";
import type { EnqueueOutcome } from "./effects.ts";
import { type Failure, failure } from "./errors.ts";
import { unknownQueue } from "./failures.ts";
import type { Endings } from "./lease-endings.ts";
import type { Waiting } from "./mutations.ts";
import { longestMs } from "./queue-settings.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

/** One outcome per item, in the same order. */
export function enqueueAll(core: Endings, turn: Turn, items: readonly EnqueueItem[]): EnqueueOutcome[] {
  const readyAt = core.readyClock.read(turn.now.wall);
  const outcomes = new Array<EnqueueOutcome>(items.length);
  for (let at = 0; at < items.length; at += 1)
    outcomes[at] = enqueue(core.state, turn, items[at] as EnqueueItem, readyAt);
  return outcomes;
}

function enqueue(state: State, turn: Turn, item: EnqueueItem, readyAt: number): EnqueueOutcome {
  const queue = state.queuesByName.get(item.queue);
  if (queue === undefined || (item.queueNumber ?? queue.number) !== queue.number) return unknownQueue(item.queue);
  const { idempotencyKey, deliverAt = 0 } = item;
  if (deliverAt > turn.now.wall + longestMs) return tooFar(deliverAt);
  if (idempotencyKey !== undefined) {
    const known = firstUse(state, turn, queue, idempotencyKey);
    if (known !== undefined) return known;
    if (item.refused !== undefined) return item.refused;
  }
  const key = state.keyOf(queue, item.fairnessKey);
  if (item.weight !== 0 && item.weight !== key.ownWeight) {
    state.setOwnWeight(key, item.weight);
    turn.mutations.push({ type: "weighed", queueNumber: queue.number, fairnessKey: key.name, weight: item.weight });
  }
  const lane = state.laneFor(key, item.throttleKeys);
  const sequence = queue.nextSequence;
  queue.nextSequence += 1;
  const enqueuedAt = turn.now.wall;
  const { cost, body, delayMs = 0, ttlMs = 0 } = item;
  const length = body.byteLength;
  const slot = state.addMessage(lane, {
    queueNumber: queue.number,
    sequence,
    enqueuedAt,
    readyAt,
    attempts: 0,
    cost,
    record: 0,
    offset: 0,
    length,
    page: 0,
  });
  const waiting = waitingOf(delayMs, deliverAt, enqueuedAt);
  const dueAt = waiting === "ready" ? readyAt : waiting === "delayed" ? Math.ceil(enqueuedAt + delayMs) : deliverAt;
  const expiresAt = ttlMs === 0 ? 0 : Math.ceil(enqueuedAt + ttlMs);
  turn.mutations.push({
    type: "enqueued",
    slot,
    lane,
    sequence,
    enqueuedAt,
    readyAt: dueAt,
    waiting,
    expiresAt,
    cost,
    body,
  });
  if (idempotencyKey !== undefined) remember(state, turn, queue, idempotencyKey, sequence, enqueuedAt);
  if (ttlMs > 0) state.setExpiry(slot, turn.steady + ttlMs);
  if (waiting === "ready") state.makeNewReady(slot, lane);
  else if (waiting === "delayed") state.delay(slot, "steady", turn.steady + delayMs);
  else state.delay(slot, "wall", deliverAt);
  return state.idOf(slot);
}

/** A message that is due in the past is ready. */
function waitingOf(delayMs: number, deliverAt: number, now: number): Waiting {
  if (delayMs > 0) return "delayed";
  return deliverAt > now ? "scheduled" : "ready";
}

function tooFar(deliverAt: number): Failure {
  return failure(
    "INVALID_FIELD",
    `deliver_at is ${deliverAt} ms after 1970, more than a year from now; give a time within a year`,
    { field: "deliver_at" },
  );
}
