// The ways to call the broker: unary through connect-node, the hot streams by hand, both over the same connection.
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Transport } from "@connectrpc/connect";
import { FilaError } from "../errors.ts";
import { Http2MessageStream, type MessageStream, type StreamEvents } from "./message-stream.ts";
import { Sessions } from "./sessions.ts";

/** The largest answer to a unary call: a lease of many messages. */
const unaryAnswerBytes = 64 << 20;

/** Opens when it is first used, and again after it was lost. */
export class Connection {
  /** For unary calls with generated clients. */
  readonly unary: Transport;
  readonly #sessions: Sessions;
  #closed = false;

  constructor(url: URL) {
    this.#sessions = new Sessions(url);
    this.unary = createConnectTransport({
      baseUrl: url.origin,
      httpVersion: "2",
      sessionManager: this.#sessions,
      // Offered compression would be used by servers that compress, at ten times the cost.
      acceptCompression: [],
      readMaxBytes: unaryAnswerBytes,
    });
  }

  /** Opens a bidirectional stream of `fila.v1.FilaService`. Never throws; failures arrive at `events.closed`. */
  stream(method: "StreamEnqueue" | "StreamLease", events: StreamEvents): MessageStream {
    const opening = this.#sessions.request(
      "POST",
      `/fila.v1.FilaService/${method}`,
      { "content-type": "application/connect+proto", "connect-protocol-version": "1" },
      { endStream: false },
    );
    return new Http2MessageStream(opening, events);
  }

  /** Ends all that is under way; later calls fail with unavailable CLIENT_CLOSED. */
  close(): void {
    this.#closed = true;
    this.#sessions.close();
  }

  /** Throws FilaError unavailable CLIENT_CLOSED after `close`. */
  assertOpen(): void {
    if (this.#closed) throw new FilaError("unavailable", "CLIENT_CLOSED", "this client was closed; connect anew");
  }

  /**
   * What to reject with when a unary call failed. Not for calls that their caller aborted: nobody but the end of the
   * connection cancels the others, which is how Node reports a server that died.
   */
  explain(error: unknown): FilaError {
    const known = FilaError.from(error);
    if (known.code !== "canceled") return known;
    return this.#closed
      ? new FilaError("unavailable", "CLIENT_CLOSED", "the client was closed before the answer came", { cause: error })
      : new FilaError("unavailable", "CONNECTION_LOST", "the connection to the server was lost", { cause: error });
  }
}
