// An ordered map of byte keys with snapshots that cost almost nothing: sorted chunks, copied only when a snapshot may
// still see them. A write costs a binary search and one short splice, whatever the size of the map.
import type { ScanEntry } from "../port.ts";

const MAX_CHUNK = 512;

/** Never empty, sorted by key. `epoch` = the map's epoch when this chunk was made: an older one may be in a snapshot. */
interface Chunk {
  readonly epoch: number;
  readonly entries: ScanEntry[];
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Index of the first entry whose key is >= `key`. */
function lowerBound(entries: readonly ScanEntry[], key: Uint8Array): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare((entries[middle] as ScanEntry).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class SortedMap {
  #chunks: Chunk[] = [];
  #epoch = 0;

  get(key: Uint8Array): Uint8Array | undefined {
    const chunk = this.#chunks[this.#chunkFor(key)];
    if (chunk === undefined) return undefined;
    const entry = chunk.entries[lowerBound(chunk.entries, key)];
    return entry !== undefined && compare(entry.key, key) === 0 ? entry.value : undefined;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push({ epoch: this.#epoch, entries: [{ key, value }] });
      return;
    }
    const index = this.#chunkFor(key);
    const { entries } = this.#writable(index);
    const at = lowerBound(entries, key);
    const found = entries[at];
    const replaces = found !== undefined && compare(found.key, key) === 0;
    entries.splice(at, replaces ? 1 : 0, { key, value });
    if (entries.length > MAX_CHUNK) this.#split(index, at);
  }

  delete(key: Uint8Array): void {
    const index = this.#chunkFor(key);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    const at = lowerBound(chunk.entries, key);
    const found = chunk.entries[at];
    if (found === undefined || compare(found.key, key) !== 0) return;
    if (chunk.entries.length === 1) this.#chunks.splice(index, 1);
    else this.#writable(index).entries.splice(at, 1);
  }

  /** Sorted runs of entries with gte <= key < lt, as they are now: later writes do not show. */
  snapshot(gte: Uint8Array, lt: Uint8Array): readonly (readonly ScanEntry[])[] {
    this.#epoch++;
    const runs: (readonly ScanEntry[])[] = [];
    for (let index = this.#chunkFor(gte); index < this.#chunks.length; index++) {
      const { entries } = this.#chunks[index] as Chunk;
      const from = lowerBound(entries, gte);
      const to = lowerBound(entries, lt);
      if (from < to) runs.push(from === 0 && to === entries.length ? entries : entries.slice(from, to));
      if (to < entries.length) break;
    }
    return runs;
  }

  /** The last chunk whose first key is <= `key`, or the first chunk. */
  #chunkFor(key: Uint8Array): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const first = (this.#chunks[middle] as Chunk).entries[0] as ScanEntry;
      if (compare(first.key, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #writable(index: number): Chunk {
    const chunk = this.#chunks[index] as Chunk;
    if (chunk.epoch === this.#epoch) return chunk;
    const copy = { epoch: this.#epoch, entries: chunk.entries.slice() };
    this.#chunks[index] = copy;
    return copy;
  }

  /** Keys mostly arrive in order: then the full chunk stays full and the new entry starts the next one. */
  #split(index: number, insertedAt: number): void {
    const { entries } = this.#chunks[index] as Chunk;
    const at = insertedAt === entries.length - 1 ? insertedAt : entries.length >>> 1;
    this.#chunks.splice(index + 1, 0, { epoch: this.#epoch, entries: entries.splice(at) });
  }
}
