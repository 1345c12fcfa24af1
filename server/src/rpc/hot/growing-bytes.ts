const firstBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

/**
 * Buffers that messages have outgrown, for the next ones to begin in: without them, a message of 100 KB would leave more
 * than its own size to the garbage collector, which is woken by such memory long before there is much of it.
 */
const spares: Buffer[] = [];
const maxSpares = 32;
const maxSpareBytes = 256 * 1024;

function giveBack(buffer: Buffer): void {
  if (buffer.length >= firstBytes && buffer.length <= maxSpareBytes && spares.length < maxSpares) spares.push(buffer);
}

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
    if (needed > this.#bytes.length) this.#grow(needed, limit);
    this.#bytes.set(part, this.length);
    this.length = needed;
  }

  #grow(needed: number, limit: number): void {
    const outgrown = this.#bytes;
    const spare = outgrown.length === 0 && needed <= maxSpareBytes && limit > firstBytes ? spares.pop() : undefined;
    const fits = spare !== undefined && spare.length >= needed;
    const grown = fits ? spare : Buffer.allocUnsafeSlow(Math.min(limit, Math.max(firstBytes, needed, 2 * this.length)));
    if (spare !== undefined && !fits) giveBack(spare);
    outgrown.copy(grown, 0, 0, this.length);
    giveBack(outgrown);
    this.#bytes = grown;
  }

  /** What was put together, in memory of its own; the next message starts anew. */
  take(): Buffer {
    const { length } = this;
    let taken = this.#bytes;
    if (taken.length !== length) {
      taken = Buffer.allocUnsafeSlow(length);
      this.#bytes.copy(taken, 0, 0, length);
      giveBack(this.#bytes);
    }
    this.#bytes = nothing;
    this.length = 0;
    return taken;
  }
}
