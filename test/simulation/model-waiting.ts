// What time alone does: delays end, times come, times to live run out, hooks have had their second.
import { expect } from "./failure.ts";
import { checkAsked, checkAttemptEnded, checkVerdict } from "./model-attempts.ts";
import { noteLoss } from "./model-endings.ts";
import { checkExpired } from "./model-moves.ts";
import { verdictOf } from "./model-policy.ts";
import type { Model } from "./model.ts";
import type { ModelLease, ModelMessage } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

/** With the first turn after a restart all are asked about again. */
export function checkAskedAgain(model: Model, reader: TurnReader): void {
  let due = 0;
  for (const { deciding } of model.deciding) if (deciding?.deadline === Infinity) due += 1;
  for (; due > 0; due -= 1) {
    const next = reader.peekQuestion();
    const message = next === undefined ? undefined : model.find(next.queueNumber, next.sequence);
    const again = message?.deciding?.deadline === Infinity;
    expect(message !== undefined && again, () => `${due} questions are not put again after the restart`);
    checkAsked(reader, message);
    model.coverage.askedAgain += 1;
  }
}

/** Reads what the turn does without a command: leases, questions and times to live that are over. */
export function checkTimes(model: Model, reader: TurnReader): void {
  for (;;) {
    const next = reader.peekNamed();
    if (next === undefined || next.type === "leased") break;
    const message = model.find(next.queueNumber, next.sequence);
    expect(message !== undefined, () => `${next.type} ${next.queueNumber}:${next.sequence}, which is not there`);
    if (message.lease !== undefined) checkLeaseOver(model, reader, message.lease);
    else if (message.deciding !== undefined) checkOverdue(model, reader, message);
    else {
      model.leaveLists(message);
      checkExpired(model, reader, message);
    }
  }
  checkNothingOver(model, reader);
  wake(model, reader);
}

function checkLeaseOver(model: Model, reader: TurnReader, lease: ModelLease): void {
  const { message, deadline } = lease;
  const { now, expire } = reader.turn;
  const givenUp = lease.orphan && now.mono >= model.orphanDeadline;
  expect(
    expire && (deadline <= now.mono || givenUp),
    () => `the lease of ${message.name} ended ${deadline - now.mono} ms early`,
  );
  noteLoss(reader, lease);
  model.endLease(lease, true);
  model.coverage.expiries += 1;
  checkAttemptEnded(model, reader, message, { by: deadline <= now.mono ? "expiry" : "dead-stream" });
}

function checkOverdue(model: Model, reader: TurnReader, message: ModelMessage): void {
  const { end, attempt, deadline } = message.deciding as NonNullable<ModelMessage["deciding"]>;
  const { now, expire } = reader.turn;
  const late = expire && deadline <= now.mono;
  expect(late, () => `the policy stood in for the hook of ${message.name} ${deadline - now.mono} ms early`);
  model.leaveLists(message);
  model.coverage.decisionsOverdue += 1;
  checkVerdict(model, reader, message, verdictOf(message.queue.settings, end, attempt, false), end, false);
}

/** Once there is nothing more to do, nothing that is over is there. */
function checkNothingOver(model: Model, reader: TurnReader): void {
  const { now, expire, more } = reader.turn;
  if (more) return;
  const steady = model.steady(now);
  for (const message of model.mortal) {
    const away = message.lease !== undefined || message.deciding !== undefined;
    expect(away || !message.isOver(steady), () => `${message.name} outlives its time to live`);
  }
  if (!expire) return;
  for (const { deciding, name } of model.deciding) {
    expect((deciding?.deadline ?? 0) > now.mono, () => `the hook of ${name} is waited for too long`);
  }
  const givenUp = now.mono >= model.orphanDeadline;
  for (const lease of model.leases) {
    const { message } = lease;
    const over = lease.deadline <= now.mono || (lease.orphan && givenUp);
    if (over && message.queue.dead) model.leases.delete(lease);
    else expect(!over, () => `the lease of ${message.name} should have ended`);
  }
  if (givenUp) model.orphanDeadline = Infinity;
}

/** Messages whose time has come are ready; while there is more to do, each of them may be. */
function wake(model: Model, reader: TurnReader): void {
  const { now, more } = reader.turn;
  const steady = model.steady(now);
  const due: (readonly [message: ModelMessage, late: number])[] = [];
  let certain = false;
  for (const message of model.waiting) {
    const { waits, woken } = message;
    const late = waits === undefined ? -1 : (waits.clock === "steady" ? steady : now.wall) - waits.at;
    if (late < 0) continue;
    due.push([message, late]);
    certain ||= woken === "no" && !more;
  }
  if (due.length === 0) return;
  const placeOf = model.clock.woken(reader.turn, certain);
  for (const [message, late] of due) {
    const { low, high } = placeOf(late);
    const { place } = message;
    const maybe = message.woken === "maybe";
    message.place = maybe ? { low: Math.min(low, place.low), high: Math.max(high, place.high) } : { low, high };
    message.woken = "maybe";
    if (!more) wakeNow(model, message);
  }
}

/** It is ready: it must be by now, or it is just being delivered. */
export function wakeNow(model: Model, message: ModelMessage): void {
  model.waiting.delete(message);
  message.woken = "yes";
  model.makeReady(message);
}

/** How long until the first message that waits is due; Infinity: none waits. */
export function nextDue(model: Model, now: { readonly mono: number; readonly wall: number }): number {
  let next = Infinity;
  for (const { waits } of model.waiting) {
    if (waits === undefined) continue;
    next = Math.min(next, waits.at - (waits.clock === "steady" ? model.steady(now) : now.wall));
  }
  return next;
}
