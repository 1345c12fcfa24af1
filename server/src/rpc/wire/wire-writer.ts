/** Writes share a piece of memory this large; what they wrote stays valid when the next piece is begun. */
const slabBytes = 64 * 1024;
/** Below this length a loop writes ASCII faster than a call into Node. */
const loopChars = 48;

/**
 * Writes the protobuf wire form into memory that many messages share: `take` hands out what was written since the last
 * `take` as a view, and writing goes on behind it. Views are never written to again.
 */
export class WireWriter {
  #buf: Buffer;
  /** Where the message that is being written begins. */
  #start = 0;
  #pos = 0;
  /** Nested messages that are open: position behind the length (relative to #start), bytes kept for the length. */
  readonly #open: number[] = [];

  constructor(initialBytes = slabBytes) {
    this.#buf = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** Bytes written since the last take. */
  get length(): number {
    return this.#pos - this.#start;
  }

  /** Makes room for as many bytes at once, so that writing them does not have to move what is there. */
  reserve(bytes: number): void {
    if (this.#pos + bytes > this.#buf.length) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    const used = this.#pos - this.#start;
    const grown = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytes + used + (used >> 1)));
    this.#buf.copy(grown, 0, this.#start, this.#pos);
    this.#buf = grown;
    this.#start = 0;
    this.#pos = used;
  }

  take(): Buffer {
    const taken = this.#buf.subarray(this.#start, this.#pos);
    this.#start = this.#pos;
    return taken;
  }

  /** Forgets what was written since the last take. */
  discard(): void {
    this.#pos = this.#start;
    this.#open.length = 0;
  }

  uint32(value: number): void {
    this.reserve(5);
    const buf = this.#buf;
    let pos = this.#pos;
    while (value > 0x7f) {
      buf[pos++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    buf[pos++] = value;
    this.#pos = pos;
  }

  tag(field: number, wireType: number): void {
    this.uint32((field << 3) | wireType);
  }

  /** A whole number from 0 to 2^53 - 1, or a bigint of 64 bits. */
  uint64(value: number | bigint): void {
    this.reserve(10);
    if (typeof value === "bigint") {
      for (; value > 0x7fn; value >>= 7n) this.#buf[this.#pos++] = Number(value & 0x7fn) | 0x80;
      this.#buf[this.#pos++] = Number(value);
      return;
    }
    for (; value > 0x7fffffff; value = Math.floor(value / 128)) this.#buf[this.#pos++] = (value % 128) | 0x80;
    this.uint32(value);
  }

  uint32Field(field: number, value: number): void {
    if (value === 0) return;
    this.tag(field, 0);
    this.uint32(value);
  }

  uint64Field(field: number, value: number | bigint): void {
    if (value === 0 || value === 0n) return;
    this.tag(field, 0);
    this.uint64(value);
  }

  /** Empty strings are left out, as proto3 does, unless `always`. */
  stringField(field: number, text: string, always = false): void {
    const chars = text.length;
    if (chars === 0 && !always) return;
    this.tag(field, 2);
    if (chars <= loopChars && this.#shortAscii(text, chars)) return;
    const bytes = Buffer.byteLength(text);
    this.uint32(bytes);
    this.reserve(bytes);
    this.#pos += this.#buf.write(text, this.#pos, bytes, "utf8");
  }

  /** Writes length and text; false = not ASCII, and nothing is written. */
  #shortAscii(text: string, chars: number): boolean {
    this.reserve(chars + 1);
    const buf = this.#buf;
    const pos = this.#pos + 1;
    for (let i = 0; i < chars; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return false;
      buf[pos + i] = code;
    }
    buf[pos - 1] = chars;
    this.#pos = pos + chars;
    return true;
  }

  bytesField(field: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.tag(field, 2);
    this.uint32(end - start);
    this.raw(bytes, start, end);
  }

  /** Bytes that are already in wire form. */
  raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const length = end - start;
    this.reserve(length);
    if (start === 0 && end === bytes.length) this.#buf.set(bytes, this.#pos);
    else this.#buf.set(bytes.subarray(start, end), this.#pos);
    this.#pos += length;
  }

  /** A bytes field of 8 bytes: two halves, high first. */
  tokenField(field: number, high: number, low: number): void {
    this.tag(field, 2);
    this.reserve(9);
    this.#buf[this.#pos] = 8;
    this.#buf.writeUInt32BE(high, this.#pos + 1);
    this.#buf.writeUInt32BE(low, this.#pos + 5);
    this.#pos += 9;
  }

  /** Opens a nested message. With a good estimate of its length the bytes need not be moved when it is finished. */
  begin(field: number, estimate: number): void {
    this.tag(field, 2);
    this.reserve(estimate + 5);
    const kept = varintBytes(estimate);
    this.#pos += kept;
    this.#open.push(this.#pos - this.#start, kept);
  }

  finish(): void {
    const kept = this.#open.pop()!;
    const from = this.#start + this.#open.pop()!;
    const length = this.#pos - from;
    const needed = varintBytes(length);
    if (needed === kept) this.#varintAt(from - kept, length);
    else this.#finishMoved(length, needed, kept);
  }

  #finishMoved(length: number, needed: number, kept: number): void {
    // This may move everything to another buffer, so the position is taken afterwards.
    this.reserve(Math.max(0, needed - kept));
    const from = this.#pos - length;
    this.#buf.copyWithin(from - kept + needed, from, this.#pos);
    this.#varintAt(from - kept, length);
    this.#pos += needed - kept;
  }

  /** Opens an envelope of gRPC and Connect: 1 byte of flags, 4 bytes of length, the message. */
  beginEnvelope(): void {
    this.reserve(5);
    this.#pos += 5;
    this.#open.push(this.#pos - this.#start, 5);
  }

  finishEnvelope(flags = 0): void {
    this.#open.pop();
    const from = this.#start + this.#open.pop()!;
    this.#buf[from - 5] = flags;
    this.#buf.writeUInt32BE(this.#pos - from, from - 4);
  }

  #varintAt(pos: number, value: number): void {
    while (value > 0x7f) {
      this.#buf[pos++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.#buf[pos] = value;
  }
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}
