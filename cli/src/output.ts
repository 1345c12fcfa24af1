// stdout as something whose writes succeed or fail, one by one.
import type { Writable } from "node:stream";

/** Writes in order. After the first failure (the reader is gone) every write fails. */
export class Output {
  readonly #stream: Writable;
  #failure: Error | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    // Each write reports its own failure; without a listener the first one would end the process.
    stream.on("error", (error) => (this.#failure ??= error));
  }

  /** The reader closed its end. */
  get closedByReader(): boolean {
    return this.#failure !== undefined && (this.#failure as { code?: unknown }).code === "EPIPE";
  }

  /** Resolves when the bytes are with the operating system. Rejects when they are not. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#stream.write(bytes, (error) => {
        if (error === undefined || error === null) return resolve();
        this.#failure ??= error;
        reject(error);
      });
    });
  }
}
