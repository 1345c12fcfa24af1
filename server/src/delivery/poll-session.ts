import type { Broker, Consumer, ConsumerSink, LoadedDelivery } from "../broker/contract.ts";
import type { OpenConsumer } from "../core/commands.ts";
import { failure } from "../core/errors.ts";
import type { Failure } from "../core/errors.ts";

/** A poll that would not wait waits this long at most for bytes that must be read from the disk. */
const longestReadMs = 1_000;

/** Where a PollSession answers: exactly one of the two, once. */
export interface PollAnswer {
  /** Copies what it needs of the bodies. `taken` tells whether the answer reached the transport. */
  messages(deliveries: readonly LoadedDelivery[], taken: (written: boolean) => void): void;
  failure(failed: Failure): void;
}

/**
 * One Lease call: a long poll.
 *
 * States: waiting → answering → done.
 * waiting: left for answering by the first delivery; left for done by the end of the wait (an empty answer), a failure,
 * draining, or a client that is gone.
 * answering: the answer is with the transport. Taken: its leases stand. Not taken: they go back without an attempt.
 */
export class PollSession implements ConsumerSink {
  #state: "waiting" | "answering" | "done" = "waiting";
  #consumer: Consumer | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  readonly #answer: PollAnswer;
  readonly #waitMs: number;

  constructor(waitMs: number, answer: PollAnswer) {
    this.#waitMs = waitMs;
    this.#answer = answer;
  }

  start(broker: Broker, options: Omit<OpenConsumer, "type" | "consumer">): void {
    if (this.#waitMs > 0) this.#timer = setTimeout(() => this.#empty(), this.#waitMs);
    this.#consumer = broker.openConsumer(options, this);
  }

  opened(): void {
    if (this.#waitMs === 0 && this.#state === "waiting") {
      this.#timer = setTimeout(() => this.#empty(), longestReadMs);
    }
  }

  idle(): void {
    if (this.#waitMs === 0) this.#empty();
  }

  deliver(deliveries: readonly LoadedDelivery[]): void {
    if (this.#state !== "waiting" || deliveries.length === 0) return;
    this.#state = "answering";
    clearTimeout(this.#timer);
    const last = deliveries[deliveries.length - 1]!.ordinal;
    this.#answer.messages(deliveries, (written) => this.#close(written ? last : 0));
  }

  lost(): void {}

  draining(): void {
    if (this.#state !== "waiting") return;
    this.#close(0);
    this.#answer.failure(failure("DRAINING", "the broker is about to stop; ask again", { retryAfterMs: 1000 }));
  }

  ended(failed: Failure): void {
    if (this.#state !== "waiting") return;
    this.#close(0);
    this.#answer.failure(failed);
  }

  /** The client is gone, or its time is over. */
  gone(): void {
    this.#close(0);
  }

  #empty(): void {
    if (this.#state !== "waiting") return;
    this.#close(0);
    this.#answer.messages([], () => {});
  }

  #close(written: number): void {
    if (this.#state === "done") return;
    this.#state = "done";
    clearTimeout(this.#timer);
    this.#consumer?.close(written);
  }
}
