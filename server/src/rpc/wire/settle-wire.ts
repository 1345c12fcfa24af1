// Settlements in wire form, both ways.
import type { LeaseToken, SettleAction, SettleItem } from "../../core/commands.ts";
import type { LostLease, SettleOutcome } from "../../core/effects.ts";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import type { PartialFrameBuilder } from "../../delivery/partial-frame.ts";
import { writeTimestamp } from "./delivery-wire.ts";
import { beyondAYear } from "./enqueue-options.ts";
import { itemError } from "./item-error.ts";
import { maxMessageIdBytes, maxNackErrorBytes, maxVisibilityMs, minVisibilityMs } from "./limits.ts";
import { validUtf8 } from "./wire-reader.ts";
import type { WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

const tokenBytes = 8;
/** By the number of SettlementAction. */
const actions: readonly (SettleAction | undefined)[] = [undefined, "ack", "nack", "extend", "release"];

/** What the fields of one settlement said; also of an Ack and a Nack. */
export interface SettlementDraft {
  id: string;
  token: LeaseToken | undefined;
  action: number;
  error: string;
  extendMs: number | bigint;
  /** undefined: absent, which differs from 0. */
  retryDelayMs: number | bigint | undefined;
  deadLetter: boolean;
  failure: Failure | undefined;
}

export function newDraft(action = 0): SettlementDraft {
  return {
    id: "",
    token: undefined,
    action,
    error: "",
    extendMs: 0,
    retryDelayMs: undefined,
    deadLetter: false,
    failure: undefined,
  };
}

/** Reads the settlement in the field at the reader into `settlements`. */
export function readSettlement(reader: WireReader, settlements: PartialFrameBuilder<SettleItem>): void {
  const length = reader.length();
  const outerEnd = reader.end;
  reader.end = reader.pos + length;
  const draft = newDraft();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case (1 << 3) | 2:
        readId(reader, draft);
        break;
      case (2 << 3) | 2:
        readToken(reader, draft);
        break;
      case (3 << 3) | 0:
        draft.action = reader.uint32();
        break;
      case (4 << 3) | 2:
        readError(reader, draft);
        break;
      case (5 << 3) | 0:
        draft.extendMs = reader.uint64();
        break;
      case (6 << 3) | 0:
        draft.retryDelayMs = reader.uint64();
        break;
      case (7 << 3) | 0:
        draft.deadLetter = reader.uint64() !== 0;
        break;
      default:
        if (tag >>> 3 <= 7) reader.fail(`field ${tag >>> 3} of a settlement has the wrong wire type`);
        else reader.skip(tag);
    }
  }
  reader.end = outerEnd;
  if (reader.fault !== undefined) {
    reader.pos = outerEnd;
    return;
  }
  const settled = itemOf(draft);
  if ("reason" in settled) settlements.refuse(settled);
  else settlements.accept(settled);
}

/** A settlement of many names its lease; only Ack and Nack know a form without. */
function itemOf(draft: SettlementDraft): SettleItem | Failure {
  if (draft.failure !== undefined) return draft.failure;
  if (draft.token === undefined) {
    const message = "the settlement has no lease_token; send the one that came with the message";
    return failure("TOKEN_REQUIRED", message, { field: "lease_token" });
  }
  const extendMs = Number(draft.extendMs);
  if (extendMs !== 0 && (extendMs < minVisibilityMs || extendMs > maxVisibilityMs)) {
    const range = `${minVisibilityMs} to ${maxVisibilityMs}, or 0 for the lease's own duration`;
    return failure("INVALID_FIELD", `extend_ms is ${draft.extendMs}; give ${range}`, { field: "extend_ms" });
  }
  return settleItem(draft, extendMs);
}

export function settleItem(draft: SettlementDraft, extendMs = 0): SettleItem | Failure {
  if (draft.failure !== undefined) return draft.failure;
  const action = actions[draft.action];
  if (action === undefined) {
    const message = `the settlement has action ${draft.action}; choose ACK, NACK, EXTEND or RELEASE`;
    return failure("INVALID_FIELD", message, { field: "action" });
  }
  const { id, token, error, retryDelayMs, deadLetter } = draft;
  // The two are of nacks only, and rare.
  if (action !== "nack" || (retryDelayMs === undefined && !deadLetter)) return { id, token, action, error, extendMs };
  const wrong = retryDelayMs === undefined ? undefined : beyondAYear("retry_delay_ms", retryDelayMs);
  if (wrong !== undefined) return wrong;
  const delayMs = retryDelayMs === undefined ? undefined : Number(retryDelayMs);
  return { id, token, action, error, extendMs, delayMs, deadLetter };
}

export function readId(reader: WireReader, draft: SettlementDraft): void {
  const length = reader.length();
  const start = reader.pos;
  reader.pos = start + length;
  if (length > maxMessageIdBytes) {
    const message = `message_id is ${length} bytes long; send the id that came with the message`;
    draft.failure ??= failure("INVALID_FIELD", message, { field: "message_id" });
  } else if (!validUtf8(reader.buf, start, start + length)) reader.fail("message_id is not valid UTF-8");
  else draft.id = reader.buf.toString("utf8", start, start + length);
}

/** An empty token is an absent one, as proto3 has it. */
export function readToken(reader: WireReader, draft: SettlementDraft): void {
  const length = reader.length();
  const start = reader.pos;
  reader.pos = start + length;
  draft.token = undefined;
  if (length === tokenBytes) {
    draft.token = { high: reader.buf.readUInt32BE(start), low: reader.buf.readUInt32BE(start + 4) };
  } else if (length !== 0) {
    const message = `lease_token is ${length} bytes long; send the 8 bytes that came with the message`;
    draft.failure ??= failure("INVALID_FIELD", message, { field: "lease_token" });
  }
}

/** A reason is text for people: one that is too long is cut, not refused. */
export function readError(reader: WireReader, draft: SettlementDraft): void {
  const length = reader.length();
  const start = reader.pos;
  reader.pos = start + length;
  if (!validUtf8(reader.buf, start, start + length)) {
    reader.fail("error is not valid UTF-8");
    return;
  }
  let end = start + Math.min(length, maxNackErrorBytes);
  // Not within a character: continuation bytes are 10xxxxxx.
  while (end < start + length && end > start && (reader.buf[end]! & 0xc0) === 0x80) end--;
  draft.error = reader.buf.toString("utf8", start, end);
}

/** `results` of SettleResponse: one per settlement. */
export function writeSettleResults(out: WireWriter, field: number, outcomes: readonly SettleOutcome[]): void {
  for (const outcome of outcomes) {
    out.begin(field, typeof outcome === "object" ? 120 : 14);
    if (typeof outcome === "number") writeTimestamp(out, 2, outcome);
    else if (outcome !== undefined) itemError(out, 1, outcome);
    out.finish();
  }
}

/** A field of type SettlementResults: only failures and extensions are named. */
export function writeSettlementResults(
  out: WireWriter,
  field: number,
  settlementFrame: number | bigint,
  outcomes: readonly SettleOutcome[],
): void {
  out.begin(field, 10);
  out.uint64Field(1, settlementFrame);
  for (let index = 0; index < outcomes.length; index++) {
    const outcome = outcomes[index];
    if (outcome === undefined) continue;
    const extended = typeof outcome === "number";
    out.begin(extended ? 3 : 2, extended ? 18 : 120);
    out.uint32Field(1, index);
    if (extended) writeTimestamp(out, 2, outcome);
    else itemError(out, 2, outcome);
    out.finish();
  }
  out.finish();
}

/** A field of type LeaseLost. */
export function writeLeaseLost(out: WireWriter, field: number, lease: LostLease): void {
  out.begin(field, 60);
  out.stringField(1, lease.id);
  out.tokenField(2, lease.token.high, lease.token.low);
  out.stringField(3, "LEASE_LOST");
  out.finish();
}
