// How a message leaves its queue for good.
import type { FairnessKey } from "./fairness-key.ts";
import type { State } from "./state.ts";
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
  noteGone(turn, state.removeMessage(slot));
}

/** The same for a purge, whose messages are noted together where they stand together. */
export function purge(state: State, turn: Turn, slot: number): void {
  const { table } = state;
  const { number: inQueue, isDeadLetterQueue: hasFailure } = state.laneOf(slot).key.queue;
  const queueNumber = table.queueNumber(slot);
  const sequence = table.sequence(slot);
  const page = table.page(slot);
  const record = table.record(slot);
  const length = table.length(slot);
  const before = turn.mutations.at(-1);
  const goesOn =
    before?.type === "purged" &&
    before.last === sequence - 1 &&
    before.record === record &&
    before.page === page &&
    before.queueNumber === queueNumber &&
    before.inQueue === inQueue;
  if (goesOn) {
    before.last = sequence;
    before.length += length;
  } else {
    const last = sequence;
    turn.mutations.push({ type: "purged", queueNumber, sequence, last, page, inQueue, record, length, hasFailure });
  }
  noteGone(turn, state.removeMessage(slot));
}

/** A key that had a weight of its own loses it with its last message. */
export function noteGone(turn: Turn, key: FairnessKey | undefined): void {
  if (key?.weighed === true) {
    turn.mutations.push({ type: "forgotten", queueNumber: key.queue.number, fairnessKey: key.name });
  }
}
