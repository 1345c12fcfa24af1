// One frame of StreamEnqueue: messages on the way out, and who waits for their results.
import { errorFromItem, FilaError } from "../errors.ts";
import { FieldReader } from "../wire/field-reader.ts";
import { FrameWriter, utf8Size, varintSize } from "../wire/frame-writer.ts";
import { outgoingSize, writeOutgoing, type OutgoingMessage } from "../wire/outgoing-message.ts";
import type { Sink } from "./sink.ts";

/** A frame is full at so many bytes (it always takes one message) or messages. */
const maximumFrameBytes = 256 * 1024;
const maximumFrameMessages = 1000;
/** What a pending message is counted as beyond its payload, bytes: envelope, promise, result. */
export const perMessageBytes = 256;

/** Encodes at once: what the caller does to its payload after `add` changes nothing. */
export class EnqueueFrame {
  readonly number: number;
  readonly queue: string;
  readonly #writer: FrameWriter;
  readonly #sinks: Sink[] = [];
  #payloadBytes = 0;

  /** `capacity`: expected bytes. */
  constructor(number: number, queue: string, capacity: number) {
    this.number = number;
    this.queue = queue;
    this.#writer = new FrameWriter(Math.max(capacity, utf8Size(queue) + 32));
    this.#writer.varintField(8, number);
    this.#writer.textField(26, queue);
  }

  get bytes(): number {
    return this.#writer.size;
  }

  /** What its messages count against the bound of all that is pending, bytes. */
  get pendingBytes(): number {
    return this.#payloadBytes + this.#sinks.length * perMessageBytes;
  }

  get full(): boolean {
    return this.#sinks.length >= maximumFrameMessages || this.#writer.size >= maximumFrameBytes;
  }

  /** False: it does not fit, take the next frame. */
  add(message: OutgoingMessage, sink: Sink): boolean {
    const size = outgoingSize(message, this.queue);
    if (this.full || (this.#sinks.length > 0 && this.#writer.size + size > maximumFrameBytes)) return false;
    this.#writer.reserve(1 + varintSize(size) + size);
    this.#writer.varint(18);
    this.#writer.varint(size);
    writeOutgoing(this.#writer, message, this.queue);
    this.#sinks.push(sink);
    this.#payloadBytes += message.payload.length;
    return true;
  }

  encoded(): Uint8Array {
    return this.#writer.finish();
  }

  /** Hands each message its result from a StreamEnqueueResponse. Throws FilaError internal when they do not match. */
  settle(response: Uint8Array): void {
    const results = readResults(response, this.number);
    if (results.length !== this.#sinks.length) {
      throw new FilaError(
        "internal",
        "PROTOCOL_ERROR",
        `${results.length} results came for ${this.#sinks.length} messages`,
      );
    }
    this.#sinks.forEach((sink, i) => {
      const result = results[i];
      if (typeof result === "string") sink.resolve(result, false);
      else if (result instanceof Duplicate) sink.resolve(result.id, true);
      else if (result !== undefined) sink.reject(result);
    });
  }

  fail(error: FilaError): void {
    for (const sink of this.#sinks) sink.reject(error);
  }
}

/** A message that was not stored: its idempotency key belongs to another one. */
class Duplicate {
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }
}

type Result = string | Duplicate | FilaError;

function readResults(response: Uint8Array, expectedFrame: number): Result[] {
  const results: Result[] = [];
  // Only Buffer reads single-byte text from the middle of a buffer without a detour; ids are ASCII.
  const text = Buffer.from(response.buffer, response.byteOffset, response.byteLength);
  const reader = new FieldReader(response);
  let frame = 0;
  while (reader.next()) {
    if (reader.field === 1) frame = reader.value;
    else if (reader.field === 2) results.push(readResult(reader.message(), text));
  }
  if (frame !== expectedFrame) {
    throw new FilaError("internal", "PROTOCOL_ERROR", `results of frame ${frame} came where ${expectedFrame} was next`);
  }
  return results;
}

function readResult(reader: FieldReader, text: Buffer): Result {
  let result: string | FilaError | undefined;
  let duplicate = false;
  while (reader.next()) {
    if (reader.field === 1) result = text.toString("latin1", reader.start, reader.end);
    else if (reader.field === 2) result = readItemError(reader.message());
    else if (reader.field === 3) duplicate = reader.value !== 0;
  }
  if (duplicate && typeof result === "string") return new Duplicate(result);
  return result ?? new FilaError("internal", "PROTOCOL_ERROR", "a result came with neither an id nor an error");
}

/** ItemError as FilaError. */
export function readItemError(reader: FieldReader): FilaError {
  let code = 2;
  let reason = "";
  let message = "";
  while (reader.next()) {
    if (reader.field === 1) code = reader.value;
    else if (reader.field === 2) reason = reader.text();
    else if (reader.field === 3) message = reader.text();
  }
  return errorFromItem(code, reason, message);
}
