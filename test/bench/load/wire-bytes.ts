// The few messages that the load reads and writes without objects.
import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { EnqueueRequestSchema, EnqueueResultSchema, LeasedMessageSchema } from "@fila/sdk/gen";

/** EnqueueRequest in wire form. */
export function enqueueBody(request: MessageInitShape<typeof EnqueueRequestSchema>): Uint8Array {
  return toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, request));
}

/** The EnqueueRequest with an idempotency key of less than 128 bytes. */
export function withIdempotencyKey(request: Uint8Array, key: string): Uint8Array {
  const bytes = Buffer.from(key);
  return Buffer.concat([request, Buffer.of(0xba, 0x01, bytes.length), bytes]); // field 23
}

const messageIdTag = 0x0a;

/** Throws unless the EnqueueResult is a message id. */
export function assertStored(result: Uint8Array): void {
  if (result[0] === messageIdTag && result.length === 38) return;
  const { result: decoded } = fromBinary(EnqueueResultSchema, result);
  if (decoded.case !== "messageId") throw new Error(`not stored: ${JSON.stringify(decoded.value)}`);
}

const idLength = 36;
const tokenLength = 8;
const leaseLength = 2 + idLength + 2 + tokenLength;

/** What a Settlement says besides whose lease it ends. */
export type SettlementTail = Uint8Array;

export const ackTail: SettlementTail = Buffer.of(0x18, 1); // action: ACK

/** To the dead-letter queue; the error has less than 128 bytes. */
export function deadLetterTail(error: string): SettlementTail {
  const bytes = Buffer.from(error);
  return Buffer.concat([Buffer.of(0x18, 2, 0x22, bytes.length), bytes, Buffer.of(0x38, 1)]); // NACK, error, dead_letter
}

/** A Settlement of a LeasedMessage: id and token are copied from one wire form to the other. */
export function settlementOf(leased: Uint8Array, tail: SettlementTail): Uint8Array {
  // LeasedMessage: field 1 = Message, whose field 1 = id, comes first; field 2 = token.
  let length = 0;
  let at = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = leased[at++]!;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const token = at + length;
  const asWritten =
    leased[0] === 0x0a &&
    leased[at] === 0x0a &&
    leased[at + 1] === idLength &&
    leased[token] === 0x12 &&
    leased[token + 1] === tokenLength;
  if (!asWritten) throw new Error(`not a leased message: ${JSON.stringify(fromBinary(LeasedMessageSchema, leased))}`);
  const settlement = new Uint8Array(leaseLength + tail.length);
  settlement.set(leased.subarray(at, at + 2 + idLength), 0); // message_id is field 1 too
  settlement.set(leased.subarray(token, token + 2 + tokenLength), 2 + idLength); // lease_token is field 2 too
  settlement.set(tail, leaseLength);
  return settlement;
}
