// How all that a deleted queue held goes, in slices: the number of the queue is dead with the commit that deleted it, so
// nothing is written for its messages but that their bytes may go.
import { noteGone } from "./ending.ts";
import { none } from "./message-table.ts";
import type { Queue } from "./queue.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Deleted queues whose messages still have to go: one walk over the table for all that died before it began. */
export class DyingQueues {
  readonly #waiting: Queue[] = [];
  #walked: Queue[] = [];
  #row = 0;

  get size(): number {
    return this.#waiting.length + this.#walked.length;
  }

  all(): readonly Queue[] {
    return [...this.#walked, ...this.#waiting];
  }

  add(queue: Queue): void {
    this.#waiting.push(queue);
  }

  /** As much as the turn may; true when some are left. */
  step(state: State, turn: Turn): boolean {
    if (this.#walked.length === 0) {
      if (this.#waiting.length === 0) return false;
      this.#walked = this.#waiting.splice(0);
      this.#row = 0;
    }
    for (const queue of this.#walked) {
      if (!endLeases(state, turn, queue)) return true;
    }
    this.#row = this.#walk(state, turn, this.#row);
    if (this.#row !== none) return true;
    // What a long poll still holds goes when its lease ends.
    for (const { number } of this.#walked) state.queuesByNumber.delete(number);
    this.#walked = [];
    return this.#waiting.length > 0;
  }

  /** The row to go on with, or none at the end. */
  #walk(state: State, turn: Turn, from: number): number {
    const { table } = state;
    let left = turn.limits.rowsPerTurn;
    for (let slot = table.usedFrom(from); slot !== none; slot = table.usedFrom(slot + 1)) {
      if (left === 0 || turn.dropBudget <= 0) return slot;
      left -= 1;
      if (!state.laneOf(slot).key.queue.dead || state.leases.has(slot)) continue;
      turn.dropBudget -= 1;
      state.leaveLists(slot);
      drop(state, turn, slot);
    }
    return none;
  }
}

/** The leases of the queue's consumers end; false: some are left. */
function endLeases(state: State, turn: Turn, queue: Queue): boolean {
  for (const consumer of queue.consumers) {
    while (consumer.firstLease !== undefined && turn.dropBudget > 0) {
      turn.dropBudget -= 1;
      const { slot } = consumer.firstLease;
      state.endLease(consumer.firstLease);
      drop(state, turn, slot);
    }
    if (turn.dropBudget <= 0) return false;
    queue.consumers.delete(consumer);
  }
  return true;
}

/** The message stands in no list and has no lease any more. */
export function drop(state: State, turn: Turn, slot: number): void {
  const { table } = state;
  turn.mutations.push({
    type: "dropped",
    page: table.page(slot),
    record: table.record(slot),
    length: table.length(slot),
    failure: state.laneOf(slot).key.queue.isDeadLetterQueue
      ? { queueNumber: table.queueNumber(slot), sequence: table.sequence(slot) }
      : undefined,
  });
  noteGone(turn, state.removeMessage(slot));
}
