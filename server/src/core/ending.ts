// How a message leaves its queue for good.
import { type Left, type State } from "./state.ts";
import type { AttemptEnd } from "./retry-policy.ts";
import type { RemovedMutation } from "./mutations.ts";
import type { Turn } from "./turn.ts";

/** The message stands in no list and has no lease any more. */
export function remove(
  state: State,
  turn: Turn,
  slot: number,
  by: RemovedMutation["by"],
  ended?: AttemptEnd["by"],
): void {
  const { table } = state;
  turn.mutations.push({
    type: "removed",
    by,
    ended,
    queueNumber: table.queueNumber(slot),
    sequence: table.sequence(slot),
    page: table.page(slot),
    inQueue: state.laneOf(slot).queueNumber,
    record: table.record(slot),
    length: table.length(slot),
    hasFailure: state.laneOf(slot).key.queue.isDeadLetterQueue,
  });
  noteLeft(turn, state.removeMessage(slot));
}

/** A key that had a weight of its own loses it with its last message. */
export function noteLeft(turn: Turn, { key, keyGone }: Left): void {
  if (keyGone && key.weighed) {
    turn.mutations.push({ type: "forgotten", queueNumber: key.queue.number, fairnessKey: key.name });
  }
}
