// Reads enqueue requests off the wire without decoding them: it finds the routing fields, checks the rest, and keeps
// headers and payload as the bytes that they came as.
import type { EnqueueItem } from "../../core/commands.ts";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { queueNameFailure } from "../../core/queue-name.ts";
import { OptionsDraft, deliverAtTag, delayTag, idempotencyKeyTag, ttlTag } from "./enqueue-options.ts";
import { messageBody } from "./message-body.ts";
import { StringCache } from "./string-cache.ts";
import { WireReader, validUtf8 } from "./wire-reader.ts";
import {
  defaultFairnessKey,
  maxCost,
  maxFairnessKeyBytes,
  maxThrottleKeyBytes,
  maxThrottleKeys,
  maxWeight,
} from "./limits.ts";
import type { MessageLimits } from "./limits.ts";

export type { MessageLimits } from "./limits.ts";

// field number << 3 | wire type of EnqueueRequest
const queueTag = (1 << 3) | 2;
const headersTag = (2 << 3) | 2;
const payloadTag = (3 << 3) | 2;
const fairnessKeyTag = (16 << 3) | 2;
const weightTag = (17 << 3) | 0;
const costTag = (18 << 3) | 0;
const throttleKeysTag = (19 << 3) | 2;

const noKeys: readonly string[] = Object.freeze([]);
const strings = new StringCache();
// The walk is synchronous and does not nest, so one reader and one scratch serve all.
const reader = new WireReader();

/** The fields found so far. `failure` is the first thing found wrong. */
const found = {
  queue: "",
  fairnessKey: "",
  weight: 0,
  cost: 1,
  throttleKeys: noKeys as string[] | readonly string[],
  options: undefined as OptionsDraft | undefined,
  bodyStart: 0,
  bodyEnd: 0,
  /** The body is one run of the input that may be kept as it is. */
  clean: true,
  payloadSeen: false,
  payloadBytes: 0,
  headers: 0,
  headerBytes: 0,
  failure: undefined as Failure | undefined,
};

/** The last name that passed: interned by the cache, so it is mostly the same object. */
let lastGoodQueue = "default";

/**
 * One EnqueueRequest. `frameQueue` is used when the message names no queue. The item's `body` is a view into `bytes`
 * where that is possible.
 */
export function parseEnqueueRequest(
  bytes: Uint8Array,
  frameQueue: string,
  limits: MessageLimits,
): EnqueueItem | Failure {
  return parseEnqueueAt(bytes, 0, bytes.length, frameQueue, limits);
}

/** Whether parsing gave an item. */
export function isItem(parsed: EnqueueItem | Failure): parsed is EnqueueItem {
  return "body" in parsed;
}

/** The same for the message at [start, end) of `bytes`. */
export function parseEnqueueAt(
  bytes: Uint8Array,
  start: number,
  end: number,
  frameQueue: string,
  limits: MessageLimits,
): EnqueueItem | Failure {
  reader.reset(bytes, start, end);
  walk(limits);
  if (reader.fault !== undefined) return malformed("EnqueueRequest", reader.fault);
  if (found.failure !== undefined) return found.failure;
  const wrong = whatIsWrong(limits);
  if (wrong !== undefined) return wrong;
  const options = found.options?.finish();
  if (options !== undefined && "reason" in options) return options;
  const queue = found.queue === "" ? frameQueue : found.queue;
  if (queue !== lastGoodQueue) {
    const badName = queueNameFailure(queue);
    if (badName !== undefined) return badName;
    lastGoodQueue = queue;
  }
  const item = {
    queue,
    fairnessKey: found.fairnessKey === "" ? defaultFairnessKey : found.fairnessKey,
    weight: found.weight,
    cost: found.cost,
    throttleKeys: found.throttleKeys.length > 1 ? sortedDistinct(found.throttleKeys) : found.throttleKeys,
    body: found.clean ? reader.buf.subarray(found.bodyStart, found.bodyEnd) : messageBody(reader.buf, start, end),
  };
  return options === undefined ? item : { ...item, ...options };
}

export function malformed(message: string, fault: string): Failure {
  return failure("INVALID_REQUEST", `${message} is not valid protobuf: ${fault}; send the message anew`);
}

function walk(limits: MessageLimits): void {
  found.queue = "";
  found.fairnessKey = "";
  found.weight = 0;
  found.cost = 1;
  found.throttleKeys = noKeys;
  found.options = undefined;
  found.bodyStart = found.bodyEnd = 0;
  found.clean = true;
  found.payloadSeen = false;
  found.payloadBytes = found.headers = found.headerBytes = 0;
  found.failure = undefined;
  for (;;) {
    const fieldStart = reader.pos;
    const tag = reader.tag();
    switch (tag) {
      case 0:
        return;
      case queueTag:
        found.queue = string("queue");
        break;
      case headersTag:
        headerEntry(limits);
        extendBody(fieldStart);
        break;
      case payloadTag:
        found.payloadBytes = reader.length();
        reader.pos += found.payloadBytes;
        // A second payload replaces the first, which must not be stored beside it.
        if (found.payloadSeen) found.clean = false;
        found.payloadSeen = true;
        extendBody(fieldStart);
        break;
      case fairnessKeyTag:
        found.fairnessKey = string("fairness_key", maxFairnessKeyBytes);
        break;
      case weightTag:
        found.weight = numberField("weight", maxWeight);
        break;
      case costTag:
        found.cost = numberField("cost", maxCost);
        break;
      case throttleKeysTag:
        throttleKey();
        break;
      case deliverAtTag:
      case delayTag:
      case ttlTag:
      case idempotencyKeyTag:
        (found.options ??= new OptionsDraft()).read(reader, tag);
        break;
      default:
        if (isKnown(tag >>> 3)) reader.fail(`field ${tag >>> 3} has the wrong wire type`);
        else reader.skip(tag);
    }
  }
}

function isKnown(field: number): boolean {
  return (field >= 1 && field <= 3) || (field >= 16 && field <= 23);
}

function extendBody(fieldStart: number): void {
  if (found.bodyEnd === 0) found.bodyStart = fieldStart;
  else if (found.bodyEnd !== fieldStart) found.clean = false;
  found.bodyEnd = reader.pos;
}

/** A map entry: key and value, each at most once, and nothing else; anything more makes the body unclean. */
function headerEntry(limits: MessageLimits): void {
  const length = reader.length();
  const end = reader.pos + length;
  const outerEnd = reader.end;
  if (++found.headers > limits.maxHeaders) {
    // Whatever follows would only cost time.
    refuse("TOO_MANY_HEADERS", `the message has more than ${limits.maxHeaders} headers; send fewer`, "headers");
    reader.pos = outerEnd;
    return;
  }
  reader.end = end;
  let seen = 0;
  for (;;) {
    const tag = reader.tag();
    if (tag === 0) break;
    const field = tag >>> 3;
    if (field > 2) {
      reader.skip(tag);
      found.clean = false;
      continue;
    }
    if ((tag & 7) !== 2) {
      reader.fail("a header has the wrong wire type");
      break;
    }
    const bytes = reader.length();
    const start = reader.pos;
    reader.pos = start + bytes;
    found.headerBytes += bytes;
    if (!validUtf8(reader.buf, start, start + bytes))
      notUtf8(field === 1 ? "the key of a header" : "a header", "headers");
    if ((seen & field) !== 0) found.clean = false;
    seen |= field;
  }
  reader.end = outerEnd;
  if (reader.fault !== undefined) reader.pos = outerEnd;
}

function string(field: string, maxBytes = Number.MAX_SAFE_INTEGER): string {
  const length = reader.length();
  const start = reader.pos;
  reader.pos = start + length;
  if (length > maxBytes) {
    refuse("INVALID_FIELD", `${field} is ${length} bytes long; shorten it to at most ${maxBytes}`, field);
    return "";
  }
  // A queue may be as long as the request: what no queue can be called is not worth decoding.
  if (length > 1024) {
    refuse("INVALID_QUEUE_NAME", `the name of the queue is ${length} bytes long; shorten it to at most 255`, field);
    return "";
  }
  const text = strings.read(reader.buf, start, start + length);
  if (text === undefined) notUtf8(field, field);
  return text ?? "";
}

function throttleKey(): void {
  const count = found.throttleKeys.length;
  // Duplicates count once, so the list is cut down before it is refused.
  if (count >= maxThrottleKeys) found.throttleKeys = sortedDistinct(found.throttleKeys);
  const key = string("throttle_keys", maxThrottleKeyBytes);
  if (found.failure !== undefined || reader.fault !== undefined) return;
  if (key === "") {
    refuse("INVALID_FIELD", "a throttle key is empty; leave it out or name it in 1 to 247 bytes", "throttle_keys");
    return;
  }
  if (count === 0) found.throttleKeys = [key];
  else if (found.throttleKeys.length < maxThrottleKeys) (found.throttleKeys as string[]).push(key);
  else if (!found.throttleKeys.includes(key)) {
    refuse("INVALID_FIELD", `the message has more than ${maxThrottleKeys} throttle keys; send fewer`, "throttle_keys");
  }
}

function numberField(field: string, max: number): number {
  const value = reader.uint32();
  if (reader.fault === undefined && (value === 0 || value > max)) {
    refuse("INVALID_FIELD", `${field} is ${value}; give 1 to ${max}, or leave it out`, field);
  }
  return value;
}

function notUtf8(what: string, field: string): void {
  refuse("INVALID_FIELD", `${what} is not valid UTF-8; encode it as UTF-8, or put bytes into the payload`, field);
}

function refuse(reason: "INVALID_FIELD" | "INVALID_QUEUE_NAME" | "TOO_MANY_HEADERS", message: string, field: string) {
  found.failure ??= failure(reason, message, { field });
}

function whatIsWrong(limits: MessageLimits): Failure | undefined {
  if (found.payloadBytes > limits.maxPayloadBytes) {
    const message = `the payload is ${found.payloadBytes} bytes long; the limit is ${limits.maxPayloadBytes}`;
    return failure("MESSAGE_TOO_LARGE", `${message}: keep it elsewhere and send a reference`, { field: "payload" });
  }
  if (found.headerBytes > limits.maxHeaderBytes) {
    const message = `the headers are ${found.headerBytes} bytes long; the limit is ${limits.maxHeaderBytes}`;
    return failure("TOO_MANY_HEADERS", `${message}: put large values into the payload`, { field: "headers" });
  }
  return undefined;
}

function sortedDistinct(keys: readonly string[]): readonly string[] {
  return [...new Set(keys)].sort();
}
