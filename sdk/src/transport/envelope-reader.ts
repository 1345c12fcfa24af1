// The envelopes of the Connect protocol in a stream of bytes: one byte of flags, four bytes of length, the message.
import { FilaError } from "../errors.ts";
import { malformed, wholeFields } from "../wire/field-reader.ts";

/** An answer of the broker is at most this long, bytes; a longer one is not from a Fila server. */
const maximumAnswerBytes = 64 * 1024 * 1024;

/** Bytes that wait for those that complete them. */
interface Waiting {
  readonly bytes: Uint8Array;
  filled: number;
}

/**
 * Cuts a byte stream into envelopes. A message that comes in one chunk is told as a view of it. One that comes in several is
 * put together; in parts, only the field that lies across two chunks is.
 */
export class EnvelopeReader {
  readonly #inParts: boolean;
  readonly #deliver: (flags: number, bytes: Uint8Array, last: boolean) => void;
  readonly #header = new Uint8Array(5);
  #headerFill = 0;
  /** Of the message, not yet here. */
  #missing = 0;
  /** The message, or in parts the field, that is here in part. */
  #waiting: Waiting | undefined;
  /** In parts: the beginning of a field that does not tell yet how long it is. */
  #beginning: Uint8Array | undefined;

  /**
   * @param inParts whether messages (whose flags are 0) may be told in parts, each of whole fields
   * @param deliver `last`: the message ends with these bytes
   */
  constructor(inParts: boolean, deliver: (flags: number, bytes: Uint8Array, last: boolean) => void) {
    this.#inParts = inParts;
    this.#deliver = deliver;
  }

  /** Takes the next bytes. Throws FilaError internal PROTOCOL_ERROR. */
  push(chunk: Uint8Array): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#headerFill < 5) {
        const part = Math.min(5 - this.#headerFill, chunk.length - position);
        this.#header.set(chunk.subarray(position, position + part), this.#headerFill);
        this.#headerFill += part;
        position += part;
        if (this.#headerFill < 5) return;
        this.#missing = this.#size();
        if (this.#missing > 0 && position === chunk.length) return;
      }
      const part = chunk.subarray(position, position + Math.min(this.#missing, chunk.length - position));
      position += part.length;
      this.#missing -= part.length;
      this.#received(part);
    }
  }

  #received(part: Uint8Array): void {
    if (this.#waiting !== undefined) this.#fill(this.#waiting, part);
    else if (this.#beginning !== undefined) {
      const joined = Buffer.concat([this.#beginning, part]);
      this.#beginning = undefined;
      this.#take(joined);
    } else this.#take(part);
  }

  /** Bytes with nothing before them. */
  #take(part: Uint8Array): void {
    if (this.#missing === 0) return this.#told(part, true);
    if (!this.#inParts || this.#header[0] !== 0) return this.#wait(part, part.length + this.#missing);
    const { whole, next } = wholeFields(part);
    if (whole > 0) this.#told(part.subarray(0, whole), false);
    const rest = part.subarray(whole);
    if (next > rest.length + this.#missing) throw malformed();
    if (next > 0) this.#wait(rest, next);
    else if (rest.length > 0) this.#beginning = rest;
  }

  #wait(begun: Uint8Array, size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(begun);
    this.#waiting = { bytes, filled: begun.length };
  }

  #fill(waiting: Waiting, part: Uint8Array): void {
    const taken = Math.min(waiting.bytes.length - waiting.filled, part.length);
    waiting.bytes.set(part.subarray(0, taken), waiting.filled);
    waiting.filled += taken;
    if (waiting.filled < waiting.bytes.length) return;
    this.#waiting = undefined;
    const rest = part.subarray(taken);
    const last = this.#missing === 0 && rest.length === 0;
    this.#told(waiting.bytes, last);
    if (rest.length > 0) this.#take(rest);
  }

  #told(bytes: Uint8Array, last: boolean): void {
    if (last) this.#headerFill = 0;
    this.#deliver(this.#header[0] ?? 0, bytes, last);
  }

  #size(): number {
    const [, a = 0, b = 0, c = 0, d = 0] = this.#header;
    const size = a * 0x1000000 + b * 0x10000 + c * 0x100 + d;
    if (size <= maximumAnswerBytes) return size;
    throw new FilaError("internal", "PROTOCOL_ERROR", `the server announced a message of ${size} bytes`);
  }
}
