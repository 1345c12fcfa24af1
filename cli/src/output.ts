// stdout as something whose writes succeed or fail, one by one.
import type { Writable } from "node:stream";

/** Writes in order. After the first failure (the reader is gone) every write fails, those under way too. */
export class Output {
  readonly #stream: Writable;
  readonly #underWay = new Set<PromiseWithResolvers<undefined>>();
  #failure: Error | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    // Without a listener the first failure would end the process.
    stream.on("error", (error) => this.#fail(error));
  }

  /** Why nothing can be written any more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The reader closed its end. */
  get closedByReader(): boolean {
    return this.#failure !== undefined && (this.#failure as { code?: unknown }).code === "EPIPE";
  }

  /** Resolves when the bytes are with the operating system. Rejects when they are not. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const write = Promise.withResolvers<undefined>();
    this.#underWay.add(write);
    this.#stream.write(bytes, (error) => {
      if (error) this.#fail(error);
      this.#underWay.delete(write);
      write.resolve(undefined);
    });
    await write.promise;
  }

  /** Rejects what is under way itself, whether or not a stream that failed still calls back for each of its writes. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const write of this.#underWay) write.reject(this.#failure);
    this.#underWay.clear();
  }
}
