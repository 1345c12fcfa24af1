// What a dead-lettered message failed of: a record of its own, read only when somebody asks.
import type { FailureRecord } from "../../core/mutations.ts";
import type { DeadLetterReason } from "../../core/retry-policy.ts";
import { ByteReader, ByteWriter, MalformedRecordError } from "./bytes.ts";
import { envelopeBytes, isIntact, seal } from "./envelope.ts";

/** Stored by number: append only. */
const reasons: readonly DeadLetterReason[] = ["max_attempts", "rejected", "hook", "ttl", "corrupt"];
const out = new ByteWriter();

export function writeFailureRecord(key: Uint8Array, failure: FailureRecord): Buffer {
  out.byte(reasons.indexOf(failure.reason));
  out.string(failure.error);
  out.varint(failure.firstFailedAt);
  out.varint(failure.lastFailedAt);
  out.string(failure.sourceQueue);
  return seal(key, out.take(envelopeBytes));
}

/** undefined: the bytes there are not what was written. */
export function readFailureRecord(key: Uint8Array, value: Uint8Array): FailureRecord | undefined {
  if (!isIntact(key, value)) return undefined;
  const reader = new ByteReader(value, envelopeBytes);
  const reason = reasons[reader.byte()];
  if (reason === undefined) throw new MalformedRecordError("a failure of unknown reason");
  return {
    reason,
    error: reader.string(),
    firstFailedAt: reader.varint(),
    lastFailedAt: reader.varint(),
    sourceQueue: reader.string(),
  };
}
