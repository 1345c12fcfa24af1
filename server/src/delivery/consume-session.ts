import type { AdoptedLease, Consumer, ConsumerSink, LoadedDelivery } from "../broker/contract.ts";
import type { Failure } from "../core/errors.ts";
import { DeliveryParts } from "./delivery-parts.ts";
import { TurnFlush } from "./turn-flush.ts";

/** Where a ConsumeSession speaks to its client. */
export interface ConsumeOut {
  /** The queue exists: response headers may go out. */
  opened(): void;
  /** Copies what it needs of the bodies. Goes out with the next flush. */
  messages(deliveries: readonly LoadedDelivery[]): void;
  /** Writes what was gathered. `taken` when the transport has it and has drained. */
  flush(taken: () => void): void;
  end(failed: Failure | undefined): void;
}

/** Messages of one write, about: less than the 64 KiB that HTTP/2 lets a stream carry before its client has read any. */
const partBytes = 32 * 1024;

/**
 * The consumer's side of Consume: a stream without credit, held to its bounds by the broker.
 *
 * States: opening → open → ended. Whoever ends it first (the client by leaving, the broker) ends it; nothing is written
 * and nothing told to the broker after that, but the one close.
 */
export class ConsumeSession implements ConsumerSink {
  #ended = false;
  #consumer: Consumer | undefined = undefined;
  /** Last ordinal handed to `out`, and last one that the transport took. */
  #gathered = 0;
  #written = 0;
  readonly #out: ConsumeOut;
  readonly #flush: TurnFlush;
  readonly #parts: DeliveryParts;

  constructor(out: ConsumeOut) {
    this.#out = out;
    this.#flush = new TurnFlush(() => {
      this.#parts.flushed();
      const ordinal = this.#gathered;
      out.flush(() => this.#taken(ordinal));
    });
    this.#parts = new DeliveryParts(
      partBytes,
      (deliveries) => {
        out.messages(deliveries);
        this.#gathered = deliveries[deliveries.length - 1]!.ordinal;
      },
      this.#flush,
    );
  }

  attach(consumer: Consumer): void {
    this.#consumer = consumer;
  }

  opened(_visibilityMs: number, _adopted: readonly AdoptedLease[]): void {
    if (!this.#ended) this.#out.opened();
  }

  deliver(deliveries: readonly LoadedDelivery[]): void {
    if (!this.#ended && deliveries.length > 0) this.#parts.add(deliveries);
  }

  #taken(ordinal: number): void {
    if (this.#ended) return;
    this.#written = ordinal;
    this.#consumer?.written(ordinal);
  }

  /** Consume has no message that could say so; what it holds can still be settled. */
  lost(): void {}

  /** The end of the stream says it. */
  draining(): void {}

  ended(failed: Failure): void {
    if (this.#ended) return;
    this.#flush.now();
    this.#ended = true;
    this.#out.end(failed);
  }

  /** The client is gone, or its time is over. */
  gone(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#flush.cancel();
    this.#consumer?.close(this.#written);
  }
}
