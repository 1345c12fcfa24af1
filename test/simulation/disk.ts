// A disk whose commits are instants: what was committed is there, whatever happens to the process.
import type { Op, Shard } from "../../server/src/storage/port.ts";

interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** One character per byte, so that texts sort as their keys do. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

export class SimulatedDisk {
  /** For whoever reads while the broker runs: finds what was committed by then. */
  readonly reading: Shard = readOnly(this);
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

function readOnly(disk: SimulatedDisk): Shard {
  return {
    commit: () => Promise.reject(new Error("only the broker's turns write")),
    getMany: (keys) => Promise.resolve(keys.map((key) => disk.get(key))),
    async *scan(range) {
      const chunk: { key: Uint8Array; value: Uint8Array }[] = [];
      disk.scan(range, (key, value) => chunk.push({ key, value }));
      if (chunk.length > 0) yield await Promise.resolve(chunk);
    },
    lost: new AbortController().signal,
    release: () => Promise.resolve(),
  };
}
