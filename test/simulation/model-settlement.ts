// Who may settle what: the fences of scheduling.md.
import type { Command, SettleItem } from "../../server/src/core/commands.ts";
import type { SettleOutcome } from "../../server/src/core/effects.ts";
import type { Reason } from "../../server/src/core/errors.ts";
import { parseMessageId } from "../../server/src/core/message-id.ts";
import { expect } from "./failure.ts";
import { checkAttemptEnded, checkReleased } from "./model-attempts.ts";
import { checkRemoved } from "./model-moves.ts";
import type { Model } from "./model.ts";
import { type ModelLease, type ModelQueue, tokenNumber } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

type Settle = Extract<Command, { type: "settle" }>;

/** done: the lease is settled by this item. repeated: it was so before; whether that is still known is open. */
type Verdict =
  | { readonly what: "done"; readonly lease: ModelLease }
  | { readonly what: "repeated" }
  /** Of an id whose queue was deleted it cannot be told for ever that no message of it is left anywhere. */
  | { readonly what: "refused"; readonly reason: Reason; readonly or?: Reason };

export function checkSettle(model: Model, reader: TurnReader, command: Settle): void {
  const queue = model.queuesByName.get(command.queue);
  if (queue === undefined) {
    expect(reader.effect("failed").failure.reason === "QUEUE_NOT_FOUND", () => "settled in no queue");
    return;
  }
  const { outcomes } = reader.effect("settled");
  expect(outcomes.length === command.items.length, () => "not one outcome per item");
  for (const at of orderOf(command.items)) {
    const item = command.items[at] as SettleItem;
    const verdict = judge(model, queue, item, command);
    checkOutcome(verdict, item, outcomes[at]);
    if (verdict.what === "done") carryOut(model, reader, item, verdict.lease, outcomes[at]);
  }
}

/** A run of releases is done from its end, which is part of what the core promises of the order. */
function orderOf(items: readonly SettleItem[]): number[] {
  const order: number[] = [];
  for (let from = 0; from < items.length;) {
    let to = from + 1;
    if (items[from]?.action === "release") while (items[to]?.action === "release") to += 1;
    for (let at = to - 1; at >= from; at -= 1) order.push(at);
    from = to;
  }
  return order;
}

function judge(model: Model, queue: ModelQueue, item: SettleItem, who: Settle): Verdict {
  const unknown: Verdict = { what: "refused", reason: "MESSAGE_NOT_FOUND" };
  const id = parseMessageId(item.id);
  if (id === undefined || id.queueNumber >= model.nextQueueNumber) return unknown;
  const origin = model.queuesByNumber.get(id.queueNumber);
  // Only dead letters, and those that were redriven, are in a queue that they were not enqueued to.
  const couldBe = origin === queue || queue.isDeadLetterQueue || origin?.isDeadLetterQueue === true;
  if (origin !== undefined && !(couldBe && id.sequence < origin.nextSequence)) return unknown;
  const message = model.find(id.queueNumber, id.sequence);
  const lease = message?.queue === queue ? message.lease : undefined;
  const own = lease !== undefined && lease.principal === who.principal;
  const { token } = item;
  if (token !== undefined) {
    if (own && lease.token.high === token.high && lease.token.low === token.low) return { what: "done", lease };
    const before = model.everLeased.get(tokenNumber(token));
    const same = before?.message.origin === id.queueNumber && before.message.sequence === id.sequence;
    if (same && before.settledBy === item.action) return { what: "repeated" };
    const reason: Reason = "LEASE_LOST";
    return origin === undefined ? { what: "refused", reason, or: "MESSAGE_NOT_FOUND" } : { what: "refused", reason };
  }
  if (!own) return unknown;
  const holds = lease.consumer?.connection === who.connection;
  const held = model.formerHolders.get(who.connection)?.has(lease.message) === true;
  if (held && !holds) return unknown;
  const allowed = lease.kind === "consume" && (item.action === "ack" || item.action === "nack");
  return allowed ? { what: "done", lease } : { what: "refused", reason: "TOKEN_REQUIRED" };
}

function checkOutcome(verdict: Verdict, item: SettleItem, outcome: SettleOutcome): void {
  const answered = typeof outcome === "object" ? outcome.reason : "OK";
  const what = (): string => `${item.action} of ${item.id} was answered ${answered}; ${verdict.what} was due`;
  if (verdict.what === "done") expect(answered === "OK", what);
  else if (verdict.what === "refused") expect(answered === verdict.reason || answered === verdict.or, what);
  // The message may have been of a queue that is deleted.
  else expect(answered === "OK" || answered === "LEASE_LOST" || answered === "MESSAGE_NOT_FOUND", what);
}

function carryOut(model: Model, reader: TurnReader, item: SettleItem, lease: ModelLease, outcome: SettleOutcome): void {
  const { message } = lease;
  const { mono, wall } = reader.turn.now;
  if (item.action === "extend") {
    const duration = item.extendMs === 0 ? lease.durationMs : item.extendMs;
    lease.deadline = mono + duration;
    expect(outcome === wall + duration, () => "an extension shows another end");
    return;
  }
  lease.settledBy = item.action;
  if (item.action === "ack") {
    if (message.queue.isDeadLetterQueue) model.coverage.dlqAcks += 1;
    model.endLease(lease, false);
    checkRemoved(model, reader, message, "ack");
    return;
  }
  model.endLease(lease, true);
  if (item.action === "release") {
    checkReleased(model, reader, message);
    return;
  }
  const { error, delayMs, deadLetter = false } = item;
  checkAttemptEnded(model, reader, message, { by: "nack", error, delayMs, deadLetter });
}
