// Enqueues with an idempotency key: the first within the queue's window stores its message, later ones answer with it.
import type { IdempotencyKey, KeyUse } from "./commands.ts";
import type { Duplicate } from "./effects.ts";
import { type Failure, failure } from "./errors.ts";
import { IdempotencyRecords, type KeyHash } from "./idempotency.ts";
import { formatMessageId } from "./message-id.ts";
import type { Queue } from "./queue.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Keys are forgotten together, this long after the first of them might be. */
const forgetAfterMs = 1_000;

/** undefined: the key is not in use, and a message may be stored under it. */
export function firstUse(state: State, turn: Turn, queue: Queue, key: IdempotencyKey): Duplicate | Failure | undefined {
  const records = queue.idempotency;
  if (records === undefined) return undefined;
  const use = records.find(key, turn.steady);
  if (use !== undefined) {
    return { duplicateOf: formatMessageId(use.enqueuedAt, queue.number, use.sequence, state.salt) };
  }
  const { maxIdempotencyKeys } = turn.limits;
  if (records.size < maxIdempotencyKeys) return undefined;
  const retryAfterMs = Math.max(1, Math.ceil(records.firstExpiry + forgetAfterMs - turn.steady));
  return failure(
    "IDEMPOTENCY_WINDOW_FULL",
    `queue "${queue.name}" remembers ${maxIdempotencyKeys} idempotency keys already; try again when the first of them are forgotten`,
    { metadata: { queue: queue.name }, retryAfterMs },
  );
}

export function remember(
  state: State,
  turn: Turn,
  queue: Queue,
  key: IdempotencyKey,
  sequence: number,
  enqueuedAt: number,
): void {
  const { dedupWindowMs } = queue.settings;
  queue.idempotency ??= new IdempotencyRecords();
  state.remembering.add(queue);
  queue.idempotency.add(key, { sequence, enqueuedAt }, turn.steady + dedupWindowMs);
  const expiresAt = Math.ceil(enqueuedAt + dedupWindowMs);
  turn.mutations.push({ type: "key-used", queueNumber: queue.number, key, sequence, enqueuedAt, expiresAt });
}

/** The id of the message of each use that still counts: not over, not released, not used anew since. */
export function findUses(state: State, turn: Turn, queue: Queue, uses: readonly KeyUse[]): (string | undefined)[] {
  return uses.map(({ key, sequence }) => {
    const use = queue.idempotency?.find(key, turn.steady);
    if (use?.sequence !== sequence) return undefined;
    return formatMessageId(use.enqueuedAt, queue.number, sequence, state.salt);
  });
}

/** false: the key is not in use. */
export function releaseKey(turn: Turn, queue: Queue, key: KeyHash): boolean {
  if (queue.idempotency?.release(key) !== true) return false;
  turn.mutations.push({ type: "key-released", queueNumber: queue.number, key });
  return true;
}

/** Forgets keys whose window is over; true when there are more than one turn may forget. */
export function forgetKeys(state: State, turn: Turn): boolean {
  for (const queue of state.remembering) {
    const records = queue.idempotency as IdempotencyRecords;
    if (queue.dead || records.size === 0) {
      queue.idempotency = undefined;
      state.remembering.delete(queue);
      continue;
    }
    // A commit a second is enough: a key whose window is over does not count, forgotten or not.
    if (records.firstExpiry + forgetAfterMs > turn.steady) continue;
    const count = records.forget(turn.steady, turn.dropBudget);
    turn.dropBudget -= count;
    if (count > 0) turn.mutations.push({ type: "keys-forgotten", queueNumber: queue.number, count });
    if (turn.dropBudget <= 0) return true;
  }
  return false;
}

/** When the next key is to be forgotten, steady clock. */
export function nextForgotten(state: State): number {
  let next = Infinity;
  for (const { idempotency } of state.remembering) next = Math.min(next, idempotency?.firstExpiry ?? Infinity);
  return next + forgetAfterMs;
}
