// The closed set of expected failures. docs/errors.md documents each reason; a test compares the two.

/** The gRPC status names that Fila answers with. */
export type ErrorCode =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "failed_precondition"
  | "resource_exhausted"
  | "unavailable"
  | "unimplemented"
  | "unauthenticated"
  | "permission_denied"
  | "deadline_exceeded"
  | "internal";

/** Each reason with the one status code that it goes with. */
export const reasons = {
  INVALID_QUEUE_NAME: "invalid_argument",
  INVALID_FIELD: "invalid_argument",
  INVALID_REQUEST: "invalid_argument",
  SCRIPT_INVALID: "invalid_argument",
  MESSAGE_TOO_LARGE: "invalid_argument",
  TOO_MANY_HEADERS: "invalid_argument",
  QUEUE_NOT_FOUND: "not_found",
  MESSAGE_NOT_FOUND: "not_found",
  KEY_NOT_FOUND: "not_found",
  QUEUE_EXISTS: "already_exists",
  UNAUTHENTICATED: "unauthenticated",
  PERMISSION_DENIED: "permission_denied",
  LEASE_LOST: "failed_precondition",
  DEAD_LETTERS_LEFT: "failed_precondition",
  NOT_A_DEAD_LETTER_QUEUE: "failed_precondition",
  CONFIG_COMPACTED: "failed_precondition",
  TOKEN_REQUIRED: "failed_precondition",
  HOOK_FAILED: "failed_precondition",
  OVERLOADED: "resource_exhausted",
  HOOK_OVERLOADED: "resource_exhausted",
  STORAGE_FULL: "resource_exhausted",
  TOO_MANY_QUEUES: "resource_exhausted",
  TOO_MANY_KEYS: "resource_exhausted",
  IDEMPOTENCY_WINDOW_FULL: "resource_exhausted",
  STORAGE_UNAVAILABLE: "unavailable",
  DRAINING: "unavailable",
  NOT_IMPLEMENTED: "unimplemented",
  INTERNAL: "internal",
} as const satisfies Record<string, ErrorCode>;

export type Reason = keyof typeof reasons;

/** An expected failure as a value. */
export interface Failure {
  readonly reason: Reason;
  /** Names the thing and the remedy. */
  readonly message: string;
  /** invalid_argument: path of the offending field. */
  readonly field?: string;
  /** Names and values for ErrorInfo.metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** When trying again makes sense, in milliseconds. */
  readonly retryAfterMs?: number;
}

export function failure(reason: Reason, message: string, more?: Omit<Failure, "reason" | "message">): Failure {
  return { reason, message, ...more };
}

/** A broken invariant: the state can no longer be trusted, so the process must end and rebuild it from storage. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

export function invariant(condition: boolean, name: string): asserts condition {
  if (!condition) throw new InvariantError(`invariant broken: ${name}`);
}
