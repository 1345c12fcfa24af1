import { isUtf8 } from "node:buffer";

const slots = 65_536;
const slotBytes = 64;

/**
 * Decodes strings that come again and again (queues, fairness keys) without making a new one each time: a decode costs
 * five times a comparison, and an old string has its hash, so a Map finds it faster. Direct-mapped: a string replaces
 * the one in its slot. Bounded by its slots, and nothing longer than 64 bytes is kept.
 */
export class StringCache {
  readonly #strings = new Array<string>(slots).fill("");
  readonly #lengths = new Uint8Array(slots);
  readonly #bytes = new Uint8Array(slots * slotBytes);

  /** The string in these bytes; undefined = not valid UTF-8. */
  read(buf: Buffer, start: number, end: number): string | undefined {
    const length = end - start;
    if (length > slotBytes) return decode(buf, start, end);
    let hash = length;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ buf[i]!, 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (slots - 1);
    if (this.#holds(slot, buf, start, length)) return this.#strings[slot];
    const text = decode(buf, start, end);
    if (text === undefined) return undefined;
    this.#strings[slot] = text;
    this.#lengths[slot] = length;
    const at = slot * slotBytes;
    for (let i = 0; i < length; i++) this.#bytes[at + i] = buf[start + i]!;
    return text;
  }

  #holds(slot: number, buf: Buffer, start: number, length: number): boolean {
    if (this.#lengths[slot] !== length) return false;
    const at = slot * slotBytes;
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) {
      if (bytes[at + i] !== buf[start + i]) return false;
    }
    return true;
  }
}

function decode(buf: Buffer, start: number, end: number): string | undefined {
  for (let i = start; i < end; i++) {
    if (buf[i]! >= 0x80) return isUtf8(buf.subarray(start, end)) ? buf.toString("utf8", start, end) : undefined;
  }
  return buf.toString("latin1", start, end);
}
