// The idempotency keys of one queue: which were used within the window, and for which message. Keys are known by 128 bits
// of a hash that the shell makes (SHA-256, so that nobody can make two keys meet); their text stands in the store only.
//
// Records stand in the order of their use, in chunks of columns; all of one queue wait for the same window, so they are
// forgotten from the front. An open-addressed index finds them. About 50 bytes each.
import { invariant } from "./errors.ts";

/** An idempotency key as the core knows it: four words of 32 bits. */
export interface KeyHash {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** What a record says of the message that used the key first. */
export interface FirstUse {
  readonly sequence: number;
  /** Wall clock. */
  readonly enqueuedAt: number;
}

const chunkSize = 4_096;
const smallestIndex = 16;

class Chunk {
  readonly hash = new Uint32Array(chunkSize * 4);
  /** Steady clock; 0 = released. */
  readonly expiresAt = new Float64Array(chunkSize);
  readonly sequence = new Float64Array(chunkSize);
  readonly enqueuedAt = new Float64Array(chunkSize);
}

export class IdempotencyRecords {
  /** The oldest first. A record's number counts on for ever; its chunk is found from the first one's number. */
  readonly #chunks: Chunk[] = [];
  #firstChunk = 0;
  #first = 0;
  #next = 0;
  /** Number of a record modulo 2^31, plus one; 0 = empty. */
  #index = new Int32Array(smallestIndex);
  #indexed = 0;

  /** Records that still count, and released ones that wait for their turn to be forgotten. */
  get size(): number {
    return this.#next - this.#first;
  }

  /** When the oldest record's window ends, steady clock; Infinity: there is none. A released one is due at once. */
  get firstExpiry(): number {
    return this.size === 0 ? Infinity : this.#chunkOf(this.#first).expiresAt[this.#first % chunkSize]!;
  }

  /** The use that counts at this time of the steady clock. */
  find(key: KeyHash, steady: number): FirstUse | undefined {
    const at = this.#placeOf(key);
    if (at < 0) return undefined;
    const number = this.#numberAt(at);
    const chunk = this.#chunkOf(number);
    const row = number % chunkSize;
    if (chunk.expiresAt[row]! <= steady) return undefined;
    return { sequence: chunk.sequence[row]!, enqueuedAt: chunk.enqueuedAt[row]! };
  }

  /** The key is used now. One that was used before, and whose window is over, counts from here. */
  add(key: KeyHash, use: FirstUse, expiresAt: number): void {
    const before = this.#placeOf(key);
    if (before >= 0) this.#unindex(before);
    const number = this.#next;
    this.#next += 1;
    if (number % chunkSize === 0) this.#chunks.push(new Chunk());
    const chunk = this.#chunkOf(number);
    const row = number % chunkSize;
    chunk.hash.set([key.a, key.b, key.c, key.d], row * 4);
    chunk.expiresAt[row] = expiresAt;
    chunk.sequence[row] = use.sequence;
    chunk.enqueuedAt[row] = use.enqueuedAt;
    if ((this.#indexed + 1) * 4 > this.#index.length * 3) this.#resize(this.#index.length * 2);
    this.#insert(number);
    this.#indexed += 1;
  }

  /** The key may be used again; false: it was not in use. */
  release(key: KeyHash): boolean {
    const at = this.#placeOf(key);
    if (at < 0) return false;
    const number = this.#numberAt(at);
    this.#unindex(at);
    this.#chunkOf(number).expiresAt[number % chunkSize] = 0;
    return true;
  }

  /** Forgets records from the front whose window is over, at most so many; returns how many. */
  forget(steady: number, most: number): number {
    let forgotten = 0;
    while (forgotten < most && this.size > 0 && this.firstExpiry <= steady) {
      const number = this.#first;
      const at = this.#placeOfNumber(number);
      if (at >= 0) this.#unindex(at);
      this.#first += 1;
      forgotten += 1;
      if (this.#first % chunkSize === 0) {
        this.#chunks.shift();
        this.#firstChunk += 1;
      }
    }
    if (this.#index.length > smallestIndex && this.#indexed * 8 < this.#index.length) {
      this.#resize(Math.max(smallestIndex, this.#index.length / 2));
    }
    return forgotten;
  }

  #chunkOf(number: number): Chunk {
    const chunk = this.#chunks[Math.floor(number / chunkSize) - this.#firstChunk];
    invariant(chunk !== undefined, "a record that is known has a chunk");
    return chunk;
  }

  #numberAt(at: number): number {
    // Numbers in use lie within 2^31 of each other.
    const low = this.#index[at]! - 1;
    const base = this.#first - (this.#first % 2 ** 31);
    const number = base + low;
    return number < this.#first ? number + 2 ** 31 : number;
  }

  #matches(number: number, key: KeyHash): boolean {
    const { hash } = this.#chunkOf(number);
    const row = (number % chunkSize) * 4;
    return hash[row] === key.a && hash[row + 1] === key.b && hash[row + 2] === key.c && hash[row + 3] === key.d;
  }

  #placeOf(key: KeyHash): number {
    const mask = this.#index.length - 1;
    for (let at = key.a & mask; this.#index[at] !== 0; at = (at + 1) & mask) {
      if (this.#matches(this.#numberAt(at), key)) return at;
    }
    return -1;
  }

  /** -1: a later use of its key stands in the index, or none. */
  #placeOfNumber(number: number): number {
    const mask = this.#index.length - 1;
    const entry = (number % 2 ** 31) + 1;
    for (let at = this.#homeOf(number) & mask; this.#index[at] !== 0; at = (at + 1) & mask) {
      if (this.#index[at] === entry) return at;
    }
    return -1;
  }

  #homeOf(number: number): number {
    return this.#chunkOf(number).hash[(number % chunkSize) * 4]!;
  }

  #insert(number: number): void {
    const mask = this.#index.length - 1;
    let at = this.#homeOf(number) & mask;
    while (this.#index[at] !== 0) at = (at + 1) & mask;
    this.#index[at] = (number % 2 ** 31) + 1;
  }

  /** Moves later entries of the run back, so that no markers of deleted entries pile up. */
  #unindex(place: number): void {
    const mask = this.#index.length - 1;
    let gap = place;
    for (let at = (gap + 1) & mask; this.#index[at] !== 0; at = (at + 1) & mask) {
      const home = this.#homeOf(this.#numberAt(at)) & mask;
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        this.#index[gap] = this.#index[at]!;
        gap = at;
      }
    }
    this.#index[gap] = 0;
    this.#indexed -= 1;
  }

  #resize(length: number): void {
    const old = this.#index;
    const numbers: number[] = [];
    for (let at = 0; at < old.length; at += 1) if (old[at] !== 0) numbers.push(this.#numberAt(at));
    this.#index = new Int32Array(length);
    for (const number of numbers) this.#insert(number);
  }
}
