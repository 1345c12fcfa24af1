import { isUtf8 } from "node:buffer";

/** Nested groups (an obsolete form that only unknown fields can have) deeper than this are refused. */
const maxGroupDepth = 32;

/** Below this length a loop finds out faster than a call whether bytes are ASCII. */
const asciiLoopBytes = 64;

/**
 * Walks the protobuf wire form without building objects.
 *
 * A fault (malformed wire) is kept in `fault` and moves `pos` to `end`, so that every loop over fields ends by itself
 * and the caller asks once, afterwards. Nothing throws: hostile bytes must not cost a stack trace.
 */
export class WireReader {
  buf: Buffer = Buffer.alloc(0);
  pos = 0;
  end = 0;
  fault: string | undefined = undefined;

  reset(bytes: Uint8Array, start = 0, end = bytes.length): this {
    this.buf = asBuffer(bytes);
    this.pos = start;
    this.end = end;
    this.fault = undefined;
    return this;
  }

  fail(fault: string): 0 {
    this.fault ??= fault;
    this.pos = this.end;
    return 0;
  }

  /** Field number << 3 | wire type; 0 = the end, or a fault. */
  tag(): number {
    const pos = this.pos;
    if (pos >= this.end) return 0;
    const first = this.buf[pos]!;
    if (first < 0x80) {
      this.pos = pos + 1;
      return (first & 7) <= 5 && first >= 8 ? first : this.fail("illegal tag");
    }
    const second = pos + 1 < this.end ? this.buf[pos + 1]! : 0x80;
    if (second < 0x80) {
      this.pos = pos + 2;
      const tag = (first & 0x7f) | (second << 7);
      return (tag & 7) <= 5 && tag >= 8 ? tag : this.fail("illegal tag");
    }
    return this.#longTag();
  }

  #longTag(): number {
    const start = this.pos;
    const tag = this.uint32();
    if (this.fault !== undefined) return 0;
    const length = this.pos - start;
    if (length > 5 || (length === 5 && this.buf[this.pos - 1]! > 0x0f)) return this.fail("illegal tag");
    return (tag & 7) <= 5 && tag >= 8 ? tag : this.fail("illegal tag");
  }

  /** A varint, of which the low 32 bits count. */
  uint32(): number {
    const { buf, end } = this;
    let pos = this.pos;
    let value = 0;
    for (let shift = 0; pos < end && shift < 70; shift += 7) {
      const byte = buf[pos++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.pos = pos;
        return value >>> 0;
      }
    }
    return this.fail(pos >= end ? "the message ends within a number" : "a number is longer than 10 bytes");
  }

  /** A varint of 64 bits: a number while it is exact, else a bigint. */
  uint64(): number | bigint {
    const { buf, end } = this;
    let pos = this.pos;
    let value = 0;
    for (let scale = 1; pos < end && scale < 2 ** 49; scale *= 128) {
      const byte = buf[pos++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.pos = pos;
        return value;
      }
    }
    return this.#longUint64();
  }

  #longUint64(): number | bigint {
    let value = 0n;
    for (let shift = 0n; this.pos < this.end && shift < 70n; shift += 7n) {
      const byte = this.buf[this.pos++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        value = BigInt.asUintN(64, value);
        return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
      }
    }
    return this.fail(this.pos >= this.end ? "the message ends within a number" : "a number is longer than 10 bytes");
  }

  /** The length of a length-delimited field, whose bytes are known to be there. */
  length(): number {
    const pos = this.pos;
    const first = pos < this.end ? this.buf[pos]! : 0x80;
    let length = first;
    if (first < 0x80) this.pos = pos + 1;
    else length = this.uint32();
    return length <= this.end - this.pos ? length : this.fail("a length goes beyond the end of the message");
  }

  /** Skips the value of a field whose tag was just read. */
  skip(tag: number): void {
    let depth = 0;
    const open: number[] = [];
    for (;;) {
      switch (tag & 7) {
        case 0:
          this.uint32();
          break;
        case 1:
          this.#advance(8);
          break;
        case 2: {
          const length = this.length();
          this.pos += length;
          break;
        }
        case 3:
          if (++depth > maxGroupDepth) this.fail("groups are nested too deep");
          open.push(tag >>> 3);
          break;
        case 4:
          if (depth-- === 0 || open.pop() !== tag >>> 3) this.fail("a group ends that did not begin");
          break;
        default:
          this.#advance(4);
      }
      if (this.fault !== undefined || depth <= 0) return;
      tag = this.tag();
      if (tag === 0) {
        this.fail("the message ends within a group");
        return;
      }
    }
  }

  #advance(bytes: number): void {
    if (bytes > this.end - this.pos) this.fail("the message ends within a field");
    else this.pos += bytes;
  }

  /** A string field's value; a fault if it is not UTF-8. */
  string(): string {
    const length = this.length();
    const start = this.pos;
    this.pos = start + length;
    if (!validUtf8(this.buf, start, start + length)) {
      this.fail("a string is not valid UTF-8");
      return "";
    }
    return this.buf.toString("utf8", start, start + length);
  }
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function validUtf8(buf: Buffer, start: number, end: number): boolean {
  if (end - start > asciiLoopBytes) return isUtf8(buf.subarray(start, end));
  for (let i = start; i < end; i++) {
    if (buf[i]! >= 0x80) return isUtf8(buf.subarray(start, end));
  }
  return true;
}
