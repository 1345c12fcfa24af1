// Who may settle what: the fences of scheduling.md.
import type { Command, SettleItem } from "../../server/src/core/commands.ts";
import type { SettleOutcome } from "../../server/src/core/effects.ts";
import type { Reason } from "../../server/src/core/errors.ts";
import { parseMessageId } from "../../server/src/core/message-id.ts";
import { expect } from "./failure.ts";
import { checkEnded } from "./model-endings.ts";
import type { Model } from "./model.ts";
import { type ModelLease, type ModelQueue, tokenNumber } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

type Settle = Extract<Command, { type: "settle" }>;

/** done: the lease is settled by this item. repeated: it was so before; whether that is still known is open. */
type Verdict =
  | { readonly what: "done"; readonly lease: ModelLease }
  | { readonly what: "repeated" }
  | { readonly what: "refused"; readonly reason: Reason };

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
  const id = parseMessageId(item.id);
  if (id?.queueNumber !== queue.number) return { what: "refused", reason: "MESSAGE_NOT_FOUND" };
  const lease = queue.messages.get(id.sequence)?.lease;
  const own = lease !== undefined && lease.principal === who.principal;
  const { token } = item;
  if (token !== undefined) {
    if (own && lease.token.high === token.high && lease.token.low === token.low) return { what: "done", lease };
    const before = model.everLeased.get(tokenNumber(token));
    const repeated =
      before?.settledBy === item.action && before.message.sequence === id.sequence && before.message.queue === queue;
    return repeated ? { what: "repeated" } : { what: "refused", reason: "LEASE_LOST" };
  }
  if (!own) return { what: "refused", reason: "MESSAGE_NOT_FOUND" };
  const holds = lease.consumer?.connection === who.connection;
  const held = model.formerHolders.get(who.connection)?.has(lease.message) === true;
  if (held && !holds) return { what: "refused", reason: "MESSAGE_NOT_FOUND" };
  const allowed = lease.kind === "consume" && (item.action === "ack" || item.action === "nack");
  return allowed ? { what: "done", lease } : { what: "refused", reason: "TOKEN_REQUIRED" };
}

function checkOutcome(verdict: Verdict, item: SettleItem, outcome: SettleOutcome): void {
  const answered = typeof outcome === "object" ? outcome.reason : "OK";
  const what = (): string => `${item.action} of ${item.id} was answered ${answered}; ${verdict.what} was due`;
  if (verdict.what === "done") expect(answered === "OK", what);
  else if (verdict.what === "refused") expect(answered === verdict.reason, what);
  else expect(answered === "OK" || answered === "LEASE_LOST", what);
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
    const { queueNumber, sequence } = reader.mutation("removed");
    expect(queueNumber === message.queue.number && sequence === message.sequence, () => "another message was removed");
    model.endLease(lease, false);
    if (model.removeMessage(message)) reader.mutation("forgotten");
    return;
  }
  const { sequence, counted, by } = checkEnded(model, reader);
  expect(sequence === message.sequence, () => "another message was given back");
  expect(
    counted === (item.action === "nack") && by === item.action,
    () => `a ${item.action} of ${message.name} counts an attempt: ${counted}, and ended by ${by}`,
  );
}
