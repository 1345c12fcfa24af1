// Protobuf wire format into one growing buffer that already has room for the envelope of the Connect protocol, so that
// a frame is encoded once and never copied again.

const envelopeBytes = 5;
const encoder = new TextEncoder();

/** Bytes that `value` takes as a varint. `value` is an integer from 0 to 2^53. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Bytes that a string takes in UTF-8; a lone surrogate counts as the replacement character that will stand for it. */
export function utf8Size(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      size += 1;
    } else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      size += 2;
      i++;
    } else {
      size += 2;
    }
  }
  return size;
}

/** Bytes that a length-delimited field takes. The tag has `tagSize` bytes. */
export function fieldSize(tagSize: number, contentSize: number): number {
  return tagSize + varintSize(contentSize) + contentSize;
}

/** Writes one message of the Connect streaming protocol. */
export class FrameWriter {
  #bytes: Uint8Array;
  #position = envelopeBytes;

  /** `capacity` in bytes is a first guess. */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity + envelopeBytes);
  }

  /** Bytes written, without the envelope. */
  get size(): number {
    return this.#position - envelopeBytes;
  }

  /** Makes room: everything written next must fit into the sizes reserved before. */
  reserve(size: number): void {
    const needed = this.#position + size;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#position));
    this.#bytes = grown;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#position++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#position++] = rest;
  }

  /** `size` = utf8Size(text), written without its length. */
  text(text: string, size: number): void {
    if (size === text.length) {
      const bytes = this.#bytes;
      let position = this.#position;
      for (let i = 0; i < text.length; i++) bytes[position++] = text.charCodeAt(i);
    } else {
      encoder.encodeInto(text, this.#bytes.subarray(this.#position));
    }
    this.#position += size;
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.length <= 16) {
      // A loop costs less than the call for so few.
      for (let i = 0; i < bytes.length; i++) this.#bytes[this.#position + i] = bytes[i]!;
    } else {
      this.#bytes.set(bytes, this.#position);
    }
    this.#position += bytes.length;
  }

  /** A string field. `tag` = field number * 8 + 2. */
  textField(tag: number, text: string): void {
    const size = utf8Size(text);
    this.reserve(size + 16);
    this.varint(tag);
    this.varint(size);
    this.text(text, size);
  }

  /** A bytes field. `tag` = field number * 8 + 2. */
  bytesField(tag: number, bytes: Uint8Array): void {
    this.reserve(bytes.length + 16);
    this.varint(tag);
    this.varint(bytes.length);
    this.bytes(bytes);
  }

  /** An integer field. `tag` = field number * 8. */
  varintField(tag: number, value: number): void {
    this.reserve(20);
    this.varint(tag);
    this.varint(value);
  }

  /** What was written, without the envelope. */
  content(): Uint8Array {
    return this.#bytes.subarray(envelopeBytes, this.#position);
  }

  /** The frame with its envelope. The writer is of no further use. */
  finish(): Uint8Array {
    const size = this.size;
    const bytes = this.#bytes;
    bytes[0] = 0;
    bytes[1] = size >>> 24;
    bytes[2] = (size >>> 16) & 255;
    bytes[3] = (size >>> 8) & 255;
    bytes[4] = size & 255;
    return bytes.subarray(0, this.#position);
  }
}
