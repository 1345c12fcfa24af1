// How gRPC and Connect dress requests and answers on HTTP/2. Only the forms that the hot path takes.
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Failure } from "../../core/errors.ts";
import { connectError, failureToStatusDetails, statusBytes, unpaddedBase64 } from "../wire/failure-wire.ts";
import type { WireFailure } from "../wire/failure-wire.ts";
import { parseConnectTimeout, parseGrpcTimeout } from "./deadline.ts";

export interface Protocol {
  readonly name: "grpc" | "connect";
  /** Content type of answers that went well. */
  readonly contentType: string;
  /** Messages stand in envelopes. */
  readonly enveloped: boolean;
  /** Undefined = no deadline. */
  timeoutMs(headers: IncomingHttpHeaders, maxMs: number): number | Failure | undefined;
}

function grpc(contentType: string): Protocol {
  return {
    name: "grpc",
    contentType,
    enveloped: true,
    timeoutMs({ "grpc-timeout": value }, maxMs) {
      return value === undefined ? undefined : parseGrpcTimeout(String(value), maxMs);
    },
  };
}

function connect(contentType: string, enveloped: boolean): Protocol {
  return {
    name: "connect",
    contentType,
    enveloped,
    timeoutMs({ "connect-timeout-ms": value }, maxMs) {
      return value === undefined ? undefined : parseConnectTimeout(String(value), maxMs);
    },
  };
}

const grpcDefault = grpc("application/grpc");
const grpcProto = grpc("application/grpc+proto");
const connectUnary = connect("application/proto", false);
const connectStream = connect("application/connect+proto", true);

/** The protocol of a request by its headers; undefined = not one that the hot path speaks. */
export function protocolOf(headers: IncomingHttpHeaders, streaming: boolean): Protocol | undefined {
  switch (headers["content-type"]) {
    case "application/grpc":
      return isPlain(headers["grpc-encoding"]) ? grpcDefault : undefined;
    case "application/grpc+proto":
      return isPlain(headers["grpc-encoding"]) ? grpcProto : undefined;
    case "application/proto":
      return !streaming && isPlain(headers["content-encoding"]) ? connectUnary : undefined;
    case "application/connect+proto":
      return streaming && isPlain(headers["connect-content-encoding"]) ? connectStream : undefined;
    default:
      return undefined;
  }
}

function isPlain(encoding: string | string[] | undefined): boolean {
  return encoding === undefined || encoding === "identity";
}

/** gRPC's percent-encoding: only what is not printable ASCII, and the percent sign. */
function percentEncoded(message: string): string {
  return message.replace(/[^\x20-\x24\x26-\x7e]+/g, (part) => encodeURIComponent(part.toWellFormed()));
}

/** The trailers that end a gRPC call. */
export function grpcTrailers(failed: WireFailure | undefined): OutgoingHttpHeaders {
  if (failed === undefined) return { "grpc-status": "0" };
  const status = failureToStatusDetails(failed);
  return {
    "grpc-status": String(status.code),
    "grpc-message": percentEncoded(status.message),
    "grpc-status-details-bin": unpaddedBase64(statusBytes(status)),
  };
}

/** Answers a call of which nothing has been written yet with a failure, in one go. */
export function respondFailure(stream: ServerHttp2Stream, protocol: Protocol, failed: WireFailure): void {
  if (protocol.name === "grpc") {
    stream.respond(
      { ":status": 200, "content-type": protocol.contentType, ...grpcTrailers(failed) },
      { endStream: true },
    );
  } else if (protocol.enveloped) {
    stream.respond({ ":status": 200, "content-type": protocol.contentType });
    stream.end(endOfStream(failed));
  } else {
    const status = failureToStatusDetails(failed);
    stream.respond({ ":status": status.httpStatus, "content-type": "application/json" });
    stream.end(JSON.stringify(connectError(status)));
  }
}

/** The last envelope of a stream in the Connect protocol. */
export function endOfStream(failed: WireFailure | undefined): Buffer {
  const error = failed === undefined ? {} : { error: connectError(failureToStatusDetails(failed)) };
  const json = Buffer.from(JSON.stringify(error));
  const head = Buffer.alloc(5);
  head[0] = 2;
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}
