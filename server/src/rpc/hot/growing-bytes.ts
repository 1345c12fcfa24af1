const firstBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

/**
 * Memory that is used no more, for the next messages to begin in. Without it, each message of 100 KB would leave twice
 * its size to the garbage collector, which such memory wakes long before there is much of it: it took a third of the
 * main thread under load.
 */
const spares: Buffer[] = [];
const maxSpares = 32;
const maxSpareBytes = 256 * 1024;
/** Memory of messages that were handed out and not yet given back. */
const handedOut = new WeakSet<ArrayBufferLike>();

function keep(buffer: Buffer): void {
  if (buffer.length >= firstBytes && buffer.length <= maxSpareBytes && spares.length < maxSpares) spares.push(buffer);
}

/** The message will not be looked at again, nor any view of it: its memory may serve another one. */
export function recycle(message: Buffer): void {
  const memory = message.buffer;
  // Not ours, a chunk of Node's for example, or given back before.
  if (!handedOut.delete(memory)) return;
  keep(Buffer.from(memory));
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
    const spare = outgrown.length === 0 && limit > firstBytes ? spares.pop() : undefined;
    const fits = spare !== undefined && spare.length >= needed;
    const grown = fits ? spare : Buffer.allocUnsafeSlow(Math.min(limit, Math.max(firstBytes, needed, 2 * this.length)));
    if (spare !== undefined && !fits) keep(spare);
    outgrown.copy(grown, 0, 0, this.length);
    keep(outgrown);
    this.#bytes = grown;
  }

  /** What was put together; the next message starts anew. It may be given back by `recycle`. */
  take(): Buffer {
    const { length } = this;
    const bytes = this.#bytes;
    this.#bytes = nothing;
    this.length = 0;
    if (length * 2 >= bytes.length) {
      handedOut.add(bytes.buffer);
      return bytes.subarray(0, length);
    }
    // Who keeps a small message must not keep a large buffer with it.
    const taken = Buffer.allocUnsafeSlow(length);
    bytes.copy(taken, 0, 0, length);
    keep(bytes);
    return taken;
  }
}
