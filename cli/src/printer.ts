// Prints leases and acks each one when its line is written.
import type { Lease } from "@fila/sdk";
import type { Output } from "./output.ts";

/** Lines printed whose ack has no answer, at most. */
const maximumUnacked = 1000;

/**
 * The number of messages between print and ack starts at one and grows by one with each ack: a reader that takes only
 * the first lines (`| head -1`) has gone before much was written into its pipe, where it would be lost.
 */
export class Printer {
  printed = 0;
  /** Acks refused because the lease was over: these messages will come again. */
  lost = 0;
  /** The first error that is not about one lease. */
  failure: unknown;
  readonly #output: Output;
  readonly #render: (lease: Lease) => Uint8Array;
  readonly #stop: () => void;
  #limit = 1;
  #unacked = 0;
  #wake: (() => void) | undefined;

  /** `stop` is called when printing makes no sense any more. */
  constructor(output: Output, render: (lease: Lease) => Uint8Array, stop: () => void) {
    this.#output = output;
    this.#render = render;
    this.#stop = stop;
  }

  /** Resolves when the line is on its way and the next one may be given. Never rejects. */
  async print(lease: Lease): Promise<void> {
    this.#unacked++;
    void this.#printAndAck(lease);
    while (this.#unacked >= this.#limit) await this.#changed();
  }

  /** Resolves when every ack is answered. */
  async idle(): Promise<void> {
    while (this.#unacked > 0) await this.#changed();
  }

  /** Never rejects. */
  async #printAndAck(lease: Lease): Promise<void> {
    try {
      if (await this.#written(lease)) {
        this.printed++;
        await lease.ack();
      } else {
        await lease.release();
      }
    } catch (error) {
      if ((error as Error).name === "LeaseLost") this.lost++;
      else this.#fail(error);
    }
    this.#unacked--;
    this.#limit = Math.min(maximumUnacked, this.#limit + 1);
    this.#wake?.();
  }

  async #written(lease: Lease): Promise<boolean> {
    try {
      await this.#output.write(this.#render(lease));
      return true;
    } catch (error) {
      if (this.#output.closedByReader) this.#stop();
      else this.#fail(error);
      return false;
    }
  }

  #fail(error: unknown): void {
    this.failure ??= error;
    this.#stop();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
