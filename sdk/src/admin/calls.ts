// How admin calls are made: each bounded in time, reading made again when it was interrupted.
import { createClient, type CallOptions, type Client } from "@connectrpc/connect";
import { rejection } from "../errors.ts";
import { FilaAdmin } from "../gen/index.ts";
import type { Connection } from "../transport/connection.ts";
import { retrying } from "../transport/retry.ts";

type FilaAdminClient = Client<typeof FilaAdmin>;
type Call<T> = (client: FilaAdminClient, options: CallOptions) => Promise<T>;

export class AdminCalls {
  readonly connection: Connection;
  readonly #client: FilaAdminClient;
  readonly #timeoutMs: number;

  /** `timeoutMs` bounds each call but streams. */
  constructor(connection: Connection, timeoutMs: number) {
    this.connection = connection;
    this.#client = createClient(FilaAdmin, connection.unary);
    this.#timeoutMs = timeoutMs;
  }

  /** What changes nothing may be asked again. */
  read<T>(call: Call<T>): Promise<T> {
    return retrying(this.connection, this.#timeoutMs, (timeoutMs) => call(this.#client, { timeoutMs }));
  }

  /** Made once: after an interruption it may be done or not. It may take `atLeastMs`, whatever the time limit of calls. */
  async write<T>(call: Call<T>, atLeastMs = 0): Promise<T> {
    try {
      this.connection.assertOpen();
      return await call(this.#client, { timeoutMs: Math.max(atLeastMs, this.#timeoutMs) });
    } catch (error) {
      throw this.connection.explain(error);
    }
  }

  /** All pages of a list; `ask` gets the cursor of each. */
  async *pages<Page extends { readonly nextCursor: string }>(
    ask: (client: FilaAdminClient, cursor: string, options: CallOptions) => Promise<Page>,
  ): AsyncGenerator<Page, void, undefined> {
    let cursor = "";
    do {
      const page = await this.read((client, options) => ask(client, cursor, options));
      yield page;
      cursor = page.nextCursor;
    } while (cursor !== "");
  }

  /**
   * The responses of a stream, which has no time limit. Throws the reason of `signal` when that aborted, FilaError for
   * everything else. Whoever stops reading ends the call.
   */
  async *stream<T>(
    open: (client: FilaAdminClient, options: CallOptions) => AsyncIterable<T>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<T, void, undefined> {
    const ended = new AbortController();
    const end = (): void => ended.abort();
    signal?.addEventListener("abort", end, { once: true });
    try {
      signal?.throwIfAborted();
      this.connection.assertOpen();
      yield* open(this.#client, { signal: ended.signal });
    } catch (error) {
      throw rejection(signal?.aborted === true ? error : this.connection.explain(error), signal);
    } finally {
      signal?.removeEventListener("abort", end);
      // connect-node leaves a stream open that is no longer read.
      end();
    }
  }
}
