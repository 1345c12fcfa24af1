// The HTTP/1 half of the port, for curl, browsers, probes, and whatever else knocks.
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { ConnectionId } from "../core/commands.ts";
import type { Log } from "../telemetry/log.ts";
import type { RareLog } from "./rare-log.ts";
import type { ServerLimits } from "./server-limits.ts";

export interface Http1Handlers {
  connected(): ConnectionId;
  disconnected(connection: ConnectionId): void;
  request(request: IncomingMessage, response: ServerResponse, connection: ConnectionId): void;
}

interface Connection {
  readonly id: ConnectionId;
  /** Responses that are not written to their end. */
  answering: number;
  /** It has had a whole answer. */
  answered: boolean;
  refused: boolean;
}

/** How long a refused connection may linger, so that its client can read why. */
const LINGER_MS = 1000;

export class Http1Door {
  readonly #server: Server;
  readonly #maxRequests: number;
  readonly #handlers: Http1Handlers;
  readonly #log: Log;
  readonly #rarely: RareLog;
  readonly #connections = new WeakMap<Socket, Connection>();
  #closing = false;
  openConnections = 0;

  constructor(limits: ServerLimits, handlers: Http1Handlers, log: Log, rarely: RareLog) {
    this.#maxRequests = limits.maxConcurrentStreams;
    this.#handlers = handlers;
    this.#log = log;
    this.#rarely = rarely;
    this.#server = createServer({
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.bodyTimeoutMs,
      requestTimeout: limits.bodyTimeoutMs,
      connectionsCheckingInterval: Math.ceil(limits.bodyTimeoutMs / 2),
      keepAliveTimeout: limits.keepAliveMs,
    });
    this.#server.maxHeadersCount = limits.maxHeaderPairs;
    this.#server.on("request", (request, response) => this.#onRequest(request, response));
    this.#server.on("clientError", (error, socket) => {
      // Only sockets of node:net come through accept.
      if (socket instanceof Socket) this.#onClientError(error, socket);
    });
    // The server itself never listens; this event is what starts the check of its time limits.
    this.#server.emit("listening");
  }

  accept(socket: Socket): void {
    const connection: Connection = { id: this.#handlers.connected(), answering: 0, answered: false, refused: false };
    this.#connections.set(socket, connection);
    this.openConnections++;
    socket.once("close", () => {
      this.openConnections--;
      this.#handlers.disconnected(connection.id);
    });
    this.#server.emit("connection", socket);
    socket.resume();
  }

  closeGracefully(): void {
    this.#closing = true;
    // Also stops the check of time limits, and closes the connections that wait for a next request.
    this.#server.close();
  }

  destroy(): void {
    this.#server.closeAllConnections();
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) {
      request.socket.destroy();
      return;
    }
    // Node begins every request that a client sends without waiting for answers ("pipelining"), however many.
    if (connection.answering === this.#maxRequests) {
      this.#rarely.warn("connection ended: too many requests of HTTP/1 wait for their answers", {
        from: request.socket.remoteAddress,
        max: this.#maxRequests,
      });
      request.socket.destroy();
      return;
    }
    connection.answering++;
    response.once("close", () => {
      connection.answering--;
      connection.answered = true;
      // Node would wait for a next request; while it closes, it ends only the connections that waited already.
      if (this.#closing && connection.answering === 0) request.socket.end();
    });
    response.on("error", () => {});
    try {
      this.#handlers.request(request, response, connection.id);
    } catch (error) {
      this.#log.error("a request could not be handled", error);
      request.socket.destroy();
    }
  }

  #onClientError(error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection?.refused === true) return;
    if (connection !== undefined) connection.refused = true;
    // Who was refused in the middle of a request often leaves without sending the rest (curl does).
    const left =
      error.code === "ECONNRESET" || (error.code === "HPE_INVALID_EOF_STATE" && connection?.answered === true);
    // A second answer in the middle of another would be read as a part of it.
    if (left || !socket.writable || (connection?.answering ?? 0) > 0) {
      socket.destroy();
      return;
    }
    const { status, why } = explain(error);
    this.#rarely.warn("refused what is not a request", { from: socket.remoteAddress, code: error.code, why });
    const body = `${why}\n`;
    socket.end(
      `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    // Closing with unread bytes would reset the connection, and the client would never read the answer.
    socket.setTimeout(LINGER_MS, () => socket.destroy());
    socket.resume();
  }
}

function explain(error: { code?: string; rawPacket?: Buffer }): { status: string; why: string } {
  if (error.code === "HPE_HEADER_OVERFLOW") {
    return { status: "431 Request Header Fields Too Large", why: "the headers of the request are too large" };
  }
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return { status: "408 Request Timeout", why: "the request did not arrive in time" };
  }
  // 22 = a TLS handshake record.
  const why =
    error.rawPacket?.[0] === 22
      ? "this is TLS, but the port speaks cleartext: use http:// and not https://"
      : "this is not HTTP; the port speaks gRPC and Connect over cleartext HTTP/2, and Connect over HTTP/1.1";
  return { status: "400 Bad Request", why };
}
