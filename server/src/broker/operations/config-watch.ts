// Watching the configuration. A watch holds nothing but the revision that it has told: when there is a newer one, it
// reads the changes from the core as fast as its reader takes them. So a slow reader costs no memory, and none is missed.
//
// States: reading -told the last change-> resting -a new revision-> reading; from each of them ended (the signal aborts,
// the broker drains, the store is reopened, or the revision asked for is not kept).
import { type Failure, failure } from "../../core/errors.ts";
import type { Outcome } from "../contract.ts";
import type { ConfigBatch } from "../operations-contract.ts";
import { type OperationsHost, ask } from "./host.ts";

/** Changes that are read at once. */
const changesPerBatch = 1_000;

export class ConfigWatches {
  readonly #host: OperationsHost;
  /** Of the last change of the configuration, or of the broker's state. */
  #news = 0;
  readonly #waiting = new Set<() => void>();

  constructor(host: OperationsHost) {
    this.#host = host;
    host.onStateChange(() => this.wake());
  }

  /** The configuration has a new revision. */
  wake(): void {
    this.#news += 1;
    for (const wake of this.#waiting) wake();
  }

  async *watch(after: number, signal: AbortSignal): AsyncGenerator<Outcome<ConfigBatch>> {
    let revision = after;
    let toldCaughtUp = false;
    while (!signal.aborted) {
      const { state } = this.#host;
      if (state === "draining" || state === "stopped") {
        yield { ok: false, failure: draining() };
        return;
      }
      const news = this.#news;
      const from = revision;
      const read = await ask(this.#host, "config-changes", (request) => ({
        type: "config-changes",
        request,
        after: from,
        limit: changesPerBatch,
      }));
      if (!read.ok) {
        yield read;
        return;
      }
      const { changes } = read.value;
      revision = changes.at(-1)?.revision ?? revision;
      const caughtUp = changes.length < changesPerBatch;
      // That it has caught up is told also when there is nothing else to tell.
      if (changes.length > 0 || !toldCaughtUp) yield { ok: true, value: { changes, revision, caughtUp } };
      toldCaughtUp = caughtUp;
      if (caughtUp) await this.#newsAfter(news, signal);
    }
  }

  async #newsAfter(news: number, signal: AbortSignal): Promise<void> {
    if (this.#news !== news || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    this.#waiting.add(wake);
    signal.addEventListener("abort", wake);
    await promise;
    signal.removeEventListener("abort", wake);
    this.#waiting.delete(wake);
  }
}

function draining(): Failure {
  return failure("DRAINING", "the broker is stopping; watch again from the revision that you were told last", {
    retryAfterMs: 1_000,
  });
}
