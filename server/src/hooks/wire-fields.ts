// Headers and payload of a message in wire form: fields 2 and 3 of Message, in whatever order, found well-formed when the
// message came in.
const headersTag = (2 << 3) | 2;
const payloadTag = (3 << 3) | 2;

/** Reads varints; `at` is the place behind the last one. */
class Varints {
  bytes: Uint8Array = new Uint8Array();
  at = 0;

  next(): number {
    const { bytes } = this;
    let value = bytes[this.at] ?? 0;
    this.at += 1;
    if (value < 0x80) return value;
    value &= 0x7f;
    for (let shift = 7; ; shift += 7) {
      const byte = bytes[this.at] ?? 0;
      this.at += 1;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
}

const varints = new Varints();

/** Where the parts of a body are, after `split`. */
export const parts = {
  /** Bytes of the header fields. */
  headerBytes: 0,
  payloadStart: 0,
  payloadSize: 0,
};

/** Finds the payload; all else are headers. The result stands in `parts` until the next call. */
export function split(body: Uint8Array): void {
  varints.bytes = body;
  varints.at = 0;
  parts.headerBytes = parts.payloadStart = parts.payloadSize = 0;
  while (varints.at < body.length) {
    const start = varints.at;
    const tag = varints.next();
    const length = varints.next();
    if (tag === payloadTag) {
      parts.payloadStart = varints.at;
      parts.payloadSize = length;
    } else parts.headerBytes += varints.at + length - start;
    varints.at += length;
  }
}

/** Copies the header fields of a body, whose `parts` are known, to `out` from `at` on. */
export function copyHeaders(body: Uint8Array, out: Uint8Array, at: number): void {
  if (parts.headerBytes === 0) return;
  varints.bytes = body;
  varints.at = 0;
  while (varints.at < body.length) {
    const start = varints.at;
    const tag = varints.next();
    const length = varints.next();
    varints.at += length;
    if (tag === payloadTag) continue;
    out.set(body.subarray(start, varints.at), at);
    at += varints.at - start;
  }
}

/** The header fields of a body, copied: bodies may be views into large buffers. */
export function headersOf(body: Uint8Array): Uint8Array {
  split(body);
  const headers = new Uint8Array(parts.headerBytes);
  copyHeaders(body, headers, 0);
  return headers;
}

/** Names and values of header fields, as views. */
export class WireHeaders implements Iterable<readonly [Uint8Array, Uint8Array]> {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  *[Symbol.iterator](): Iterator<readonly [Uint8Array, Uint8Array]> {
    const bytes = this.#bytes;
    for (let at = this.#start; at < this.#end;) {
      varints.bytes = bytes;
      varints.at = at;
      const tag = varints.next();
      const end = varints.next() + varints.at;
      at = end;
      if (tag !== headersTag) continue;
      yield entry(bytes, varints.at, end);
    }
  }
}

const empty = new Uint8Array();

function entry(bytes: Uint8Array, start: number, end: number): [Uint8Array, Uint8Array] {
  const pair: [Uint8Array, Uint8Array] = [empty, empty];
  varints.at = start;
  while (varints.at < end) {
    const field = varints.next() >>> 3;
    const length = varints.next();
    pair[field === 1 ? 0 : 1] = bytes.subarray(varints.at, varints.at + length);
    varints.at += length;
  }
  return pair;
}
