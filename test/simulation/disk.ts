// A disk whose commits are instants: what was committed is there, whatever happens to the process.
import type { Op } from "../../server/src/storage/port.ts";

interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** One character per byte, so that texts sort as their keys do. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

export class SimulatedDisk {
  /** In no order: writes are many and scans are few. */
  readonly #rows = new Map<string, Row>();

  commit(ops: readonly Op[]): void {
    for (const op of ops) {
      if ("put" in op) this.#rows.set(textOf(op.put), { key: op.put, value: op.value });
      else this.#rows.delete(textOf(op.del));
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(textOf(key))?.value;
  }

  /** Every record from `gte` to `lt`, in order. */
  scan(
    range: { readonly gte: Uint8Array; readonly lt: Uint8Array },
    each: (key: Uint8Array, value: Uint8Array) => void,
  ): void {
    const [gte, lt] = [textOf(range.gte), textOf(range.lt)];
    const found = [...this.#rows.keys()].filter((text) => text >= gte && text < lt).sort();
    for (const text of found) {
      const { key, value } = this.#rows.get(text) as Row;
      each(key, value);
    }
  }
}
