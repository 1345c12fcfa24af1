// The one error that the SDK throws, and the one funnel into it.
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/index.ts";

/** The closed list of codes, in the order of their gRPC numbers (canceled = 1). */
export const errorCodes = [
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
] as const;

/** What kind of failure it is; see `errorCodes`. */
export type ErrorCode = (typeof errorCodes)[number];

const retryableCodes: ReadonlySet<ErrorCode> = new Set([
  "unavailable",
  "resource_exhausted",
  "deadline_exceeded",
  "aborted",
]);

/** What a FilaError may carry beside its code, reason and message. */
export interface FilaErrorDetails {
  readonly cause?: unknown;
  /** Names and values that the broker adds for programs. Default: none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long the broker asks to wait before trying again, milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * Every failure of the SDK. `code` is one of `errorCodes`; `reason` is the broker's reason (docs/errors.md) or one of
 * the SDK's own: INVALID_QUEUE_NAME, INVALID_FIELD, INVALID_PAYLOAD, INVALID_URL, INVALID_DURATION, MESSAGE_TOO_LARGE,
 * TOO_MANY_HEADERS (all invalid_argument), CONNECTION_FAILED, CONNECTION_LOST, CLIENT_CLOSED (unavailable), BUFFER_FULL
 * (resource_exhausted), LEASE_LOST, ALREADY_SETTLED (failed_precondition), WORKER_STOPPED (canceled), PROTOCOL_ERROR
 * (internal; unavailable or unimplemented when the answer was none of HTTP's successes), and "" when nobody gave one.
 *
 * `retryable`: the same call may succeed later. After "unavailable" an enqueue may already be stored, so that trying
 * again may store it twice unless it has an idempotency key.
 */
export class FilaError extends Error {
  override readonly name: string = "FilaError";
  readonly code: ErrorCode;
  readonly reason: string;
  readonly retryable: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, reason: string, message: string, details: FilaErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reason = reason;
    this.retryable = retryableCodes.has(code);
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
  }

  /** Any thrown value as a FilaError; a FilaError comes back as it is. */
  static from(error: unknown): FilaError {
    if (error instanceof FilaError) return error;
    if (error instanceof ConnectError) return fromConnect(error);
    if (error instanceof Error) {
      const code = nodeErrorCode(error);
      if (code !== undefined) {
        const message = `the connection to the server was lost: ${error.message}`;
        return new FilaError("unavailable", "CONNECTION_LOST", message, { cause: error });
      }
      if (error.name === "AbortError") return new FilaError("canceled", "", error.message, { cause: error });
      return new FilaError("unknown", "", error.message, { cause: error });
    }
    return new FilaError("unknown", "", textOf(error), { cause: error });
  }
}

/**
 * The worker holds the message no longer: its lease ended, or the stream that held it died. The reason of an aborted
 * `lease.signal`, and what a settlement of such a lease rejects with. Code failed_precondition, reason LEASE_LOST.
 */
export class LeaseLost extends FilaError {
  override readonly name = "LeaseLost";

  constructor(message: string, details?: FilaErrorDetails) {
    super("failed_precondition", "LEASE_LOST", message, details);
  }
}

/** What people are told of a thrown value, whatever it is. Never throws. */
export function textOf(error: unknown): string {
  try {
    // Programs give their errors messages that are none: the body of an answer, undefined, a getter that throws.
    const message: unknown = error instanceof Error ? error.message : undefined;
    return typeof message === "string" ? message : String(error);
  } catch {
    return "an error without a text";
  }
}

/** An error that came as a value: gRPC status number, reason, message. */
export function errorFromItem(code: number, reason: string, message: string): FilaError {
  if (reason === "LEASE_LOST") return new LeaseLost(message);
  return new FilaError(errorCodes[code - 1] ?? "unknown", reason, message);
}

/** What to reject with: the reason of the caller's own aborted signal untouched, anything else as FilaError. */
export function rejection(error: unknown, signal?: AbortSignal): unknown {
  return signal?.aborted === true ? signal.reason : FilaError.from(error);
}

function fromConnect(error: ConnectError): FilaError {
  const code = errorCodes[error.code - 1] ?? "unknown";
  const info = error.findDetails(ErrorInfoSchema)[0];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const details: FilaErrorDetails = {
    cause: error,
    metadata: { ...info?.metadata },
    retryAfterMs: delay === undefined ? undefined : Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1e6),
  };
  if (info?.reason === "LEASE_LOST") return new LeaseLost(error.rawMessage, details);
  if (info !== undefined) return new FilaError(code, info.reason, error.rawMessage, details);
  if (error.cause instanceof FilaError) return error.cause;
  // Without details of the broker it is the connection that failed; Node's name for it says so.
  if (error.cause instanceof Error && nodeErrorCode(error.cause) !== undefined) {
    return new FilaError("unavailable", "CONNECTION_LOST", error.rawMessage, details);
  }
  return new FilaError(code, error.code === Code.Unavailable ? "CONNECTION_LOST" : "", error.rawMessage, details);
}

function nodeErrorCode(error: Error): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^(E[A-Z_0-9]+|ERR_HTTP2_\w+)$/.test(code) ? code : undefined;
}
