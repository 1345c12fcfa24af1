// One HTTP/2 connection to the broker: unary calls through connect-node, the hot streams by hand over the same one.
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { Transport } from "@connectrpc/connect";
import type { ClientHttp2Stream } from "node:http2";
import { FilaError } from "../errors.ts";
import { Http2MessageStream, type MessageStream, type StreamEvents } from "./message-stream.ts";

/** How long opening a connection may take. */
const connectTimeoutMs = 10_000;
/** How often a connection with open streams is probed, and how long the answer may take. */
const pingIntervalMs = 10_000;
const pingTimeoutMs = 10_000;
/** Flow control: what the server may send on one stream, and on the connection, before we have read it. */
const streamWindowBytes = 1 << 20;
const connectionWindowBytes = 4 << 20;
/** The largest answer to a unary call: a lease of many messages. */
const unaryAnswerBytes = 64 << 20;

/** Opens when it is first used, and again after it was lost. */
export class Connection {
  /** "http://host:port" */
  readonly address: string;
  /** For unary calls with generated clients. */
  readonly unary: Transport;
  readonly #sessions: Http2SessionManager;
  #closed = false;

  constructor(url: URL) {
    this.address = url.origin;
    this.#sessions = new Http2SessionManager(
      url,
      { pingIntervalMs, pingTimeoutMs },
      { settings: { initialWindowSize: streamWindowBytes, enablePush: false } },
    );
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
    return new Http2MessageStream(this.#open(`/fila.v1.FilaService/${method}`), events);
  }

  /** Ends all that is under way; later calls fail with unavailable CLIENT_CLOSED. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sessions.abort();
  }

  /** Throws FilaError unavailable CLIENT_CLOSED after `close`. */
  assertOpen(): void {
    if (this.#closed) throw new FilaError("unavailable", "CLIENT_CLOSED", "this client was closed; connect anew");
  }

  /** An error of the transport, with the address where it could not connect. */
  explain(error: unknown): FilaError {
    const known = FilaError.from(error);
    if (this.#closed && known.code === "canceled") {
      return new FilaError("unavailable", "CLIENT_CLOSED", "the client was closed before the answer came", {
        cause: error,
      });
    }
    if (known.reason !== "CONNECTION_FAILED") return known;
    return new FilaError(
      "unavailable",
      "CONNECTION_FAILED",
      `cannot reach a Fila server at ${this.address}: ${known.message}`,
      {
        cause: error,
      },
    );
  }

  async #open(path: string): Promise<ClientHttp2Stream> {
    this.assertOpen();
    try {
      const stream = await this.#withinTimeout(
        this.#sessions.request(
          "POST",
          path,
          { "content-type": "application/connect+proto", "connect-protocol-version": "1", te: "trailers" },
          { endStream: false },
        ),
      );
      stream.session?.setLocalWindowSize(connectionWindowBytes);
      return stream;
    } catch (error) {
      throw this.explain(error);
    }
  }

  async #withinTimeout(opening: Promise<ClientHttp2Stream>): Promise<ClientHttp2Stream> {
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      timeout.reject(new FilaError("unavailable", "CONNECTION_FAILED", `no connection within ${connectTimeoutMs} ms`));
      // The late stream, if it comes, has no owner.
      opening.then(
        (stream) => stream.close(8),
        () => undefined,
      );
    }, connectTimeoutMs);
    try {
      return await Promise.race([opening, timeout.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
