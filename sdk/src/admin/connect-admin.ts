// The admin client alone, for programs that neither produce nor consume.
import { milliseconds, type Duration } from "../duration.ts";
import { Connection } from "../transport/connection.ts";
import { serverUrl } from "../transport/server-url.ts";
import { Admin } from "./admin.ts";

export interface ConnectAdminOptions {
  /** Bounds each call but `redrive` and `watchConfig`. Default: 30 s. */
  readonly requestTimeout?: Duration | undefined;
}

/**
 * An admin client of the broker at `url`, which is written as for `connect`. Nothing is opened before the first call, and a
 * lost connection is opened anew by the next one. Close it, or declare it with `await using`.
 * Throws FilaError invalid_argument INVALID_URL or INVALID_DURATION.
 */
export function connectAdmin(url: string, { requestTimeout = "30s" }: ConnectAdminOptions = {}): AdminConnection {
  return new AdminConnection(new Connection(serverUrl(url)), milliseconds(requestTimeout, "requestTimeout"));
}

/** An Admin with a connection of its own. */
export class AdminConnection extends Admin {
  readonly #connection: Connection;

  /** Use `connectAdmin`. */
  constructor(connection: Connection, timeoutMs: number) {
    super(connection, timeoutMs);
    this.#connection = connection;
  }

  /** Ends what is under way; later calls reject with unavailable CLIENT_CLOSED. */
  close(): Promise<void> {
    this.#connection.close();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
