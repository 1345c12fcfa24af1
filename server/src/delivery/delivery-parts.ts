import type { LoadedDelivery } from "../broker/contract.ts";
import type { TurnFlush } from "./turn-flush.ts";

/** What a response has of a message beside its body, about. */
const aroundBodyBytes = 200;

/**
 * Cuts what is delivered into writes of a bounded size, each of which counts as written by itself. Without that, a worker
 * that dies of the first of many messages would end no attempt of it as long as the last one has not left: the next
 * worker would meet it again, for ever.
 */
export class DeliveryParts {
  /** Gathered and not yet flushed. */
  #bytes = 0;
  readonly #maxBytes: number;
  readonly #gather: (deliveries: readonly LoadedDelivery[]) => void;
  readonly #flush: TurnFlush;

  /** @param maxBytes of a part, about; a single message may be larger */
  constructor(maxBytes: number, gather: (deliveries: readonly LoadedDelivery[]) => void, flush: TurnFlush) {
    this.#maxBytes = maxBytes;
    this.#gather = gather;
    this.#flush = flush;
  }

  add(deliveries: readonly LoadedDelivery[]): void {
    let from = 0;
    for (let at = 0; at < deliveries.length; at++) {
      const bytes = deliveries[at]!.body.length + aroundBodyBytes;
      if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) {
        if (at > from) this.#gather(deliveries.slice(from, at));
        from = at;
        this.#flush.soon();
        this.#flush.now();
      }
      this.#bytes += bytes;
    }
    this.#gather(from === 0 ? deliveries : deliveries.slice(from));
    this.#flush.soon();
  }

  /** What was gathered is being written. */
  flushed(): void {
    this.#bytes = 0;
  }
}
