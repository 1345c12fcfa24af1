// A disk whose commits are instants: what was committed is there, whatever happens to the process.
import type { Op } from "../../server/src/storage/port.ts";
import { SortedMap } from "../../server/src/storage/memory/sorted-map.ts";

export class SimulatedDisk {
  readonly #map = new SortedMap();
  commits = 0;

  commit(ops: readonly Op[]): void {
    this.commits += 1;
    for (const op of ops) {
      if ("put" in op) this.#map.set(op.put, op.value);
      else this.#map.delete(op.del);
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#map.get(key);
  }

  /** Every record from `gte` to `lt`, in order. */
  scan(
    range: { readonly gte: Uint8Array; readonly lt: Uint8Array },
    each: (key: Uint8Array, value: Uint8Array) => void,
  ) {
    for (const run of this.#map.snapshot(range.gte, range.lt)) for (const { key, value } of run) each(key, value);
  }
}
