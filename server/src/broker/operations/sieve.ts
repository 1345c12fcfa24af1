// What the facts in memory do not tell of a message: its bytes and what it failed of, read from the store in batches, and
// the part of a filter that asks for them.
import type { MessageView } from "../../core/message-view.ts";
import { isDeadLetterName } from "../../core/queue-settings.ts";
import type { Outcome } from "../contract.ts";
import type { SearchFilter, StoredMessage } from "../operations-contract.ts";
import { readFailures } from "./failure-records.ts";
import { type OperationsHost, reading } from "./host.ts";

/** Messages whose records are read at once. */
const messagesPerBatch = 1_000;
/** Bytes of messages that are read at once (always at least one message). */
const bytesPerBatch = 1_048_576;

/** Whether the filter asks for what stands in the store only. */
export function looksDeep({ reason, errorContains, body }: SearchFilter): boolean {
  return reason !== undefined || errorContains !== undefined || body !== undefined;
}

/** The filter, which matches nothing where it asks for failures of a queue that has none. */
export function withinReason(queue: string, filter: SearchFilter): SearchFilter {
  const asksFailure = filter.reason !== undefined || filter.errorContains !== undefined;
  return asksFailure && !isDeadLetterName(queue) ? { ...filter, ids: [] } : filter;
}

export interface Batch {
  readonly views: readonly MessageView[];
  /** Of their messages; 0 when no bytes are asked for. */
  readonly bytes: number;
}

export class Sieve {
  readonly #host: OperationsHost;
  readonly #filter: SearchFilter;
  readonly #bodies: boolean;
  readonly #failures: boolean;

  /** @param shown whether bodies and failures are wanted beyond what the filter asks for */
  constructor(
    host: OperationsHost,
    queue: string,
    filter: SearchFilter,
    shown: { bodies: boolean; failures: boolean },
  ) {
    const { reason, errorContains, body } = filter;
    const asksFailure = reason !== undefined || errorContains !== undefined;
    this.#host = host;
    this.#filter = filter;
    this.#bodies = shown.bodies || body !== undefined;
    this.#failures = (shown.failures || asksFailure) && isDeadLetterName(queue);
  }

  /** The next views that may be read at once. */
  batch(views: readonly MessageView[], from: number, most = messagesPerBatch): Batch {
    const end = Math.min(views.length, from + Math.min(most, messagesPerBatch));
    if (!this.#bodies) return { views: views.slice(from, end), bytes: 0 };
    const { loader } = this.#host.life;
    let bytes = 0;
    let at = from;
    for (; at < end; at += 1) {
      const length = loader.lengthOf(views[at]!) ?? 0;
      if (at > from && bytes + length > bytesPerBatch) break;
      bytes += length;
    }
    return { views: views.slice(from, at), bytes };
  }

  /** Those of a batch that pass the filter; what is gone by now does not. */
  async pass({ views }: Batch): Promise<Outcome<StoredMessage[]>> {
    const { reason, errorContains, body: wanted } = this.#filter;
    const failures = await readFailures(this.#host, this.#failures ? views : []);
    if (!failures.ok) return failures;
    let messages = views.map((view, at): StoredMessage => {
      return { view, body: undefined, unreadable: view.state === "quarantined", failure: failures.value[at] };
    });
    if (reason !== undefined) messages = messages.filter(({ failure }) => failure?.reason === reason);
    if (errorContains !== undefined) {
      messages = messages.filter(({ failure }) => failure?.error.includes(errorContains) ?? false);
    }
    if (!this.#bodies || messages.length === 0) return { ok: true, value: messages };
    const read = await reading(this.#host, ({ loader }) => loader.bodies(messages.map(({ view }) => view)));
    if (!read.ok) return read;
    const passed = messages.flatMap((message, at): StoredMessage[] => {
      const body = read.value[at]!;
      if (body === "gone") return [];
      if (body === "corrupt") return wanted === undefined ? [{ ...message, unreadable: true }] : [];
      return wanted === undefined || wanted(body) ? [{ ...message, body }] : [];
    });
    return { ok: true, value: passed };
  }
}
