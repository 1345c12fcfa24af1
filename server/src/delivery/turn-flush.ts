/**
 * Gathers what one turn of the broker brings for a stream into one write: the broker calls back many times in a row,
 * and a write to HTTP/2 costs more than everything that is put into it.
 */
export class TurnFlush {
  #planned = false;
  readonly #flush: () => void;

  constructor(flush: () => void) {
    this.#flush = flush;
  }

  soon(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      if (!this.#planned) return;
      this.#planned = false;
      this.#flush();
    });
  }

  /** Whatever is planned is done at once. */
  now(): void {
    if (!this.#planned) return;
    this.#planned = false;
    this.#flush();
  }

  cancel(): void {
    this.#planned = false;
  }
}
