// Candidates of a search: the messages that the facts in memory let through, oldest first. The core walks its table in
// slices, one a turn, so that others are served in between; here the slices are put together.
import { parseMessageId } from "../../core/message-id.ts";
import type { MessageView } from "../../core/message-view.ts";
import { type MessageFilter, type ScanPlace, comparePlaces, isBelow } from "../../core/scan.ts";
import type { Outcome } from "../contract.ts";
import type { SearchFilter } from "../operations-contract.ts";
import { type OperationsHost, ask, map } from "./host.ts";

/** The first `limit` candidates beyond a place. Rejects with the signal's reason once it aborts. */
export async function findCandidates(
  host: OperationsHost,
  queue: string,
  filter: SearchFilter,
  after: ScanPlace | undefined,
  limit: number,
  signal?: AbortSignal,
): Promise<Outcome<MessageView[]>> {
  if (filter.ids !== undefined) {
    const found = await byId(host, queue, filter, filter.ids, after);
    return map(found, (views) => views.slice(0, limit));
  }
  // Of the filter, only what the core knows goes to it.
  const { states, fairnessKey, enqueuedAfter, enqueuedBefore, below } = filter;
  const known: MessageFilter = { states, fairnessKey, enqueuedAfter, enqueuedBefore, below };
  let found: MessageView[] = [];
  for (let row: number | undefined = 0; row !== undefined;) {
    signal?.throwIfAborted();
    const from: number = row;
    const slice = await ask(host, "scanned", (request) => ({
      type: "scan",
      request,
      queue,
      filter: known,
      after,
      limit,
      row: from,
    }));
    if (!slice.ok) return slice;
    found = merged(found, slice.value.messages, limit);
    row = slice.value.row;
  }
  return { ok: true, value: found };
}

async function byId(
  host: OperationsHost,
  queue: string,
  filter: SearchFilter,
  ids: readonly string[],
  after: ScanPlace | undefined,
): Promise<Outcome<MessageView[]>> {
  // What is no id names no message.
  const distinct = [...new Set(ids.map((id) => id.toLowerCase()))].filter((id) => parseMessageId(id) !== undefined);
  const found = await ask(host, "scanned", (request) => ({ type: "get-messages", request, queue, ids: distinct }));
  return map(found, ({ messages }) =>
    messages
      .filter((view) => passes(view, filter) && (after === undefined || comparePlaces(view, after) > 0))
      .sort(comparePlaces),
  );
}

/** What the core asks of the messages that it walks over. */
function passes(view: MessageView, filter: MessageFilter): boolean {
  const { states, fairnessKey, enqueuedAfter, enqueuedBefore, below } = filter;
  return (
    isBelow(view, below) &&
    (states === undefined || states.includes(view.state)) &&
    (fairnessKey === undefined || view.fairnessKey === fairnessKey) &&
    view.enqueuedAt > (enqueuedAfter ?? -1) &&
    view.enqueuedAt < (enqueuedBefore ?? Infinity)
  );
}

/** Both in order; the first ones of the two. */
function merged(a: readonly MessageView[], b: readonly MessageView[], limit: number): MessageView[] {
  const both: MessageView[] = [];
  for (let i = 0, j = 0; both.length < limit && (i < a.length || j < b.length);) {
    const takeA = j === b.length || (i < a.length && comparePlaces(a[i]!, b[j]!) < 0);
    both.push(takeA ? a[i++]! : b[j++]!);
  }
  return both;
}
