// Looking for messages without leasing them: a walk over the table in slices, so that nobody waits for it. Each slice
// gives the first matches beyond the cursor, in the order of their names' enqueue times; the caller puts slices together.
import { none } from "./message-table.ts";
import { type MessageView, type StateName, type Times, stateName, viewOf } from "./message-view.ts";
import type { Queue } from "./queue.ts";
import type { MessageName } from "./redrive.ts";

/** What is absent does not matter. Times are those of the wall clock. */
export interface MessageFilter {
  readonly states?: readonly StateName[] | undefined;
  readonly fairnessKey?: string | undefined;
  readonly enqueuedAfter?: number | undefined;
  readonly enqueuedBefore?: number | undefined;
  /** Of what was enqueued to these queues, only what has a lower sequence: whatever the clocks show, nothing newer. */
  readonly below?: readonly MessageName[] | undefined;
}

export function isBelow({ queueNumber, sequence }: MessageName, below: MessageFilter["below"]): boolean {
  return below?.every((each) => each.queueNumber !== queueNumber || sequence < each.sequence) ?? true;
}

/** The place of a message in the order of a scan. */
export interface ScanPlace {
  /** Wall clock. */
  readonly enqueuedAt: number;
  readonly queueNumber: number;
  readonly sequence: number;
}

export interface ScanSlice {
  readonly messages: MessageView[];
  /** Where the next slice begins; undefined: this was the last one. */
  readonly row: number | undefined;
}

export function comparePlaces(a: ScanPlace, b: ScanPlace): number {
  return a.enqueuedAt - b.enqueuedAt || a.queueNumber - b.queueNumber || a.sequence - b.sequence;
}

/**
 * @param limit messages of one slice at most
 * @param rows of the table that one slice looks at
 */
export function scan(
  times: Times,
  queue: Queue,
  filter: MessageFilter,
  after: ScanPlace | undefined,
  limit: number,
  row: number,
  rows: number,
): ScanSlice {
  const { state } = times;
  const { table } = state;
  let found: (ScanPlace & { readonly slot: number })[] = [];
  /** Beyond it nothing is of interest any more. */
  let bar: ScanPlace | undefined;
  let next: number | undefined;
  let left = rows;
  for (let slot = table.usedFrom(row); slot !== none; slot = table.usedFrom(slot + 1)) {
    if (left === 0) {
      next = slot;
      break;
    }
    left -= 1;
    const { key } = state.laneOf(slot);
    if (key.queue !== queue) continue;
    const enqueuedAt = table.enqueuedAt(slot);
    if (enqueuedAt <= (filter.enqueuedAfter ?? -1) || enqueuedAt >= (filter.enqueuedBefore ?? Infinity)) continue;
    if (filter.fairnessKey !== undefined && key.name !== filter.fairnessKey) continue;
    if (filter.states !== undefined && !filter.states.includes(stateName(state, slot))) continue;
    const place = { enqueuedAt, queueNumber: table.queueNumber(slot), sequence: table.sequence(slot), slot };
    if (!isBelow(place, filter.below)) continue;
    if (after !== undefined && comparePlaces(place, after) <= 0) continue;
    if (bar !== undefined && comparePlaces(place, bar) >= 0) continue;
    found.push(place);
    if (found.length < limit * 2) continue;
    found = found.sort(comparePlaces).slice(0, limit);
    bar = found.at(-1);
  }
  const messages = found
    .sort(comparePlaces)
    .slice(0, limit)
    .map(({ slot }) => viewOf(times, slot));
  return { messages, row: next };
}
