// What a producer says about a message, checked on its way out.
import { encodePayload, type Payload, type Queue } from "../codec.ts";
import { milliseconds, type Duration } from "../duration.ts";
import { FilaError } from "../errors.ts";
import { checkMessage, checkQueueName, invalidField, limits } from "../limits.ts";
import type { MessageTiming, OutgoingMessage } from "../wire/outgoing-message.ts";

export interface EnqueueOptions {
  /** At most 64, with 8 KiB of names and values. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Messages of one key are delivered in order; backlogged keys share the queue by weight. Default: "default". */
  readonly fairnessKey?: string | undefined;
  /** Weight of the fairness key from now on, 1 to 1,000. Default: the key keeps its weight, 1 at first. */
  readonly weight?: number | undefined;
  /** What the delivery takes from the key's share, 1 to 1,000. Default: 1. */
  readonly cost?: number | undefined;
  /** At most 16 of at most 247 bytes. Default: none. */
  readonly throttleKeys?: readonly string[] | undefined;
  /** Not delivered before this time has passed; at most a year. Default: at once. */
  readonly delay?: Duration | undefined;
  /** Not delivered before this time of the broker's clock, at most a year ahead; the past is now. Not together with `delay`. */
  readonly deliverAt?: Date | undefined;
  /**
   * Dropped, or dead-lettered where the queue says so, when it was not done after this time; 1 ms to a year. Default: never.
   */
  readonly ttl?: Duration | undefined;
  /**
   * Stored once: another message of the queue with this key, within the queue's window (10 min by default), is not stored
   * and has the id of the first. At most 256 bytes. A lost connection is then no reason to fail: the enqueue is made again,
   * up to 3 times. Default: none.
   */
  readonly idempotencyKey?: string | undefined;
}

/** A message of `enqueueMany`. */
export interface EnqueueMessage<T = Payload> extends EnqueueOptions {
  readonly payload: T;
}

/** Options of `enqueueOnce`. */
export interface EnqueueOnceOptions extends EnqueueOptions {
  readonly idempotencyKey: string;
}

/** What became of an `enqueueOnce`. */
export interface EnqueuedOnce {
  /** UUIDv7 of the one message with this key. */
  readonly id: string;
  /**
   * The key had been used: nothing was stored now. So it also says where this call itself stored the message, and asked
   * again because the connection broke before the answer came.
   */
  readonly duplicate: boolean;
}

/** Throws FilaError invalid_argument. */
export function outgoingMessage<T>(
  { name, codec }: Queue<T>,
  payload: T,
  options: EnqueueOptions,
  maximumPayloadBytes: number,
): OutgoingMessage {
  checkQueueName(name);
  const message = {
    queue: name,
    payload: encodePayload(codec, payload),
    headers: options.headers,
    fairnessKey: options.fairnessKey,
    weight: options.weight,
    cost: options.cost,
    throttleKeys: options.throttleKeys,
    timing: timingOf(options),
    idempotencyKey: options.idempotencyKey,
  };
  checkMessage(message, maximumPayloadBytes);
  // What may be sent again later is not to change until then.
  return message.idempotencyKey === undefined ? message : copyOf(message);
}

function timingOf({ delay, deliverAt, ttl }: EnqueueOptions): MessageTiming | undefined {
  if (delay === undefined && deliverAt === undefined && ttl === undefined) return undefined;
  if (delay !== undefined && deliverAt !== undefined) {
    throw invalidField("delay", "stands beside deliverAt; give one of the two");
  }
  return {
    delayMs: delay === undefined ? 0 : milliseconds(delay, "delay", limits.delayMs),
    deliverAtMs: deliverAt === undefined ? undefined : momentOf(deliverAt),
    ttlMs: ttl === undefined ? 0 : timeToLive(ttl),
  };
}

/** That it is within a year, only the broker's clock can tell. */
function momentOf(deliverAt: Date): number {
  if (deliverAt instanceof Date && !Number.isNaN(deliverAt.getTime())) return Math.max(0, deliverAt.getTime());
  throw invalidField("deliverAt", "is no valid Date");
}

/** Nothing left to live would be for ever on the wire. */
function timeToLive(ttl: Duration): number {
  const ms = milliseconds(ttl, "ttl", limits.delayMs);
  if (ms > 0) return ms;
  throw new FilaError("invalid_argument", "INVALID_DURATION", "ttl is 0 ms; at least 1 ms is needed");
}

function copyOf(message: OutgoingMessage): OutgoingMessage {
  const { payload, headers, throttleKeys } = message;
  return {
    ...message,
    payload: payload.slice(),
    headers: headers && { ...headers },
    throttleKeys: throttleKeys && [...throttleKeys],
  };
}
