// Payload records written or read last, up to a bound in bytes; the oldest goes first.
import type { PayloadObserver } from "./journal.ts";
import type { PayloadRecord } from "./ledger.ts";

export class PayloadCache implements PayloadObserver {
  #values = new Map<PayloadRecord, Uint8Array>();
  /** Of those, what came from the store: a reader checks each message in it. */
  readonly #unchecked = new WeakSet<PayloadRecord>();
  readonly #maxBytes: number;
  #bytes = 0;

  /** @param maxBytes 0: nothing is kept beyond the turn that wrote it */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(record: PayloadRecord): Uint8Array | undefined {
    return this.#values.get(record);
  }

  written(record: PayloadRecord, value: Uint8Array): void {
    if (this.#values.has(record)) return;
    this.#values.set(record, value);
    this.#bytes += value.byteLength;
  }

  /** A value that came from the store. */
  read(record: PayloadRecord, value: Uint8Array): void {
    if (this.#values.has(record)) return;
    this.#unchecked.add(record);
    this.written(record, value);
  }

  /** Whether the bytes in its value may differ from those that were written. */
  isUnchecked(record: PayloadRecord): boolean {
    return this.#unchecked.has(record);
  }

  gone(record: PayloadRecord): void {
    const value = this.#values.get(record);
    if (value === undefined) return;
    this.#values.delete(record);
    this.#bytes -= value.byteLength;
  }

  /** Back to the bound. Not within a turn: what it wrote should be there when its deliveries are sent. */
  trim(): void {
    if (this.#bytes <= this.#maxBytes) return;
    for (const [record, value] of this.#values) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#values.delete(record);
      this.#bytes -= value.byteLength;
    }
    // Without room for any, it is emptied with every turn: its tables would stay up to the next full collection.
    this.#values = new Map();
  }
}
