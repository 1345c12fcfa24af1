// A message as operators see it, without leasing it.
import { MessageState } from "./message-table.ts";
import type { State } from "./state.ts";

export type StateName = "ready" | "leased" | "delayed" | "scheduled" | "deciding" | "quarantined";

export interface MessageView {
  /** With the sequence, the message's name: the queue that it was enqueued to. */
  readonly queueNumber: number;
  readonly sequence: number;
  /** From it the shell looks up where the bytes are, before the next turn. */
  readonly slot: number;
  readonly id: string;
  readonly queue: string;
  readonly state: StateName;
  readonly fairnessKey: string;
  readonly weight: number;
  readonly throttleKeys: readonly string[];
  readonly cost: number;
  readonly attempts: number;
  /** Wall clock. */
  readonly enqueuedAt: number;
  /** delayed and scheduled: when it is due, wall clock; 0 otherwise. */
  readonly dueAt: number;
  /** Wall clock; 0 = never. */
  readonly expiresAt: number;
  /** leased: who holds it, and until when (wall clock). */
  readonly lease: { readonly worker: string; readonly expiresAt: number } | undefined;
}

const names: Readonly<Record<number, StateName>> = {
  [MessageState.ready]: "ready",
  [MessageState.leased]: "leased",
  [MessageState.delayed]: "delayed",
  [MessageState.scheduled]: "scheduled",
  [MessageState.deciding]: "deciding",
  [MessageState.quarantined]: "quarantined",
};

/** What converts the core's times into those that people see. */
export interface Times {
  readonly state: State;
  /** Of the turn, monotonic clock. */
  readonly mono: number;
  storedReadyAt(slot: number): number;
  storedExpiresAt(slot: number): number;
  /** Monotonic to wall clock. */
  wallOf(mono: number): number;
}

export function stateName(state: State, slot: number): StateName {
  return names[state.table.state(slot)] as StateName;
}

export function viewOf(times: Times, slot: number): MessageView {
  const { state } = times;
  const { table } = state;
  const lane = state.laneOf(slot);
  const what = stateName(state, slot);
  const lease = state.leases.get(slot);
  return {
    queueNumber: table.queueNumber(slot),
    sequence: table.sequence(slot),
    slot,
    id: state.idOf(slot),
    queue: lane.key.queue.name,
    state: what,
    fairnessKey: lane.key.name,
    weight: lane.key.weight,
    throttleKeys: lane.throttleKeys,
    cost: table.cost(slot),
    attempts: table.attempts(slot),
    enqueuedAt: table.enqueuedAt(slot),
    dueAt: what === "delayed" || what === "scheduled" ? times.storedReadyAt(slot) : 0,
    expiresAt: times.storedExpiresAt(slot),
    lease: lease && { worker: lease.holder.worker, expiresAt: Math.ceil(times.wallOf(lease.deadline)) },
  };
}
