// The HTTP/2 connection under all calls of a client: opened when needed, probed while used, closed politely.
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from "node:http2";
import type net from "node:net";
import { FilaError } from "../errors.ts";

/** How long opening a connection may take. */
const connectTimeoutMs = 10_000;
/** How often a connection with open streams is probed, and how long the answer may take. */
const pingIntervalMs = 10_000;
const pingTimeoutMs = 10_000;
/** Flow control: what the server may send on one stream, and on the connection, before we have read it. */
const streamWindowBytes = 1 << 20;
const connectionWindowBytes = 4 << 20;
/** How long a closed connection may take to say goodbye. */
const goodbyeMs = 1_000;

/**
 * none ─request─▶ connecting ─connected─▶ open ─goaway─▶ retiring ─last stream ends─▶ none;
 * any ─error or close─▶ none; any ─close()─▶ closed, for good. A retiring connection is no longer the current one: its
 * streams go on, the next request opens another. An open connection without streams does not keep the process alive.
 *
 * connect-node has such a manager too; it cannot close a connection without reporting an error to the server.
 */
export class Sessions {
  /** "http://host:port"; connect-node checks it. */
  readonly authority: string;
  #current: Promise<ClientHttp2Session> | undefined;
  readonly #open = new Map<ClientHttp2Session, Set<ClientHttp2Stream>>();
  /** Stops the probing of connections with streams. */
  readonly #probes = new Map<ClientHttp2Session, () => void>();
  /** Of sessions that were connected. */
  readonly #sockets = new WeakMap<ClientHttp2Session, net.Socket>();
  #closed = false;

  constructor(url: URL) {
    this.authority = url.origin;
  }

  /** Opens a stream. Rejects with FilaError unavailable CONNECTION_FAILED or CLIENT_CLOSED. */
  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: http2.ClientSessionRequestOptions = {},
  ): Promise<ClientHttp2Stream> {
    let session = await this.#session();
    // It may have ended since; a second one that ends at once is an error.
    if (session.closed || session.destroyed) session = await this.#session();
    const stream = session.request({ ...headers, ":method": method, ":path": path }, options);
    this.#track(session, stream);
    return stream;
  }

  /** Part of connect-node's interface; pings do not depend on it. */
  notifyResponseByteRead(): void {}

  /** Ends every stream and connection; later requests are refused. */
  close(): void {
    this.#closed = true;
    for (const [session, streams] of this.#open) {
      for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
      session.close();
      setTimeout(() => this.#cutOff(session), goodbyeMs).unref();
    }
  }

  /** Destroying a session that was closed still waits for the other end to close the socket: one that hangs never does. */
  #cutOff(session: ClientHttp2Session): void {
    session.destroy();
    this.#sockets.get(session)?.destroy();
  }

  #session(): Promise<ClientHttp2Session> {
    if (this.#closed) return Promise.reject(clientClosed());
    if (this.#current !== undefined) return this.#current;
    const connecting = this.#connect();
    this.#current = connecting;
    const forget = (): void => {
      if (this.#current === connecting) this.#current = undefined;
    };
    connecting.then((session) => {
      session.once("goaway", forget);
      session.once("close", forget);
      if (session.closed || session.destroyed) forget();
    }, forget);
    return connecting;
  }

  #connect(): Promise<ClientHttp2Session> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    const session = http2.connect(this.authority, {
      settings: { initialWindowSize: streamWindowBytes, enablePush: false },
    });
    const timer = setTimeout(() => {
      session.destroy(new Error(`no connection within ${connectTimeoutMs / 1000} s`));
    }, connectTimeoutMs);
    this.#open.set(session, new Set());
    // Once connected, an error ends the streams, which report it themselves.
    session.on("error", (error) => reject(connectionFailed(this.authority, error)));
    session.once("close", () => {
      clearTimeout(timer);
      this.#open.delete(session);
      reject(this.#closed ? clientClosed() : connectionFailed(this.authority, new Error("the connection was closed")));
    });
    session.once("connect", (_session: ClientHttp2Session, socket: net.Socket) => {
      clearTimeout(timer);
      this.#sockets.set(session, socket);
      session.setLocalWindowSize(connectionWindowBytes);
      session.unref();
      if (!this.#closed) return resolve(session);
      session.close();
      reject(clientClosed());
    });
    return promise;
  }

  #track(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
    const streams = this.#open.get(session);
    if (streams === undefined) return;
    streams.add(stream);
    if (streams.size === 1) {
      session.ref();
      this.#probes.set(session, probeRegularly(session));
    }
    stream.once("close", () => {
      streams.delete(stream);
      if (streams.size > 0) return;
      this.#probes.get(session)?.();
      this.#probes.delete(session);
      session.unref();
    });
  }
}

/** Finds connections whose other end is gone without a word. Gives the function that stops it. */
function probeRegularly(session: ClientHttp2Session): () => void {
  let overdue: NodeJS.Timeout | undefined;
  const timer = setInterval(() => {
    if (session.destroyed || session.closed || overdue !== undefined) return;
    overdue = setTimeout(() => {
      session.destroy(
        new FilaError(
          "unavailable",
          "CONNECTION_LOST",
          `the server gave no sign of life for ${pingTimeoutMs / 1000} s`,
        ),
      );
    }, pingTimeoutMs).unref();
    session.ping(() => {
      clearTimeout(overdue);
      overdue = undefined;
    });
  }, pingIntervalMs).unref();
  return () => {
    clearInterval(timer);
    clearTimeout(overdue);
  };
}

function connectionFailed(authority: string, cause: Error): FilaError {
  // A name with several addresses fails with one error for each and an empty message of its own.
  const causes = cause instanceof AggregateError ? (cause.errors as Error[]) : [cause];
  const why = speaksNoTls(cause)
    ? `nothing there speaks TLS; write ${authority.replace(/^https:/, "http:")}, or the port that does`
    : causes.map(({ message }) => message).join("; ");
  return new FilaError("unavailable", "CONNECTION_FAILED", `cannot reach a Fila server at ${authority}: ${why}`, {
    cause,
  });
}

/** OpenSSL found bytes that are no TLS record, and says so with a place in its own sources. */
function speaksNoTls(cause: Error): boolean {
  const code = (cause as NodeJS.ErrnoException).code;
  return code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG";
}

function clientClosed(): FilaError {
  return new FilaError("unavailable", "CLIENT_CLOSED", "this client was closed; connect anew");
}
