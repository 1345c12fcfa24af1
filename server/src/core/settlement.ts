// Ack, nack, extend and release of leases, fenced by their tokens.
import { endAttempt } from "./attempts.ts";
import type { LeaseToken, SettleItem } from "./commands.ts";
import type { SettleOutcome } from "./effects.ts";
import { remove } from "./ending.ts";
import { type Failure, failure } from "./errors.ts";
import { type Endings, release } from "./lease-endings.ts";
import type { Lease } from "./lease.ts";
import { type MessageId, parseMessageId } from "./message-id.ts";
import type { Queue } from "./queue.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

export interface Settler {
  readonly connection: number;
  readonly principal: string;
}

/** One outcome per item, in the same order. Each item is done or refused on its own. */
export function settleAll(
  core: Endings,
  turn: Turn,
  queue: Queue,
  items: readonly SettleItem[],
  who: Settler,
): SettleOutcome[] {
  const outcomes = new Array<SettleOutcome>(items.length);
  for (let at = 0; at < items.length;) {
    // A run of releases is done from its end, so that each message returns to the very head of its lane.
    let end = at + 1;
    if ((items[at] as SettleItem).action === "release") {
      while (end < items.length && (items[end] as SettleItem).action === "release") end += 1;
    }
    for (let each = end - 1; each >= at; each -= 1) {
      outcomes[each] = settle(core, turn, queue, items[each] as SettleItem, who);
    }
    at = end;
  }
  return outcomes;
}

function settle(core: Endings, turn: Turn, queue: Queue, item: SettleItem, who: Settler): SettleOutcome {
  const { state } = core;
  const id = parseMessageId(item.id);
  if (id === undefined || id.salt !== state.salt || !couldHold(state, queue, id)) return unknownMessage(queue, item);
  const slot = state.index.get(id.queueNumber, id.sequence);
  // An id names the queue that the message was enqueued to; a dead letter is in another one.
  const known =
    slot !== undefined && state.table.enqueuedAt(slot) === id.time && state.laneOf(slot).key.queue === queue;
  const lease = known ? state.leases.get(slot) : undefined;
  const found =
    item.token === undefined
      ? leaseWithoutToken(core, queue, item, id, lease, who)
      : leaseByToken(core, queue, item, item.token, id, lease, who);
  if (found === undefined || "reason" in found) return found;
  return apply(core, turn, found, item);
}

/** undefined: settled before in the same way; the answer may have been lost. */
function leaseByToken(
  core: Endings,
  queue: Queue,
  item: SettleItem,
  token: LeaseToken,
  id: MessageId,
  lease: Lease | undefined,
  who: Settler,
): Lease | Failure | undefined {
  if (
    lease !== undefined &&
    lease.token.high === token.high &&
    lease.token.low === token.low &&
    lease.holder.principal === who.principal
  ) {
    return lease;
  }
  if (core.state.recent.has(token, item.action, id.queueNumber, id.sequence)) return undefined;
  return failure(
    "LEASE_LOST",
    `the lease of message ${item.id} has ended: it expired, was settled, or the message went to another worker; drop the work, the message is not yours any more`,
    { metadata: { queue: queue.name, message_id: item.id } },
  );
}

/** The form of clients that know no tokens: it cannot prove which lease it means, so it holds for Consume only. */
function leaseWithoutToken(
  core: Endings,
  queue: Queue,
  item: SettleItem,
  id: MessageId,
  lease: Lease | undefined,
  who: Settler,
): Lease | Failure {
  if (lease === undefined || lease.holder.principal !== who.principal) return unknownMessage(queue, item);
  const holdsIt = lease.consumer?.connection === who.connection;
  if (!holdsIt && core.formerHolders.has(who.connection, id.queueNumber, id.sequence))
    return unknownMessage(queue, item);
  if (lease.holder.kind !== "consume" || (item.action !== "ack" && item.action !== "nack")) {
    return failure(
      "TOKEN_REQUIRED",
      `message ${item.id} was not leased over Consume; send the lease_token that came with it`,
      { metadata: { queue: queue.name, message_id: item.id } },
    );
  }
  return lease;
}

function apply(core: Endings, turn: Turn, lease: Lease, item: SettleItem): SettleOutcome {
  const { state } = core;
  if (item.action !== "extend") {
    const { slot, token } = lease;
    state.recent.add(token, item.action, state.table.queueNumber(slot), state.table.sequence(slot));
  }
  switch (item.action) {
    case "ack":
      state.endLease(lease);
      remove(state, turn, lease.slot, "ack");
      return undefined;
    case "nack": {
      const { error, delayMs, deadLetter = false } = item;
      endAttempt(core, turn, lease, { by: "nack", error, delayMs, deadLetter });
      return undefined;
    }
    case "release":
      release(core, turn, lease);
      return undefined;
    case "extend": {
      const duration = item.extendMs === 0 ? lease.durationMs : item.extendMs;
      state.deadlines.move(lease, turn.now.mono + duration);
      return turn.now.wall + duration;
    }
  }
}

/** Whether a message of this id can ever have been in the queue: its own, a dead letter, or one that was redriven: after
 * its first queue was deleted, or enqueued to the dead-letter queue itself. */
function couldHold(state: State, queue: Queue, { queueNumber, sequence }: MessageId): boolean {
  if (queueNumber >= state.nextQueueNumber) return false;
  const origin = state.queuesByNumber.get(queueNumber);
  if (origin === undefined) return true;
  const moves = queue.isDeadLetterQueue || origin.isDeadLetterQueue || origin.dead;
  return (origin === queue || moves) && sequence < origin.nextSequence;
}

function unknownMessage(queue: Queue, item: SettleItem): Failure {
  return failure(
    "MESSAGE_NOT_FOUND",
    `message ${JSON.stringify(item.id.slice(0, 64))} of queue "${queue.name}" is unknown or not leased; it was settled already, or its lease has ended and it will be delivered again`,
    { metadata: { queue: queue.name, message_id: item.id.slice(0, 64) } },
  );
}
