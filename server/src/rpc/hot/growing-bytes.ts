const firstBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

/**
 * Puts a message together from chunks. Copies at once: a chunk may be one byte that holds on to 64 KiB, and a client may
 * send four million of them. Memory follows what has come, not what was announced.
 */
export class GrowingBytes {
  #bytes: Buffer = nothing;
  length = 0;

  /** @param limit the length that it can reach at most */
  add(part: Uint8Array, limit: number): void {
    const needed = this.length + part.length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(limit, Math.max(firstBytes, needed, 2 * this.length)));
      this.#bytes.copy(grown, 0, 0, this.length);
      this.#bytes = grown;
    }
    this.#bytes.set(part, this.length);
    this.length = needed;
  }

  /** What was put together; the next message starts anew. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.length);
    this.#bytes = nothing;
    this.length = 0;
    return taken;
  }
}
