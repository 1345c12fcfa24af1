// What the broker refuses anyway is refused before it is sent, with the field named.
import { milliseconds, type Duration } from "./duration.ts";
import { FilaError } from "./errors.ts";
import { utf8Size } from "./wire/frame-writer.ts";
import type { OutgoingMessage } from "./wire/outgoing-message.ts";

/** Limits of the protocol; bytes are UTF-8 bytes. */
export const limits = {
  /** A queue's name, the suffix ".dlq" not counted. */
  queueNameBytes: 255,
  /** A payload, unless the server and `connect` are configured otherwise. */
  payloadBytes: 1_048_576,
  headers: 64,
  /** Names and values of all headers together. */
  headerBytes: 8192,
  fairnessKeyBytes: 256,
  throttleKeys: 16,
  throttleKeyBytes: 247,
  idempotencyKeyBytes: 256,
  weight: 1000,
  cost: 1000,
  /** A lease: its longest and its shortest visibility timeout, milliseconds. */
  visibilityTimeoutMs: 43_200_000,
  shortestVisibilityTimeoutMs: 1_000,
  /** How long one `lease()` may wait, milliseconds. */
  waitMs: 60_000,
  /** A delay, a time to live, the way to `deliverAt`: a year, milliseconds. */
  delayMs: 31_536_000_000,
  /** Handlers of one worker at the same time, and leases that wait ahead of them. */
  concurrency: 10_000,
  /** Settings of a queue; durations in milliseconds. */
  maxAttempts: 1_000_000,
  initialBackoffMs: 86_400_000,
  maxBackoffMs: 604_800_000,
  idempotencyWindowMs: 604_800_000,
  retentionMs: 315_360_000_000,
  scriptBytes: 65_536,
  /** Leased messages of a queue, or of a fairness key, at a time. */
  inFlight: 1_000_000,
} as const;

/** Throws FilaError invalid_argument INVALID_QUEUE_NAME. */
export function checkQueueName(queue: string): void {
  if (typeof queue !== "string" || !queue.isWellFormed()) {
    throw invalidQueue(`the name of a queue, ${JSON.stringify(queue)}, is not a text of valid Unicode`);
  }
  const named = queue.endsWith(".dlq") ? queue.slice(0, -4) : queue;
  if (named.length === 0) throw invalidQueue("the name of a queue must not be empty");
  if (tooLong(named, limits.queueNameBytes)) {
    throw invalidQueue(
      `the name of a queue is ${utf8Size(named)} bytes long; at most ${limits.queueNameBytes} are allowed`,
    );
  }
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is looked for
  if (/[\u0000-\u001f\u007f]/.test(named)) {
    throw invalidQueue(`the name of a queue, ${JSON.stringify(queue)}, must not contain control characters`);
  }
}

/** Throws FilaError invalid_argument with the reason INVALID_FIELD, MESSAGE_TOO_LARGE or TOO_MANY_HEADERS. */
export function checkMessage(message: OutgoingMessage, maximumPayloadBytes: number): void {
  const { payload, fairnessKey, throttleKeys } = message;
  if (!(payload instanceof Uint8Array)) throw invalidField("payload", "is neither a Uint8Array nor a string");
  if (payload.length > maximumPayloadBytes) {
    throw new FilaError(
      "invalid_argument",
      "MESSAGE_TOO_LARGE",
      `the payload has ${payload.length} bytes; at most ${maximumPayloadBytes} are allowed: store it elsewhere and send a reference`,
    );
  }
  if (fairnessKey !== undefined) {
    checkText("fairnessKey", fairnessKey);
    if (tooLong(fairnessKey, limits.fairnessKeyBytes)) {
      throw invalidField(
        "fairnessKey",
        `has ${utf8Size(fairnessKey)} bytes; at most ${limits.fairnessKeyBytes} are allowed`,
      );
    }
  }
  checkUnits("weight", message.weight, limits.weight);
  checkUnits("cost", message.cost, limits.cost);
  if (throttleKeys !== undefined) checkThrottleKeys(throttleKeys);
  if (message.idempotencyKey !== undefined) checkIdempotencyKey(message.idempotencyKey);
  if (message.headers !== undefined) checkHeaders(message.headers);
}

/** Throws FilaError invalid_argument INVALID_FIELD unless it is an integer in the range. */
export function checkCount(field: string, value: number, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw invalidField(field, `is ${String(value)}; it must be an integer from ${minimum} to ${maximum}`);
}

/** Milliseconds; 0 = the queue's. Throws FilaError invalid_argument INVALID_DURATION. */
export function checkVisibility(duration: Duration | undefined): number {
  const ms = milliseconds(duration ?? 0, "visibilityTimeout", limits.visibilityTimeoutMs);
  const least = limits.shortestVisibilityTimeoutMs;
  if (ms === 0 || ms >= least) return ms;
  const message = `visibilityTimeout is ${ms} ms; at least ${least} ms are needed`;
  throw new FilaError("invalid_argument", "INVALID_DURATION", message);
}

/** An invalid_argument error that names the field. */
export function invalidField(field: string, problem: string, cause?: unknown): FilaError {
  return new FilaError("invalid_argument", "INVALID_FIELD", `${field} ${problem}`, { metadata: { field }, cause });
}

function checkUnits(field: string, value: number | undefined, maximum: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < 1 || value > maximum) {
    throw invalidField(field, `is ${String(value)}; it must be an integer from 1 to ${maximum}`);
  }
}

/** Half of a surrogate pair has no UTF-8: it would arrive as another text than it was sent. */
function checkText(field: string, text: unknown): void {
  if (typeof text === "string" && text.isWellFormed()) return;
  throw invalidField(field, `holds ${JSON.stringify(text)}, which is not a text of valid Unicode`);
}

function checkThrottleKeys(keys: readonly string[]): void {
  if (keys.length > limits.throttleKeys) {
    throw invalidField("throttleKeys", `has ${keys.length} keys; at most ${limits.throttleKeys} are allowed`);
  }
  for (const key of keys) {
    checkText("throttleKeys", key);
    if (key.length === 0) throw invalidField("throttleKeys", "contains an empty key");
    if (tooLong(key, limits.throttleKeyBytes)) {
      throw invalidField(
        "throttleKeys",
        `has a key of ${utf8Size(key)} bytes; at most ${limits.throttleKeyBytes} are allowed`,
      );
    }
  }
}

function checkIdempotencyKey(key: string): void {
  checkText("idempotencyKey", key);
  if (key.length === 0) throw invalidField("idempotencyKey", "is empty; leave it out when there is none");
  if (tooLong(key, limits.idempotencyKeyBytes)) {
    throw invalidField(
      "idempotencyKey",
      `has ${utf8Size(key)} bytes; at most ${limits.idempotencyKeyBytes} are allowed`,
    );
  }
}

function checkHeaders(headers: Readonly<Record<string, string>>): void {
  let count = 0;
  let bytes = 0;
  for (const name in headers) {
    const value: unknown = headers[name];
    if (typeof value !== "string")
      throw invalidField("headers", `has a value that is no string under ${JSON.stringify(name)}`);
    checkText("headers", name);
    checkText("headers", value);
    count++;
    bytes += utf8Size(name) + utf8Size(value);
  }
  if (count > limits.headers || bytes > limits.headerBytes) {
    throw new FilaError(
      "invalid_argument",
      "TOO_MANY_HEADERS",
      `${count} headers of ${bytes} bytes; at most ${limits.headers} headers and ${limits.headerBytes} bytes of names and values are allowed`,
    );
  }
}

/** Without counting when the length alone decides. */
function tooLong(text: string, maximumBytes: number): boolean {
  return text.length * 3 > maximumBytes && utf8Size(text) > maximumBytes;
}

function invalidQueue(message: string): FilaError {
  return new FilaError("invalid_argument", "INVALID_QUEUE_NAME", message);
}
