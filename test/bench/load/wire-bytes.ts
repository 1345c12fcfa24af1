// The few messages that the load reads and writes without objects.
import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { EnqueueRequestSchema, EnqueueResultSchema, LeasedMessageSchema } from "@fila/sdk/gen";

/** EnqueueRequest with a payload and, unless it is empty, a fairness key. */
export function enqueueBody(payload: Uint8Array, fairnessKey: string): Uint8Array {
  return toBinary(
    EnqueueRequestSchema,
    create(EnqueueRequestSchema, { payload, ...(fairnessKey !== "" && { fairnessKey }) }),
  );
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
const settlementLength = 2 + idLength + 2 + tokenLength + 2;

/** The Settlement that acks a LeasedMessage: id and token are copied from one wire form to the other. */
export function ackOf(leased: Uint8Array): Uint8Array {
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
  const settlement = new Uint8Array(settlementLength);
  settlement.set(leased.subarray(at, at + 2 + idLength), 0); // message_id is field 1 too
  settlement.set(leased.subarray(token, token + 2 + tokenLength), 2 + idLength); // lease_token is field 2 too
  settlement[settlementLength - 2] = 0x18; // action
  settlement[settlementLength - 1] = 1; // ACK
  return settlement;
}
