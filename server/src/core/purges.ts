// Purges: everything that waits in a queue goes, in slices, so that other queues are served meanwhile. What is enqueued
// after a purge began stays; dead letters that arrive while one runs may go with the others. Leased messages stay. The
// answer comes when the last message is gone: a crash before it leaves the rest of them in the queue.
import { purge } from "./ending.ts";
import { unknownQueue } from "./failures.ts";
import { none } from "./message-table.ts";
import type { Queue } from "./queue.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

interface Running {
  readonly queue: Queue;
  /** Those of the queue itself that were enqueued later stay. */
  readonly before: number;
  readonly request: number;
  row: number;
  removed: number;
}

export class Purges {
  readonly #running: Running[] = [];

  get size(): number {
    return this.#running.length;
  }

  add(queue: Queue, request: number): void {
    this.#running.push({ queue, before: queue.nextSequence, request, row: 0, removed: 0 });
  }

  /** One slice of the oldest. */
  step(state: State, turn: Turn): void {
    const running = this.#running[0];
    if (running === undefined) return;
    const { queue, request } = running;
    if (queue.dead) {
      turn.effects.push({ type: "failed", request, failure: unknownQueue(queue.name) });
      this.#running.shift();
    } else if (this.#walk(state, turn, running)) {
      turn.effects.push({ type: "purged", request, messages: running.removed });
      this.#running.shift();
    }
  }

  /** true: at the end of the table. */
  #walk(state: State, turn: Turn, running: Running): boolean {
    const { table } = state;
    const { queue } = running;
    let left = turn.limits.rowsPerTurn;
    for (let slot = table.usedFrom(running.row); slot !== none; slot = table.usedFrom(slot + 1)) {
      if (left === 0 || turn.dropBudget <= 0) {
        running.row = slot;
        return false;
      }
      left -= 1;
      if (state.laneOf(slot).key.queue !== queue || state.leases.has(slot)) continue;
      if (table.queueNumber(slot) === queue.number && table.sequence(slot) >= running.before) continue;
      turn.dropBudget -= 1;
      running.removed += 1;
      state.leaveLists(slot);
      purge(state, turn, slot);
    }
    return true;
  }
}
