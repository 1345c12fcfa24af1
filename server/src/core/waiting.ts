// What time alone does to messages: delays end, times come, times to live run out.
import { expire } from "./attempts.ts";
import type { Endings } from "./lease-endings.ts";
import { MessageState, none } from "./message-table.ts";
import type { SlotHeap } from "./slot-heap.ts";
import type { Turn } from "./turn.ts";

/** Messages that are due become ready; true when there are more than one turn may wake. */
export function wakeDue(core: Endings, turn: Turn): boolean {
  const { delayed, scheduled } = core.state;
  return wake(core, turn, delayed, turn.steady) || wake(core, turn, scheduled, turn.now.wall);
}

function wake(core: Endings, turn: Turn, heap: SlotHeap, now: number): boolean {
  const { state, readyClock } = core;
  const { table } = state;
  for (let slot = heap.first; slot !== none; slot = heap.first) {
    const due = table.readyAt(slot);
    if (due > now) return false;
    if (turn.sliceBudget <= 0) return true;
    turn.sliceBudget -= 1;
    heap.remove(slot);
    // Of a deleted queue it needs no place until it goes.
    const { dead } = state.laneOf(slot).key.queue;
    table.setReadyAt(slot, dead ? 0 : readyClock.readDue(turn, now - due));
    state.makeReady(slot);
  }
  return false;
}

/** Messages whose time to live is over go; true when there are more than one turn may end. */
export function expireMessages(core: Endings, turn: Turn): boolean {
  const { state } = core;
  const { table, expiries } = state;
  for (let slot = expiries.first; slot !== none; slot = expiries.first) {
    if (table.expiresAt(slot) > turn.steady) return false;
    if (turn.sliceBudget <= 0) return true;
    turn.sliceBudget -= 1;
    expiries.remove(slot);
    table.setExpiryPlace(slot, none);
    const what = table.state(slot);
    // A worker that has it may still ack it; else it goes when its lease ends, or when the hook has answered.
    if (what === MessageState.leased || what === MessageState.deciding) continue;
    // It goes with its queue.
    if (state.laneOf(slot).key.queue.dead) continue;
    state.leaveLists(slot);
    expire(core, turn, slot);
  }
  return false;
}
