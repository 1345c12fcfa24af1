// Writing and reading the journal's binary forms: LEB128 varints, zigzag for signed numbers, length-prefixed UTF-8.

/** A record that does not hold what its format says. */
export class MalformedRecordError extends Error {
  override readonly name = "MalformedRecordError";
}

// Without ignoreBOM a U+FEFF at the beginning would vanish, and two names would become one with a restart.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Up to here a loop writes ASCII faster than Node does. */
const shortChars = 48;

/** Appends to one buffer that grows; `take` copies what was written and starts over. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(4_096);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at] = value;
    this.#at += 1;
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#reserve(8);
    const buffer = this.#buffer;
    let at = this.#at;
    let rest = value;
    // Bit operations hold 32 bits only.
    while (rest > 0x7fff_ffff) {
      buffer[at] = (rest % 128) | 0x80;
      at += 1;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      buffer[at] = (rest & 127) | 128;
      at += 1;
      rest >>>= 7;
    }
    buffer[at] = rest;
    this.#at = at + 1;
  }

  /** A whole number of either sign, below 2^52. */
  signed(value: number): void {
    this.varint(value < 0 ? -value * 2 - 1 : value * 2);
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#at = this.#buffer.writeUInt32BE(value, this.#at);
  }

  string(value: string): void {
    if (value.length <= shortChars && this.#shortAscii(value)) return;
    const length = Buffer.byteLength(value);
    this.varint(length);
    this.#reserve(length);
    this.#at += this.#buffer.write(value, this.#at, "utf8");
  }

  /** Two calls into Node cost more than a short loop; false: not ASCII, and nothing is written. */
  #shortAscii(value: string): boolean {
    const length = value.length;
    this.#reserve(length + 1);
    const buffer = this.#buffer;
    const at = this.#at + 1;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) return false;
      buffer[at + index] = code;
    }
    buffer[at - 1] = length;
    this.#at = at + length;
    return true;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.byteLength);
    this.#buffer.set(value, this.#at);
    this.#at += value.byteLength;
  }

  /** What was written, behind `headroom` bytes left for the caller to fill. */
  take(headroom: number): Buffer {
    const out = Buffer.allocUnsafeSlow(headroom + this.#at);
    this.#buffer.copy(out, headroom, 0, this.#at);
    this.#at = 0;
    return out;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.byteLength) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.byteLength * 2));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, start = 0) {
    this.#bytes = bytes;
    this.#at = start;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.byteLength;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw new MalformedRecordError("the record ends early");
    this.#at += 1;
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
      if (scale > 2 ** 56) throw new MalformedRecordError("a number is too long");
    }
  }

  signed(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  uint32(): number {
    const high = this.byte() * 0x100_0000;
    return high + ((this.byte() << 16) | (this.byte() << 8) | this.byte());
  }

  string(): string {
    const length = this.varint();
    const end = this.#at + length;
    if (end > this.#bytes.byteLength) throw new MalformedRecordError("the record ends early");
    const value = decoder.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return value;
  }
}
