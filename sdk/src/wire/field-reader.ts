// Walks the protobuf wire format without building objects: one field after the other, contents by place.
import { FilaError } from "../errors.ts";

// A U+FEFF at the beginning of a text belongs to it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Of Buffer, but works on any Uint8Array. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice: (this: Uint8Array, start: number, end: number) => string;
};

/**
 * Reads the fields of one message between two places of a buffer:
 * `while (reader.next()) switch (reader.field) { case 1: reader.text(); ... }`.
 * Fields that the loop does not read are skipped.
 */
export class FieldReader {
  buffer: Uint8Array;
  /** The number of the current field. */
  field = 0;
  /** varint fields: the value, exact up to 2^53. */
  value = 0;
  /** length-delimited fields: where the content begins and ends. */
  start = 0;
  end = 0;
  #position: number;
  #limit: number;

  constructor(buffer: Uint8Array, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.#position = start;
    this.#limit = end;
  }

  /** Begins anew with the fields of another message: for those who read many and make one reader. */
  reset(buffer: Uint8Array, start: number, end: number): void {
    this.buffer = buffer;
    this.#position = start;
    this.#limit = end;
  }

  /** Goes to the next field. False at the end. Throws FilaError internal PROTOCOL_ERROR on malformed bytes. */
  next(): boolean {
    if (this.#position >= this.#limit) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.value = 0;
    this.start = this.end = this.#position;
    switch (tag & 7) {
      case 0:
        this.value = this.#varint();
        break;
      case 1:
        this.#position += 8;
        break;
      case 2: {
        const size = this.#varint();
        this.start = this.#position;
        this.#position += size;
        this.end = this.#position;
        break;
      }
      case 5:
        this.#position += 4;
        break;
      default:
        throw malformed();
    }
    if (this.#position > this.#limit) throw malformed();
    return true;
  }

  /** The current field as string. */
  text(): string {
    return decoder.decode(this.bytes());
  }

  /** The current field as string, which is ASCII: far cheaper. */
  ascii(): string {
    return latin1Slice.call(this.buffer, this.start, this.end);
  }

  /** The current field as a view into the buffer. */
  bytes(): Uint8Array {
    // Not by subarray, which asks what kind of array to make; and never a Buffer, whose methods mean other things.
    return new Uint8Array(this.buffer.buffer, this.buffer.byteOffset + this.start, this.end - this.start);
  }

  /** The fields of the current field, which is a message. */
  message(): FieldReader {
    return new FieldReader(this.buffer, this.start, this.end);
  }

  #varint(): number {
    const first = this.buffer[this.#position]!;
    if (first < 128 && this.#position < this.#limit) {
      this.#position++;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (this.#position >= this.#limit) throw malformed();
      const byte = this.buffer[this.#position++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw malformed();
  }
}

/**
 * How many of these bytes are whole fields, and how long the field behind them is; 0 = there is none, or it does not tell yet.
 * Throws FilaError internal PROTOCOL_ERROR.
 */
export function wholeFields(bytes: Uint8Array): { readonly whole: number; readonly next: number } {
  let whole = 0;
  while (whole < bytes.length) {
    const end = fieldEnd(bytes, whole);
    if (end === undefined) return { whole, next: 0 };
    if (end > bytes.length) return { whole, next: end - whole };
    whole = end;
  }
  return { whole, next: 0 };
}

/** Where the field ends that begins here, which may be beyond the bytes. undefined: they do not tell. */
function fieldEnd(bytes: Uint8Array, start: number): number | undefined {
  const tagEnd = varintEnd(bytes, start);
  if (tagEnd === undefined) return undefined;
  switch (bytes[start]! & 7) {
    case 0:
      return varintEnd(bytes, tagEnd);
    case 1:
      return tagEnd + 8;
    case 2: {
      const contentStart = varintEnd(bytes, tagEnd);
      if (contentStart === undefined) return undefined;
      let size = 0;
      for (let at = contentStart - 1; at >= tagEnd; at--) size = size * 128 + (bytes[at]! & 127);
      return contentStart + size;
    }
    case 5:
      return tagEnd + 4;
    default:
      throw malformed();
  }
}

function varintEnd(bytes: Uint8Array, start: number): number | undefined {
  for (let at = start; at < start + 10; at++) {
    if (at >= bytes.length) return undefined;
    if (bytes[at]! < 128) return at + 1;
  }
  throw malformed();
}

/** Milliseconds since 1970 of a google.protobuf.Timestamp. */
export function timestampMs(reader: FieldReader): number {
  let ms = 0;
  while (reader.next()) {
    if (reader.field === 1) ms += reader.value * 1000;
    else if (reader.field === 2) ms += reader.value / 1e6;
  }
  return ms;
}

/** The error of bytes that are no message. */
export function malformed(): FilaError {
  return new FilaError(
    "internal",
    "PROTOCOL_ERROR",
    "the server sent bytes that are no fila.v1 message; is this address a Fila server?",
  );
}
