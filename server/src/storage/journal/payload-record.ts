// Bytes of messages of one queue, side by side: envelope | number of messages 4 | (CRC-32 4 | bytes)*. The envelope's
// checksum ends before the messages; each has its own, so that one flipped bit costs one message and not its neighbours.
// The checksum of a message is bound to its queue number and sequence, wherever its bytes are moved.
import { crc32 } from "node:zlib";
import { envelopeBytes, isIntact, seal } from "./envelope.ts";

export const payloadHeaderBytes = envelopeBytes + 4;
/** What a message takes in its record beside its bytes. */
export const payloadOverhead = 4;
/** A record is closed at this size, so that reading one message of an old backlog does not read megabytes. */
export const payloadRecordBytes = 64 * 1_024;

export interface PayloadPart {
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** Lays the parts out; `placed` learns where the bytes of each begin. */
export function buildPayloadRecord(
  key: Uint8Array,
  queueNumber: number,
  parts: readonly PayloadPart[],
  placed: (index: number, offset: number) => void,
): Buffer {
  let size = payloadHeaderBytes;
  for (const part of parts) size += payloadOverhead + part.body.byteLength;
  const value = Buffer.allocUnsafeSlow(size);
  value.writeUInt32BE(parts.length, envelopeBytes);
  let at = payloadHeaderBytes;
  for (let index = 0; index < parts.length; index += 1) {
    const { sequence, body } = parts[index] as PayloadPart;
    at = value.writeUInt32BE(crc32(body, identity(queueNumber, sequence)), at);
    value.set(body, at);
    placed(index, at);
    at += body.byteLength;
  }
  sealHeader(key, value);
  return value;
}

function sealHeader(key: Uint8Array, value: Buffer): void {
  seal(key, value.subarray(0, payloadHeaderBytes));
}

/** undefined: the bytes there are not those of the message. */
export function readPayload(
  value: Uint8Array,
  queueNumber: number,
  sequence: number,
  offset: number,
  length: number,
): Uint8Array | undefined {
  if (offset < payloadHeaderBytes + payloadOverhead || offset + length > value.byteLength) return undefined;
  const body = value.subarray(offset, offset + length);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return view.getUint32(offset - payloadOverhead) === crc32(body, identity(queueNumber, sequence)) ? body : undefined;
}

export function payloadHeaderIntact(key: Uint8Array, value: Uint8Array): boolean {
  return value.byteLength >= payloadHeaderBytes && isIntact(key, value.subarray(0, payloadHeaderBytes));
}

function identity(queueNumber: number, sequence: number): number {
  const low = sequence >>> 0;
  const high = Math.floor(sequence / 0x1_0000_0000);
  return (Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b) ^ Math.imul(queueNumber, 0xc2b2ae35)) >>> 0;
}
