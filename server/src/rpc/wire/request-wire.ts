// The requests of the consuming side, read off the wire. The caller learns the first thing that is wrong.
import type { SettleItem } from "../../core/commands.ts";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { queueNameFailure } from "../../core/queue-name.ts";
import type { LeaseFrame, LeaseSubscription } from "../../delivery/lease-session.ts";
import { PartialFrameBuilder } from "../../delivery/partial-frame.ts";
import type { PartialFrame } from "../../delivery/partial-frame.ts";
import { malformed } from "./enqueue-wire.ts";
import {
  maxLeaseMessages,
  maxLeaseWaitMs,
  maxSessionBytes,
  maxSettlementsPerFrame,
  maxVisibilityMs,
  maxWorkerIdBytes,
  minVisibilityMs,
} from "./limits.ts";
import { newDraft, readError, readId, readSettlement, readToken, settleItem } from "./settle-wire.ts";
import { WireReader } from "./wire-reader.ts";

// Reading is synchronous and does not nest, so one reader serves all.
const reader = new WireReader();

export interface SettleCall {
  readonly queue: string;
  readonly settlements: PartialFrame<SettleItem>;
}

export interface LeaseCall {
  readonly queue: string;
  readonly maxMessages: number;
  readonly waitMs: number;
  readonly visibilityMs: number;
  readonly worker: string;
}

/** ConsumeRequest: the queue. */
export function readConsume(bytes: Uint8Array): { readonly queue: string } | Failure {
  let queue = "";
  reader.reset(bytes);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === ((1 << 3) | 2)) queue = reader.string();
    else skipUnknown(tag, 1);
  }
  if (reader.fault !== undefined) return malformed("ConsumeRequest", reader.fault);
  return queueNameFailure(queue) ?? { queue };
}

/** AckRequest or NackRequest: one settlement, for which a token is not required. */
export function readAckOrNack(bytes: Uint8Array, action: "ack" | "nack"): SettleCall | Failure {
  let queue = "";
  const draft = newDraft(action === "ack" ? 1 : 2);
  reader.reset(bytes);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === ((1 << 3) | 2)) queue = reader.string();
    else if (tag === ((2 << 3) | 2)) readId(reader, draft);
    else if (tag === ((3 << 3) | 2) && action === "nack") readError(reader, draft);
    else if (tag === ((16 << 3) | 2)) readToken(reader, draft);
    else if (tag === ((17 << 3) | 0) && action === "nack") draft.retryDelayMs = reader.uint64();
    else if (tag === ((18 << 3) | 0) && action === "nack") draft.deadLetter = reader.uint64() !== 0;
    else if (tag >>> 3 >= 16 && tag >>> 3 <= (action === "ack" ? 16 : 18)) {
      reader.fail(`field ${tag >>> 3} has the wrong wire type`);
    } else skipUnknown(tag, action === "ack" ? 2 : 3);
  }
  if (reader.fault !== undefined) return malformed(action === "ack" ? "AckRequest" : "NackRequest", reader.fault);
  const item = settleItem(draft);
  if ("reason" in item) return item;
  return queueNameFailure(queue) ?? { queue, settlements: { items: [item], refused: undefined } };
}

/** SettleRequest. */
export function readSettle(bytes: Uint8Array): SettleCall | Failure {
  let queue = "";
  let count = 0;
  const settlements = new PartialFrameBuilder<SettleItem>();
  reader.reset(bytes);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === ((1 << 3) | 2)) queue = reader.string();
    else if (tag === ((2 << 3) | 2)) {
      if (++count > maxSettlementsPerFrame) return tooManySettlements();
      readSettlement(reader, settlements);
    } else skipUnknown(tag, 2);
  }
  if (reader.fault !== undefined) return malformed("SettleRequest", reader.fault);
  return queueNameFailure(queue) ?? { queue, settlements };
}

/** LeaseRequest. */
export function readLease(bytes: Uint8Array): LeaseCall | Failure {
  let queue = "";
  let maxMessages = 0;
  let waitMs: number | bigint = 0;
  let visibilityMs: number | bigint = 0;
  let worker = "";
  reader.reset(bytes);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === ((1 << 3) | 2)) queue = reader.string();
    else if (tag === ((2 << 3) | 0)) maxMessages = reader.uint32();
    else if (tag === ((3 << 3) | 0)) waitMs = reader.uint64();
    else if (tag === ((4 << 3) | 0)) visibilityMs = reader.uint64();
    else if (tag === ((5 << 3) | 2)) worker = reader.string();
    else skipUnknown(tag, 5);
  }
  if (reader.fault !== undefined) return malformed("LeaseRequest", reader.fault);
  const wrong =
    queueNameFailure(queue) ??
    above("max_messages", maxMessages, maxLeaseMessages) ??
    above("wait_ms", waitMs, maxLeaseWaitMs) ??
    visibilityFailure("", visibilityMs) ??
    longerThan("worker_id", worker, maxWorkerIdBytes);
  if (wrong !== undefined) return wrong;
  return {
    queue,
    maxMessages: maxMessages === 0 ? 1 : maxMessages,
    waitMs: Number(waitMs),
    visibilityMs: Number(visibilityMs),
    worker,
  };
}

/** StreamLeaseRequest. */
export function readStreamLease(bytes: Uint8Array): LeaseFrame | Failure {
  let subscription: SubscriptionDraft | undefined;
  let credit = 0;
  let stop = false;
  let settlementFrame: number | bigint = 0;
  let count = 0;
  const settlements = new PartialFrameBuilder<SettleItem>();
  reader.reset(bytes);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === ((1 << 3) | 2)) subscription = readSubscription(subscription);
    else if (tag === ((2 << 3) | 0)) credit = reader.uint32();
    else if (tag === ((3 << 3) | 0)) settlementFrame = reader.uint64();
    else if (tag === ((4 << 3) | 2)) {
      if (++count > maxSettlementsPerFrame) return tooManySettlements();
      readSettlement(reader, settlements);
    } else if (tag === ((5 << 3) | 0)) stop = reader.uint64() !== 0;
    else skipUnknown(tag, 5);
  }
  if (reader.fault !== undefined) return malformed("StreamLeaseRequest", reader.fault);
  const subscribe = subscription === undefined ? undefined : checkedSubscription(subscription);
  if (subscribe !== undefined && "reason" in subscribe) return subscribe;
  return { subscribe, credit, stop, settlementFrame, settlements };
}

interface SubscriptionDraft {
  queue: string;
  session: string;
  worker: string;
  visibilityMs: number | bigint;
}

/** A subscription sent twice is merged, as protobuf does. */
function readSubscription(before: SubscriptionDraft | undefined): SubscriptionDraft {
  const draft = before ?? { queue: "", session: "", worker: "", visibilityMs: 0 };
  const length = reader.length();
  const outerEnd = reader.end;
  reader.end = reader.pos + length;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === ((1 << 3) | 2)) draft.queue = reader.string();
    else if (tag === ((2 << 3) | 2)) draft.session = reader.string();
    else if (tag === ((3 << 3) | 2)) draft.worker = reader.string();
    else if (tag === ((4 << 3) | 0)) draft.visibilityMs = reader.uint64();
    else skipUnknown(tag, 4);
  }
  reader.end = outerEnd;
  if (reader.fault !== undefined) reader.pos = outerEnd;
  return draft;
}

function checkedSubscription(draft: SubscriptionDraft): LeaseSubscription | Failure {
  const { queue, session, worker, visibilityMs } = draft;
  return (
    queueNameFailure(queue) ??
    longerThan("subscribe.session", session, maxSessionBytes) ??
    longerThan("subscribe.worker_id", worker, maxWorkerIdBytes) ??
    visibilityFailure("subscribe.", visibilityMs) ?? { queue, session, worker, visibilityMs: Number(visibilityMs) }
  );
}

/** Fields up to `known` were looked for: one that comes here has the wrong wire type. */
function skipUnknown(tag: number, known: number): void {
  if (tag >>> 3 <= known) reader.fail(`field ${tag >>> 3} has the wrong wire type`);
  else reader.skip(tag);
}

function above(field: string, value: number | bigint, max: number): Failure | undefined {
  if (value <= max) return undefined;
  return failure("INVALID_FIELD", `${field} is ${value}; give at most ${max}`, { field });
}

function longerThan(field: string, text: string, maxBytes: number): Failure | undefined {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return undefined;
  return failure("INVALID_FIELD", `${field} is ${bytes} bytes long; shorten it to at most ${maxBytes}`, { field });
}

function visibilityFailure(path: string, value: number | bigint): Failure | undefined {
  if (value === 0 || (value >= minVisibilityMs && value <= maxVisibilityMs)) return undefined;
  const field = `${path}visibility_timeout_ms`;
  const range = `${minVisibilityMs} to ${maxVisibilityMs}, or 0 for the queue's`;
  return failure("INVALID_FIELD", `${field} is ${value}; give ${range}`, { field });
}

function tooManySettlements(): Failure {
  const message = `the request holds more than ${maxSettlementsPerFrame} settlements; send fewer at once`;
  return failure("INVALID_REQUEST", message, { field: "settlements" });
}
