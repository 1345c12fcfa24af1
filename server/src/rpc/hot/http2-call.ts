import { constants } from "node:http2";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Caller } from "../access/caller.ts";
import type { MethodDeps } from "./call.ts";
import type { Protocol } from "./protocols.ts";

export interface HotLimits {
  /** Largest request message. Default 4 MiB. */
  readonly readMaxBytes: number;
  /** Deadlines of clients are cut to this. Default 24 hours; a timer of Node holds 24 days. */
  readonly maxTimeoutMs: number;
  /** How long a client may go on sending after its answer. Default 1 s. */
  readonly lateBodyMs: number;
}

/** What calls report when they are over. */
export interface CallReport {
  /** One of the names in the contract; "unknown" for a procedure that there is not. */
  readonly method: string;
  /** By hand, or "library": whatever the RPC library speaks. */
  readonly protocol: "grpc" | "connect" | "library";
  /** gRPC's number of the status; 1 = the client was gone before the end. */
  readonly code: number;
  readonly durationMs: number;
}

/** What all calls share. */
export interface CallContext extends MethodDeps {
  readonly hotLimits: HotLimits;
  /** Calls under way. */
  readonly active: Set<Http2Call>;
  /** A call is over. */
  over(call: Http2Call): void;
  readonly onCall: ((report: CallReport) => void) | undefined;
}

/** What one call begins with. */
export interface CallStart {
  readonly method: string;
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly protocol: Protocol;
  readonly caller: Caller;
}

/** A call under way, as the hot path ends it. */
export interface Http2Call {
  /** The server is about to stop: streams that can end early do. */
  drain(): void;
  /** The server stops: whatever has no answer yet gets UNAVAILABLE. */
  stop(): void;
}

/**
 * The client has reset the stream, or the connection is gone, though "close" may not have come yet: its body ends then as
 * if it were whole, and an answer would throw.
 */
export function isOver(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed;
}

/** Ends an answer of gRPC. */
export function sendTrailers(stream: ServerHttp2Stream, trailers: OutgoingHttpHeaders): void {
  stream.on("wantTrailers", () => {
    if (!isOver(stream)) stream.sendTrailers(trailers);
  });
}

/**
 * For an answer that is complete while the client still sends: what it sends is let go, and a client that does not stop
 * is told to, without that being an error. Not before the answer has left, and some time after that: a reset overtakes
 * what still waits to be sent, and the client would never see its status.
 */
export function closeRequestHalf(stream: ServerHttp2Stream, { lateBodyMs }: Pick<HotLimits, "lateBodyMs">): void {
  if (stream.readableEnded || stream.destroyed) return;
  stream.resume();
  let timer: NodeJS.Timeout | undefined;
  const answered = (): void => {
    // Trailers go out in the round of the loop after the one in which the body has left, however late that is.
    timer = setTimeout(() => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)), lateBodyMs);
  };
  const stop = (): void => {
    stream.off("finish", answered);
    clearTimeout(timer);
  };
  if (stream.writableFinished) answered();
  else stream.once("finish", answered);
  stream.once("end", stop);
  stream.once("close", stop);
}
