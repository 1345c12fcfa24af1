// Pages of the messages of a queue.
import type { MessageView } from "../../core/message-view.ts";
import type { Outcome } from "../contract.ts";
import type { ListQuery, MessagePage, StoredMessage } from "../operations-contract.ts";
import { findCandidates } from "./candidates.ts";
import type { OperationsHost } from "./host.ts";
import { Sieve, looksDeep, withinReason } from "./sieve.ts";

/** Bytes of one page, about; below the 4 MiB that many gRPC clients take at most. */
export const pageBytesAtMost = 4_000_000;
/** Messages whose bytes or failures a filter looks at for one page; then the cursor goes on. */
export const examinedAtMost = 10_000;
/** Bytes that a filter reads for one page; then the cursor goes on. */
export const readAtMost = 16 * 1_048_576;
/** What a message takes on the wire beside its body, keys and error, about. */
const overheadBytes = 400;

export async function listMessages(
  host: OperationsHost,
  { queue, filter, after, limit, withBodies }: ListQuery,
  signal?: AbortSignal,
): Promise<Outcome<MessagePage>> {
  const deep = looksDeep(filter);
  const most = deep ? examinedAtMost : limit;
  // One more tells whether there are more.
  const found = await findCandidates(host, queue, withinReason(queue, filter), after, most + 1, signal);
  if (!found.ok) return found;
  const candidates = found.value;
  const sieve = new Sieve(host, queue, filter, { bodies: withBodies, failures: true });
  const page = new Page(limit, withBodies);
  let read = 0;
  for (let at = 0; at < Math.min(candidates.length, most);) {
    signal?.throwIfAborted();
    const batch = sieve.batch(candidates, at, most - at);
    const passed = await sieve.pass(batch);
    if (!passed.ok) return passed;
    const full = page.add(passed.value);
    // Beyond the last message of a full page nothing was looked at, as far as the caller knows.
    if (full) return { ok: true, value: page.upTo(candidates.at(-1)) };
    at += batch.views.length;
    read += batch.bytes;
    const last = batch.views.at(-1);
    if (at < candidates.length && (at >= most || (deep && read >= readAtMost))) {
      return { ok: true, value: { messages: page.messages, next: last } };
    }
  }
  return { ok: true, value: { messages: page.messages, next: undefined } };
}

class Page {
  readonly messages: StoredMessage[] = [];
  readonly #limit: number;
  readonly #withBodies: boolean;
  #bytes = 0;

  constructor(limit: number, withBodies: boolean) {
    this.#limit = limit;
    this.#withBodies = withBodies;
  }

  /** true: the page takes no more. */
  add(messages: readonly StoredMessage[]): boolean {
    for (const message of messages) {
      const shown = this.#withBodies ? message : { ...message, body: undefined };
      const bytes = bytesOf(shown);
      if (this.messages.length > 0 && this.#bytes + bytes > pageBytesAtMost) return true;
      this.messages.push(shown);
      this.#bytes += bytes;
      if (this.messages.length === this.#limit) return true;
    }
    return false;
  }

  upTo(lastCandidate: MessageView | undefined): MessagePage {
    const last = this.messages.at(-1)?.view;
    return { messages: this.messages, next: last === lastCandidate ? undefined : last };
  }
}

function bytesOf({ view, body, failure }: StoredMessage): number {
  // At most three bytes of UTF-8 for each unit of a string.
  let units = view.fairnessKey.length + view.queue.length + (failure?.error.length ?? 0);
  units += failure?.sourceQueue.length ?? 0;
  for (const key of view.throttleKeys) units += key.length;
  return overheadBytes + (body?.length ?? 0) + 3 * units;
}
