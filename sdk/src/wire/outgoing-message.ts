// EnqueueRequest as bytes, written straight into the frame that will carry it.
import { fieldSize, utf8Size, varintSize, type FrameWriter } from "./frame-writer.ts";

/** When a message may be delivered. Milliseconds; 0 = no such bound. */
export interface MessageTiming {
  readonly delayMs: number;
  /** Since 1970. */
  readonly deliverAtMs: number | undefined;
  readonly ttlMs: number;
}

/** A message on its way to the broker, already checked. */
export interface OutgoingMessage {
  readonly queue: string;
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly fairnessKey: string | undefined;
  readonly weight: number | undefined;
  readonly cost: number | undefined;
  readonly throttleKeys: readonly string[] | undefined;
  readonly timing: MessageTiming | undefined;
  readonly idempotencyKey: string | undefined;
}

/** Tags of EnqueueRequest: field number * 8 + wire type. */
const tag = {
  queue: 10,
  headers: 18,
  payload: 26,
  fairnessKey: 130,
  weight: 136,
  cost: 144,
  throttleKeys: 154,
  deliverAt: 162,
  delayMs: 168,
  ttlMs: 176,
  idempotencyKey: 186,
};

/** Bytes of the EnqueueRequest. A message of the frame's own queue does not name it. */
export function outgoingSize(message: OutgoingMessage, frameQueue: string): number {
  let size = fieldSize(1, message.payload.length);
  if (message.queue !== frameQueue) size += fieldSize(1, utf8Size(message.queue));
  if (message.fairnessKey !== undefined) size += fieldSize(2, utf8Size(message.fairnessKey));
  if (message.weight !== undefined) size += 2 + varintSize(message.weight);
  if (message.cost !== undefined) size += 2 + varintSize(message.cost);
  if (message.throttleKeys !== undefined) {
    for (const key of message.throttleKeys) size += fieldSize(2, utf8Size(key));
  }
  if (message.headers !== undefined) {
    for (const name in message.headers) size += fieldSize(1, headerSize(name, message.headers[name] ?? ""));
  }
  if (message.timing !== undefined) size += timingSize(message.timing);
  if (message.idempotencyKey !== undefined) size += fieldSize(2, utf8Size(message.idempotencyKey));
  return size;
}

/** Writes the EnqueueRequest without tag and length; `outgoingSize` bytes must be reserved. */
export function writeOutgoing(writer: FrameWriter, message: OutgoingMessage, frameQueue: string): void {
  if (message.queue !== frameQueue) writeText(writer, tag.queue, message.queue);
  if (message.headers !== undefined) {
    for (const name in message.headers) {
      const value = message.headers[name] ?? "";
      writer.varint(tag.headers);
      writer.varint(headerSize(name, value));
      writeText(writer, 10, name);
      writeText(writer, 18, value);
    }
  }
  writer.varint(tag.payload);
  writer.varint(message.payload.length);
  writer.bytes(message.payload);
  if (message.fairnessKey !== undefined) writeText(writer, tag.fairnessKey, message.fairnessKey);
  if (message.weight !== undefined) {
    writer.varint(tag.weight);
    writer.varint(message.weight);
  }
  if (message.cost !== undefined) {
    writer.varint(tag.cost);
    writer.varint(message.cost);
  }
  if (message.throttleKeys !== undefined) {
    for (const key of message.throttleKeys) writeText(writer, tag.throttleKeys, key);
  }
  if (message.timing !== undefined) writeTiming(writer, message.timing);
  if (message.idempotencyKey !== undefined) writeText(writer, tag.idempotencyKey, message.idempotencyKey);
}

function timingSize({ delayMs, deliverAtMs, ttlMs }: MessageTiming): number {
  let size = 0;
  if (deliverAtMs !== undefined) size += fieldSize(2, timestampSize(deliverAtMs));
  if (delayMs > 0) size += 2 + varintSize(delayMs);
  if (ttlMs > 0) size += 2 + varintSize(ttlMs);
  return size;
}

function writeTiming(writer: FrameWriter, { delayMs, deliverAtMs, ttlMs }: MessageTiming): void {
  if (deliverAtMs !== undefined) {
    writer.varint(tag.deliverAt);
    writer.varint(timestampSize(deliverAtMs));
    writer.varint(8);
    writer.varint(Math.floor(deliverAtMs / 1000));
    writer.varint(16);
    writer.varint((deliverAtMs % 1000) * 1_000_000);
  }
  if (delayMs > 0) {
    writer.varint(tag.delayMs);
    writer.varint(delayMs);
  }
  if (ttlMs > 0) {
    writer.varint(tag.ttlMs);
    writer.varint(ttlMs);
  }
}

function timestampSize(ms: number): number {
  return 2 + varintSize(Math.floor(ms / 1000)) + varintSize((ms % 1000) * 1_000_000);
}

function headerSize(name: string, value: string): number {
  return fieldSize(1, utf8Size(name)) + fieldSize(1, utf8Size(value));
}

function writeText(writer: FrameWriter, tagNumber: number, text: string): void {
  const size = utf8Size(text);
  writer.varint(tagNumber);
  writer.varint(size);
  writer.text(text, size);
}
