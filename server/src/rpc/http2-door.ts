// The HTTP/2 half of the port: limits, signs of life, and the end of sessions.
import { constants, createServer } from "node:http2";
import type { IncomingHttpHeaders, Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { ConnectionId } from "../core/commands.ts";
import type { Log } from "../telemetry/log.ts";
import { BodyDeadline } from "./body-deadline.ts";
import type { RareLog } from "./rare-log.ts";
import type { ServerLimits } from "./server-limits.ts";

export interface Http2Handlers {
  connected(): ConnectionId;
  disconnected(connection: ConnectionId): void;
  stream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    connection: ConnectionId,
  ): void;
  /** Whether the body of a request to this path may stay open for ever. */
  hasEndlessBody(path: string): boolean;
}

/** States: open → closing (no new streams; what is open may end) → destroyed. */
interface Session {
  readonly connection: ConnectionId;
  /** Destroying it ends the session for certain; destroying a session that was closed before waits for its peer. */
  readonly socket: Socket;
  openStreams: number;
  /** When the last stream ended. */
  idleSince: number;
}

export class Http2Door {
  readonly #server: Http2Server;
  readonly #limits: ServerLimits;
  readonly #handlers: Http2Handlers;
  readonly #log: Log;
  readonly #bodies: BodyDeadline;
  #accepting: Socket | undefined = undefined;
  readonly #sessions = new Map<ServerHttp2Session, Session>();

  constructor(limits: ServerLimits, handlers: Http2Handlers, log: Log, rarely: RareLog) {
    this.#limits = limits;
    this.#handlers = handlers;
    this.#log = log;
    this.#bodies = new BodyDeadline(limits.bodyTimeoutMs);
    this.#server = createServer({
      maxSessionMemory: limits.maxSessionMemoryMb,
      maxHeaderListPairs: limits.maxHeaderPairs,
      streamResetBurst: limits.streamResetBurst,
      streamResetRate: limits.streamResetRate,
      settings: {
        maxConcurrentStreams: limits.maxConcurrentStreams,
        initialWindowSize: limits.streamWindowBytes,
        maxHeaderListSize: limits.maxHeaderBytes,
        enablePush: false,
      },
    });
    this.#server.on("session", (session) => this.#onSession(session));
    this.#server.on("stream", (stream: ServerHttp2Stream, headers, flags, rawHeaders) =>
      this.#onStream(stream, headers, flags, rawHeaders),
    );
    // Without a listener an error of a session would end the process.
    this.#server.on("sessionError", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") {
        rarely.warn("http2 connection failed", { code: error.code, message: error.message });
      }
    });
  }

  get openConnections(): number {
    return this.#sessions.size;
  }

  get openStreams(): number {
    let streams = 0;
    for (const { openStreams } of this.#sessions.values()) streams += openStreams;
    return streams;
  }

  accept(socket: Socket): void {
    // Emits "session" within the call.
    this.#accepting = socket;
    this.#server.emit("connection", socket);
    this.#accepting = undefined;
  }

  /** No new streams; sessions end with their last stream. */
  closeGracefully(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  destroy(): void {
    this.#bodies.stop();
    for (const { socket } of this.#sessions.values()) socket.destroy();
  }

  #onSession(session: ServerHttp2Session): void {
    const socket = this.#accepting;
    if (socket === undefined) throw new Error("a session without its socket");
    const state: Session = {
      socket,
      connection: this.#handlers.connected(),
      openStreams: 0,
      idleSince: performance.now(),
    };
    this.#sessions.set(session, state);
    session.once("close", () => {
      this.#sessions.delete(session);
      this.#handlers.disconnected(state.connection);
    });
    session.setLocalWindowSize(this.#limits.sessionWindowBytes);
    // Fires after a time without traffic, so sessions in use cost nothing here. (A callback given to setTimeout itself
    // would be called once only.)
    session.on("timeout", () => this.#onQuiet(session, state));
    session.setTimeout(this.#limits.pingAfterMs);
  }

  #onQuiet(session: ServerHttp2Session, state: Session): void {
    if (session.destroyed) return;
    if (state.openStreams === 0 && performance.now() - state.idleSince >= this.#limits.idleSessionMs) {
      session.close();
    }
    // A peer that vanished without a word (power, cable, a dropped NAT entry) leaves a connection that looks alive.
    const gone = setTimeout(() => state.socket.destroy(), this.#limits.pingTimeoutMs);
    const sent = session.ping((error) => {
      clearTimeout(gone);
      // The answer is no traffic in Node's eyes: start the next wait by hand.
      if (error === null && !session.destroyed) session.setTimeout(this.#limits.pingAfterMs);
    });
    if (!sent) {
      clearTimeout(gone);
      state.socket.destroy();
    }
  }

  #onStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: readonly string[],
  ): void {
    // First of all: without a listener an error of a stream would end the process.
    stream.on("error", () => {});
    const state = stream.session === undefined ? undefined : this.#sessions.get(stream.session as ServerHttp2Session);
    if (state === undefined) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    state.openStreams++;
    const bodyToCome = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
    if (bodyToCome && !this.#handlers.hasEndlessBody(headers[":path"] ?? "")) this.#bodies.watch(stream);
    stream.once("close", () => {
      this.#bodies.forget(stream);
      if (--state.openStreams === 0) state.idleSince = performance.now();
    });
    try {
      this.#handlers.stream(stream, headers, rawHeaders, state.connection);
    } catch (error) {
      this.#log.error("a stream could not be handled", error);
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }
}
