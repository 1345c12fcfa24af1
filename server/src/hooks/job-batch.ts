// Jobs on their way to the runner: gathered as numbers and bytes, so that the thread of the broker decodes nothing.
import type { EnqueueItem } from "../core/commands.ts";
import { type ToRunner, metaFields } from "./protocol.ts";
import { copyHeaders, parts, split } from "./wire-fields.ts";

/** Messages of one batch. */
export const batchMessages = 64;
/** A batch with so many bytes goes, too. */
const batchBytes = 256 << 10;

export class JobBatch {
  readonly #meta = new Int32Array(batchMessages * metaFields);
  #bytes = Buffer.allocUnsafeSlow(64 << 10);
  #used = 0;
  #count = 0;

  get size(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === batchMessages || this.#used >= batchBytes;
  }

  /** @param payloadAtMost the script sees payloads of up to so many bytes; -1: none at all */
  add(job: number, slot: number, mark: number, { body }: EnqueueItem, payloadAtMost: number): void {
    split(body);
    const { headerBytes, payloadStart, payloadSize } = parts;
    const seen = payloadSize <= payloadAtMost ? payloadSize : -1;
    this.#reserve(headerBytes + Math.max(0, seen));
    const meta = this.#meta;
    let at = this.#count * metaFields;
    meta[at++] = job;
    meta[at++] = slot;
    meta[at++] = mark;
    meta[at++] = payloadSize;
    meta[at++] = headerBytes;
    meta[at] = seen;
    this.#count += 1;
    copyHeaders(body, this.#bytes, this.#used);
    this.#used += headerBytes;
    if (seen <= 0) return;
    this.#bytes.set(body.subarray(payloadStart, payloadStart + seen), this.#used);
    this.#used += seen;
  }

  /** What was gathered, which is then forgotten.
   * @param at wall clock */
  take(at: number): Extract<ToRunner, { type: "enqueued" }> {
    const meta = this.#meta.slice(0, this.#count * metaFields);
    const bytes = new Uint8Array(this.#used);
    bytes.set(this.#bytes.subarray(0, this.#used));
    this.clear();
    return { type: "enqueued", at, meta, bytes };
  }

  clear(): void {
    this.#count = 0;
    this.#used = 0;
  }

  #reserve(bytes: number): void {
    const needed = this.#used + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#used);
    this.#bytes = grown;
  }
}
