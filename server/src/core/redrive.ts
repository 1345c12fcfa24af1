// Redrive: dead letters go back to the queue that they came from, to its tail, with their count of attempts at 0 and no
// time to live. Which ones is the caller's choice; those that are leased, or gone by now, are passed over.
import { noteGone } from "./ending.ts";
import type { Endings } from "./lease-endings.ts";
import { MessageState } from "./message-table.ts";
import type { Queue } from "./queue.ts";
import type { Turn } from "./turn.ts";

export interface MessageName {
  readonly queueNumber: number;
  readonly sequence: number;
}

/** How many were moved. */
export function redrive(core: Endings, turn: Turn, from: Queue, to: Queue, names: readonly MessageName[]): number {
  const { state } = core;
  const { table } = state;
  let moved = 0;
  for (const { queueNumber, sequence } of names) {
    const slot = state.index.get(queueNumber, sequence);
    if (slot === undefined) continue;
    const lane = state.laneOf(slot);
    if (lane.key.queue !== from) continue;
    const what = table.state(slot);
    if (what !== MessageState.ready && what !== MessageState.delayed && what !== MessageState.scheduled) continue;
    state.leaveLists(slot);
    const isNew = !to.keys.has(lane.key.name);
    const key = state.keyOf(to, lane.key.name);
    const weight = lane.key.ownWeight;
    const target = state.laneFor(key, lane.throttleKeys);
    noteGone(turn, state.moveMessage(slot, target));
    if (isNew && weight !== key.ownWeight) {
      state.setOwnWeight(key, weight);
      turn.mutations.push({ type: "weighed", queueNumber: to.number, fairnessKey: key.name, weight });
    }
    table.setAttempts(slot, 0);
    table.setFirstFailedAt(slot, 0);
    table.setReadyAt(slot, core.readyClock.readRetry(turn));
    state.setExpiry(slot, 0);
    turn.mutations.push({
      type: "moved",
      queueNumber,
      sequence,
      page: table.page(slot),
      inQueue: from.number,
      lane: target,
      readyAt: table.readyAt(slot),
      expiresAt: 0,
      attempts: 0,
      failure: undefined,
      quarantined: false,
      ended: undefined,
    });
    state.makeReady(slot);
    moved += 1;
  }
  return moved;
}
