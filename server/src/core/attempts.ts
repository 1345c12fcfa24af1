// The end of an attempt: nack, expiry and a died stream go through one policy. A queue with a hook asks it, and has the
// state deciding for as long as the hook takes:
//   leased -end of attempt-> deciding -decided, or 1 s without an answer-> ready | delayed | dead-lettered
// Without a hook the policy decides within the turn. May never happen: an answer that is applied to another attempt.
import { deadLetter } from "./dead-letters.ts";
import { remove } from "./ending.ts";
import { type Endings, leaveLease } from "./lease-endings.ts";
import type { Lease } from "./lease.ts";
import { invariant } from "./errors.ts";
import { MessageState } from "./message-table.ts";
import { type AttemptEnd, type Decision, type HookAnswer, decide, decisionOf, errorOf } from "./retry-policy.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

/** For how long a hook is waited for. */
export const decisionMs = 1_000;

interface Undecided {
  readonly slot: number;
  readonly end: AttemptEnd;
  readonly attempt: number;
  /** Monotonic clock. */
  readonly deadline: number;
}

/** Messages whose attempt has ended and whose next step is not decided, oldest first. */
export class Undecideds {
  readonly #bySlot = new Map<number, Undecided>();

  get size(): number {
    return this.#bySlot.size;
  }

  get deadline(): number {
    for (const { deadline } of this.#bySlot.values()) return deadline;
    return Infinity;
  }

  add(undecided: Undecided): void {
    this.#bySlot.set(undecided.slot, undecided);
  }

  get(slot: number): Undecided | undefined {
    return this.#bySlot.get(slot);
  }

  endOf(slot: number): AttemptEnd {
    const undecided = this.#bySlot.get(slot);
    invariant(undecided !== undefined, "a message that is deciding is known as undecided");
    return undecided.end;
  }

  delete(slot: number): void {
    this.#bySlot.delete(slot);
  }

  all(): Iterable<Undecided> {
    return this.#bySlot.values();
  }
}

/** The attempt failed, whatever ended it. */
export function endAttempt(core: Endings, turn: Turn, lease: Lease, end: AttemptEnd): void {
  const { state } = core;
  const { table } = state;
  const { slot } = lease;
  const { queue } = state.laneOf(slot).key;
  if (!leaveLease(core, turn, lease)) return;
  const attempts = table.attempts(slot) + 1;
  table.setAttempts(slot, attempts);
  const asks = queue.settings.onFailureScript !== "" && !queue.isDeadLetterQueue;
  const decision = asks
    ? undefined
    : decide(queue.settings, end, attempts, table.sequence(slot), queue.isDeadLetterQueue);
  // One that becomes a dead letter with its first failure takes no room for the time of that.
  if (attempts === 1 && decision?.type !== "dead-letter") table.setFirstFailedAt(slot, turn.now.wall);
  if (decision === undefined) {
    table.setState(slot, MessageState.deciding);
    turn.mutations.push({
      type: "deciding",
      queueNumber: table.queueNumber(slot),
      sequence: table.sequence(slot),
      page: table.page(slot),
      inQueue: queue.number,
      end,
    });
    ask(state, turn, slot, end);
    return;
  }
  apply(core, turn, slot, decision, end, true);
}

/** Puts the question, also once more after a restart. */
export function ask(state: State, turn: Turn, slot: number, end: AttemptEnd): void {
  const { table } = state;
  const lane = state.laneOf(slot);
  const attempt = table.attempts(slot);
  state.undecided.add({ slot, end, attempt, deadline: turn.now.mono + decisionMs });
  turn.effects.push({
    type: "decide",
    queue: lane.key.queue.name,
    id: state.idOf(slot),
    queueNumber: table.queueNumber(slot),
    sequence: table.sequence(slot),
    fairnessKey: lane.key.name,
    throttleKeys: lane.throttleKeys,
    attempt,
    end,
  });
}

/** The hook has answered. */
export function decided(
  core: Endings,
  turn: Turn,
  queueNumber: number,
  sequence: number,
  attempt: number,
  answer: HookAnswer,
): void {
  const slot = core.state.index.get(queueNumber, sequence);
  const undecided = slot === undefined ? undefined : core.state.undecided.get(slot);
  if (slot === undefined || undecided?.attempt !== attempt || core.state.laneOf(slot).key.queue.dead) return;
  core.state.undecided.delete(slot);
  const { settings } = core.state.laneOf(slot).key.queue;
  apply(core, turn, slot, decisionOf(answer, settings, undecided.end, attempt, sequence), undecided.end, false);
}

/** The policy stands in for hooks that do not answer; true when there is more than one turn may decide. */
export function decideOverdue(core: Endings, turn: Turn): boolean {
  const { undecided, table } = core.state;
  for (const { slot, end, attempt, deadline } of undecided.all()) {
    if (deadline > turn.now.mono) return false;
    if (turn.sliceBudget <= 0) return true;
    turn.sliceBudget -= 1;
    undecided.delete(slot);
    const { queue } = core.state.laneOf(slot).key;
    // Ready or not, it goes with its queue.
    if (queue.dead) core.state.makeReady(slot);
    else apply(core, turn, slot, decide(queue.settings, end, attempt, table.sequence(slot), false), end, false);
  }
  return false;
}

/** @param leased the message comes from its lease, and the attempt is not yet written down */
function apply(core: Endings, turn: Turn, slot: number, decision: Decision, end: AttemptEnd, leased: boolean): void {
  const { state } = core;
  const { table } = state;
  if (decision.type === "dead-letter") {
    deadLetter(core, turn, slot, decision.reason, errorOf(end), leased ? end.by : undefined);
    return;
  }
  // It fell due while it was leased.
  const expiresAt = table.expiresAt(slot);
  if (expiresAt !== 0 && expiresAt <= turn.steady) {
    expire(core, turn, slot, leased ? end.by : undefined);
    return;
  }
  state.resumeExpiry(slot);
  const { delayMs } = decision;
  const waiting = delayMs > 0 ? "delayed" : "ready";
  const readyAt = delayMs > 0 ? Math.ceil(turn.now.wall + delayMs) : core.readyClock.readRetry(turn);
  const where = {
    queueNumber: table.queueNumber(slot),
    sequence: table.sequence(slot),
    page: table.page(slot),
    inQueue: state.laneOf(slot).queueNumber,
  };
  if (leased) turn.mutations.push({ type: "returned", ...where, counted: true, readyAt, waiting, by: end.by });
  else turn.mutations.push({ type: "decided", ...where, readyAt, waiting });
  if (delayMs > 0) state.delay(slot, "steady", turn.steady + delayMs);
  else {
    table.setReadyAt(slot, readyAt);
    state.makeReady(slot);
  }
}

/** Its time to live is over; it stands in no list and has no lease. */
export function expire(core: Endings, turn: Turn, slot: number, ended?: AttemptEnd["by"]): void {
  const { queue } = core.state.laneOf(slot).key;
  if (queue.settings.expiredTo === "drop" || queue.isDeadLetterQueue) remove(core.state, turn, slot, "ttl", ended);
  else deadLetter(core, turn, slot, "ttl", "the message's time to live was over before it was acknowledged", ended);
}
