import type { Failure } from "../../core/errors.ts";
import type { Caller } from "../access/caller.ts";

/** One answer that takes long: over when its client is gone, or when the caller may not make the call any more. */
export class StreamAccess {
  /** Why the caller may not make the call any more. */
  refused: Failure | undefined = undefined;
  readonly #ended = new AbortController();
  readonly #release: () => void;

  constructor(caller: Caller, request: object, client: AbortSignal) {
    const end = (): void => this.#ended.abort(client.reason);
    const stopWatching = caller.watch(() => {
      this.refused ??= caller.refusalOf(request);
      if (this.refused !== undefined) end();
    });
    client.addEventListener("abort", end);
    if (client.aborted) end();
    this.#release = () => {
      stopWatching();
      client.removeEventListener("abort", end);
    };
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** To be called when the answer is over, whatever ended it. */
  end(): void {
    this.#release();
    this.#ended.abort();
  }
}
