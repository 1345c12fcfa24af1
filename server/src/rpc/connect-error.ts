// Failures as errors of the RPC library, and the one funnel for whatever else is thrown.
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@fila/sdk/gen";
import { failure } from "../core/errors.ts";
import type { Failure } from "../core/errors.ts";
import type { Log } from "../telemetry/log.ts";
import { CallFailedError } from "./hot/door.ts";
import { unknownJsonField } from "./unknown-json-field.ts";
import { codeOf, deadlineExceeded } from "./wire/failure-wire.ts";
import type { WireFailure } from "./wire/failure-wire.ts";

type Details = NonNullable<ConstructorParameters<typeof ConnectError>[3]>;

export function connectError(failed: WireFailure): ConnectError {
  const details: Details = [
    {
      desc: ErrorInfoSchema,
      value: { reason: failed.reason, domain: "fila", metadata: { ...failed.metadata } },
    },
  ];
  if (failed.field !== undefined) {
    const violation = { field: failed.field, description: failed.message };
    details.push({ desc: BadRequestSchema, value: { fieldViolations: [violation] } });
  }
  if (failed.retryAfterMs !== undefined) {
    const ms = failed.retryAfterMs;
    const retryDelay = { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) };
    details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the numbers of both are those of gRPC
  const code = codeOf(failed) as Code;
  return new ConnectError(failed.message, code, undefined, details);
}

/** What a client may know of an error that nobody expected. */
export const internalFailure: Failure = failure(
  "INTERNAL",
  "the broker failed at this request; its log has the cause. Trying again may help",
);

/**
 * From anything thrown to an error that may leave the process. What is not an expected failure is logged, with its stack;
 * the client learns nothing of it. What fails because the client went away is nobody's fault and not logged: whoever can
 * open a stream could fill the log otherwise.
 */
export function funnel(reason: unknown, log: Log, procedure: string, signal: AbortSignal): ConnectError {
  if (reason instanceof CallFailedError) return connectError(reason.failure);
  if (isGone(reason, signal)) return new ConnectError("the client is gone", Code.Canceled);
  if (reason instanceof ConnectError) return completeError(reason, log, procedure);
  log.error("a handler failed", reason, { procedure });
  return connectError(internalFailure);
}

/** `signal` also aborts when the time of a call is over, and its client still waits for the answer then. */
function isGone(reason: unknown, signal: AbortSignal): boolean {
  if (reason instanceof Error && (reason as NodeJS.ErrnoException).code === "ERR_STREAM_PREMATURE_CLOSE") return true;
  return signal.aborted && !(reason instanceof ConnectError && reason.code === Code.DeadlineExceeded);
}

/**
 * The RPC library makes errors of its own (a body that does not parse, a message too large, an unknown compression). Gives
 * them the code, the reason and the remedy that an error of ours has. An error with details stays as it is.
 */
export function completeError(error: ConnectError, log: Log, procedure: string): ConnectError {
  if (error.details.length > 0) return error;
  const message = error.rawMessage;
  switch (error.code) {
    case Code.InvalidArgument:
      return connectError(unknownJsonField(message) ?? failure("INVALID_REQUEST", cut(message)));
    case Code.Unimplemented:
      if (message.startsWith("protocol error: ")) return connectError(unreadable(message));
      if (message.startsWith("unknown compression ")) {
        const named = message.replace(/:.*$/, "");
        return connectError(failure("NOT_IMPLEMENTED", `${named}: the broker takes none; send requests uncompressed`));
      }
      return connectError(failure("NOT_IMPLEMENTED", message));
    case Code.ResourceExhausted:
      return connectError(
        failure("MESSAGE_TOO_LARGE", `${message}: send less in one request (limits.read_max_bytes of the broker)`),
      );
    case Code.Internal:
    case Code.Unknown:
    case Code.DataLoss:
      if (message.startsWith("parse binary: ") || message.startsWith("protocol error: ")) {
        return connectError(unreadable(message));
      }
      if (message.startsWith("received compressed envelope")) {
        return connectError(
          failure("INVALID_REQUEST", "a message is flagged as compressed, but no encoding was named; send it plain"),
        );
      }
      log.error("a request failed", error, { procedure });
      return connectError(internalFailure);
    case Code.DeadlineExceeded:
      return connectError(deadlineExceeded("the deadline of the call passed before the broker could answer"));
    default:
      // Cancelled by the client: nobody listens any more.
      return error;
  }
}

function unreadable(message: string): Failure {
  return failure("INVALID_REQUEST", `the request cannot be read: ${message.replace(/^[^:]*: /, "")}`);
}

/** The library quotes the request, which may be as long as it likes. */
function cut(message: string): string {
  return message.length > 500 ? `${message.slice(0, 500)}...`.toWellFormed() : message;
}
