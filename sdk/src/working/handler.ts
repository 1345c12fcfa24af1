// What a handler is given.
import type { Duration } from "../duration.ts";
import type { DeliveryDetails } from "../consuming/delivery.ts";
import type { HeldLease } from "../consuming/held-lease.ts";

/**
 * Does the work of one message. **Returning is the ack, throwing is the nack** (with the first 1,000 characters of the
 * error's text): the message comes again as the queue's retry policy says. Throwing a DeadLetter sends it to the dead-letter
 * queue, a RetryAfter says when it comes again. What a handler returns means nothing.
 */
export type Handler<T> = (message: Message<T>, context: HandlerContext) => Promise<void> | void;

/** A message without its payload. */
export interface MessageInfo {
  /** UUIDv7. */
  readonly id: string;
  /** The queue that it came from. */
  readonly queue: string;
  /** The producer's headers, unchanged. */
  readonly headers: Readonly<Record<string, string>>;
  /** The key that it is scheduled under. */
  readonly fairnessKey: string;
  /** The weight of that key at this delivery. */
  readonly weight: number;
  readonly throttleKeys: readonly string[];
  /** How many deliveries before this one ended in a nack, an expiry or a died stream. 0 at the first. */
  readonly attempt: number;
  /** When the broker accepted it. */
  readonly enqueuedAt: Date;
  /** When this lease was granted. */
  readonly leasedAt: Date;
}

/** A message at its worker. */
export interface Message<T> extends MessageInfo {
  /** As the codec of the queue reads it; bytes, when the queue was only named. */
  readonly payload: T;
}

/** A handler's way to the worker. */
export interface HandlerContext {
  /**
   * Aborts when there is no use in going on: with LeaseLost when another worker may have the message (neither ack nor nack
   * is sent then), with FilaError canceled WORKER_STOPPED when the worker's drain time is over.
   */
  readonly signal: AbortSignal;
  /**
   * The lease starts anew from now, for `duration` (1 s to 12 h; default: the visibility timeout). From then on the worker
   * extends it for that long, at a third of that. Resolves with its new end. Rejects with LeaseLost, or FilaError
   * invalid_argument, unavailable.
   */
  readonly extend: (duration?: Duration) => Promise<Date>;
}

/** Reads the rare fields when they are asked for. */
export class LeasedInfo implements MessageInfo {
  readonly id: string;
  readonly queue: string;
  readonly #held: HeldLease;
  #details: DeliveryDetails | undefined;

  constructor(held: HeldLease) {
    this.id = held.delivery.id;
    this.queue = held.queue;
    this.#held = held;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#read().headers;
  }

  get fairnessKey(): string {
    return this.#read().fairnessKey;
  }

  get weight(): number {
    return this.#read().weight;
  }

  get throttleKeys(): readonly string[] {
    return this.#read().throttleKeys;
  }

  get attempt(): number {
    return this.#read().attempt;
  }

  get enqueuedAt(): Date {
    return new Date(this.#read().enqueuedAtMs);
  }

  get leasedAt(): Date {
    return new Date(this.#read().leasedAtMs);
  }

  #read(): DeliveryDetails {
    return (this.#details ??= this.#held.delivery.details());
  }
}

export class LeasedMessage<T> extends LeasedInfo implements Message<T> {
  readonly payload: T;

  constructor(held: HeldLease, payload: T) {
    super(held);
    this.payload = payload;
  }
}
