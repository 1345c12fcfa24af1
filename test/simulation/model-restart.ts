// What a restart changes: consumers are gone, leases stand and start anew, questions are to be put again. And times: what
// the store says of them is the wall clock's time, which now stands for the steady one. Somebody may have set it since, so
//  - a message that waits is due when the wall clock shows what the store says; one that was ready may wait once more, when
//    it had waited before, nothing was written about it since, and the wall clock is behind that time now;
//  - a page that was written after the clock was set says another time than the event before it.
// Which of them holds the model cannot know: it takes what the rebuilt core has, as long as it is one of them.
import type { Core } from "../../server/src/core/core.ts";
import { MessageState } from "../../server/src/core/message-table.ts";
import { adoptionMs } from "../../server/src/core/orphans.ts";
import type { Now } from "../../server/src/core/turn.ts";
import { expect } from "./failure.ts";
import { contains } from "./model-clock.ts";
import type { Model } from "./model.ts";
import type { ModelMessage } from "./model-state.ts";

/** The process died and has recovered what was durable. */
export function restart(model: Model, core: Core, now: Now): void {
  model.started(now);
  model.throttles.restarted(now.mono);
  model.serial += 1;
  model.purges = [];
  model.maxIdempotencyKeys = core.limits.maxIdempotencyKeys;
  for (const queue of model.queuesByNumber.values()) queue.uses.restarted();
  model.consumers.clear();
  model.formerHolders.clear();
  restartLeases(model, now);
  for (const { deciding } of model.deciding) if (deciding !== undefined) deciding.deadline = Infinity;
  for (const queue of model.queuesByNumber.values()) {
    queue.consumers.clear();
    queue.shares.restarted();
    queue.heldBack = true;
  }
  let [least, most] = [0, 0];
  for (const message of model.messages.values()) {
    most = Math.max(most, message.place.high, message.waits?.high ?? 0);
    adopt(model, core, message, now);
    if (message.failure !== undefined) model.coverage.movesRecovered += 1;
    const placed = message.deciding === undefined && !message.quarantined && !model.waiting.has(message);
    if (placed) least = Math.max(least, message.place.low);
  }
  model.clock.restarted(core.readyClock.read(0), least, most);
}

function restartLeases(model: Model, now: Now): void {
  model.orphanDeadline = Infinity;
  for (const lease of model.leases) {
    lease.consumer = undefined;
    // Written to a transport that is gone: whoever takes it up has it as if written.
    lease.ordinal = 0;
    lease.deadline = now.mono + lease.durationMs;
    lease.orphan = lease.kind !== "poll";
    // Of a deleted queue nothing is left.
    if (lease.message.queue.dead) model.leases.delete(lease);
    else if (lease.orphan) model.orphanDeadline = now.mono + adoptionMs;
  }
}

function adopt(model: Model, core: Core, message: ModelMessage, now: Now): void {
  const { table, index } = core.state;
  const slot = index.get(message.origin, message.sequence);
  expect(slot !== undefined, () => `${message.name} is lost`);
  const { expiry } = message;
  const expiresAt = table.expiresAt(slot);
  const kept = expiry === undefined ? expiresAt === 0 : contains(expiry, expiresAt);
  expect(kept, () => `${message.name} lives until ${expiresAt}, not until ${expiry?.low} to ${expiry?.high}`);
  expiry?.restarted(expiresAt);
  if (message.deciding !== undefined || message.quarantined) return;
  const readyAt = table.readyAt(slot);
  if (message.lease !== undefined) {
    const known = contains(message.place, readyAt) || (message.waits !== undefined && contains(message.waits, readyAt));
    expect(known, () => `${message.name}, which is leased, is at ${readyAt}, not at ${message.place.low}`);
    message.place = { low: readyAt, high: readyAt };
    return;
  }
  adoptWaiting(model, message, table.state(slot), readyAt, now);
}

function adoptWaiting(model: Model, message: ModelMessage, what: number, readyAt: number, { wall }: Now): void {
  const { waits, woken, place } = message;
  const stored = waits !== undefined && contains(waits, readyAt);
  const said = (): string =>
    `${waits?.clock} ${waits?.low} to ${waits?.high}, ${woken} at ${place.low} to ${place.high}`;
  if (what === MessageState.ready) {
    const wasReady = woken !== "no" && contains(place, readyAt);
    const isDue = stored && readyAt <= wall;
    expect(wasReady || isDue, () => `${message.name} is ready at ${readyAt}, wall clock ${wall}: ${said()}`);
    if (model.waiting.delete(message)) message.woken = "yes";
    else model.takeReady(message);
    message.place = { low: readyAt, high: readyAt };
    model.makeReady(message);
    // A page said that it is ready.
    if (!stored) message.waits = undefined;
    else waits.restarted(readyAt);
    return;
  }
  const waiting = waits?.clock === "steady" ? MessageState.delayed : MessageState.scheduled;
  expect(
    stored && what === waiting && readyAt > wall,
    () => `${message.name} is in state ${what} until ${readyAt}, wall clock ${wall}: ${said()}`,
  );
  if (woken === "yes") {
    model.coverage.waitingAgain += 1;
    model.takeReady(message);
  }
  waits.restarted(readyAt);
  message.woken = "no";
  model.waiting.add(message);
}
