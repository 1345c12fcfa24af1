import type { AdoptedLease, Broker, Consumer, ConsumerSink, LoadedDelivery } from "../broker/contract.ts";
import type { ConnectionId, SettleItem } from "../core/commands.ts";
import type { LostLease, SettleOutcome } from "../core/effects.ts";
import { failure } from "../core/errors.ts";
import type { Failure } from "../core/errors.ts";
import { DeliveryParts } from "./delivery-parts.ts";
import { FramesUnderWay } from "./frames-under-way.ts";
import { outcomesOf } from "./partial-frame.ts";
import type { PartialFrame } from "./partial-frame.ts";
import type { StreamIntake } from "./stream-intake.ts";
import { TurnFlush } from "./turn-flush.ts";

export interface LeaseSubscription {
  readonly queue: string;
  readonly session: string;
  readonly worker: string;
  /** 0 = the queue's. */
  readonly visibilityMs: number;
}

/** Messages of one write, about: as many as share a response, of which a worker sees nothing before it is complete. */
const partBytes = 240 * 1024;

/** One request of the worker. */
export interface LeaseFrame {
  readonly subscribe: LeaseSubscription | undefined;
  readonly credit: number;
  readonly stop: boolean;
  readonly settlementFrame: number | bigint;
  readonly settlements: PartialFrame<SettleItem>;
}

/** Where a LeaseSession speaks to its worker. All but `flush` and `end` gather; the next flush writes. */
export interface LeaseOut extends StreamIntake {
  subscribed(visibilityMs: number, adopted: readonly AdoptedLease[]): void;
  /** Copies what it needs of the bodies. */
  messages(deliveries: readonly LoadedDelivery[]): void;
  settled(settlementFrame: number | bigint, outcomes: readonly SettleOutcome[]): void;
  lost(leases: readonly LostLease[]): void;
  draining(): void;
  stopped(): void;
  /** `taken` when the transport has what was gathered, and has drained. */
  flush(taken: () => void): void;
  end(failed: Failure | undefined): void;
}

/**
 * The worker's side of StreamLease.
 *
 * States: new → live → ending → ended.
 * new: the first request must subscribe.
 * live: credit and settlements are taken, deliveries written; once the worker has sent stop, credit means nothing. Left when the worker has sent its last request or breaks
 * the protocol (the consumer is closed at once: settlements sent before are still decided), and when the broker ends it.
 * ending: results of settlements under way are written, then the stream ends.
 * ended: nothing is written, nothing told to the broker. A worker that is gone leads here from everywhere.
 * Never: a delivery counted as written before the transport took it; two closes.
 */
export class LeaseSession implements ConsumerSink {
  #state: "new" | "live" | "ending" | "ended" = "new";
  #consumer: Consumer | undefined = undefined;
  #queue = "";
  #failure: Failure | undefined = undefined;
  #opened = false;
  /** The worker has sent its last request before it knew whether the queue exists; it learns that first. */
  #endsWhenOpened = false;
  /** Granted by the worker and not yet told to the broker: however many requests come at once, it is told once. */
  #credit = 0;
  /** Last ordinal handed to `out`, and last one that the transport took. */
  #gathered = 0;
  #written = 0;
  readonly #broker: Broker;
  readonly #who: { readonly connection: ConnectionId; readonly principal: string };
  readonly #out: LeaseOut;
  readonly #settling: FramesUnderWay<number | bigint, readonly SettleOutcome[]>;
  readonly #flush: TurnFlush;
  readonly #parts: DeliveryParts;
  readonly #grant = new TurnFlush(() => {
    this.#consumer?.credit(this.#credit);
    this.#credit = 0;
  });

  constructor(broker: Broker, who: { connection: ConnectionId; principal: string }, out: LeaseOut) {
    this.#broker = broker;
    this.#who = who;
    this.#out = out;
    this.#flush = new TurnFlush(() => this.#write());
    this.#parts = new DeliveryParts(
      partBytes,
      (deliveries) => {
        out.messages(deliveries);
        this.#gathered = deliveries[deliveries.length - 1]!.ordinal;
      },
      this.#flush,
    );
    this.#settling = new FramesUnderWay(out, (frame, outcomes) => {
      if (this.#state === "ended") return;
      out.settled(frame, outcomes);
      this.#flush.soon();
    });
  }

  /** @param bytes length of the request on the wire */
  request(frame: LeaseFrame, bytes: number): void {
    if (this.#state === "new") {
      if (frame.subscribe === undefined) {
        const message = "the first request of StreamLease does not subscribe; name a queue in subscribe";
        return this.refuse(failure("INVALID_REQUEST", message, { field: "subscribe" }));
      }
      this.#subscribe(frame.subscribe, frame.credit);
    } else if (this.#state === "live") {
      if (frame.subscribe !== undefined) {
        const message = "StreamLease subscribes twice; open another stream for another subscription";
        return this.refuse(failure("INVALID_REQUEST", message, { field: "subscribe" }));
      }
      if (frame.credit > 0) {
        this.#credit += frame.credit;
        this.#grant.soon();
      }
    } else return;
    if (frame.stop) {
      this.#grant.cancel();
      this.#consumer?.stop();
    }
    this.#settle(frame, bytes);
  }

  #subscribe(subscription: LeaseSubscription, credit: number): void {
    this.#state = "live";
    this.#queue = subscription.queue;
    this.#consumer = this.#broker.openConsumer({ kind: "stream", credit, ...this.#who, ...subscription }, this);
  }

  #settle(frame: LeaseFrame, bytes: number): void {
    const { items, refused } = frame.settlements;
    if (items.length === 0 && refused === undefined) return;
    const done = this.#settling.begin(frame.settlementFrame, bytes);
    if (items.length === 0) return done(outcomesOf<SettleOutcome>(frame.settlements, []));
    this.#broker.settle(this.#queue, items, this.#who, (outcomes) => {
      done(outcomesOf<SettleOutcome>(frame.settlements, outcomes));
      this.#endWhenSettled();
    });
  }

  opened(visibilityMs: number, adopted: readonly AdoptedLease[]): void {
    if (this.#state !== "live" && this.#state !== "ending") return;
    this.#opened = true;
    this.#out.subscribed(visibilityMs, adopted);
    this.#flush.soon();
    if (this.#endsWhenOpened && this.#state === "live") this.#begin(undefined);
  }

  deliver(deliveries: readonly LoadedDelivery[]): void {
    if (this.#state === "live" && deliveries.length > 0) this.#parts.add(deliveries);
  }

  lost(leases: readonly LostLease[]): void {
    if (this.#state !== "live" || leases.length === 0) return;
    this.#out.lost(leases);
    this.#flush.soon();
  }

  stopped(): void {
    if (this.#state !== "live") return;
    this.#out.stopped();
    this.#flush.soon();
  }

  draining(): void {
    if (this.#state !== "live") return;
    this.#out.draining();
    this.#flush.soon();
  }

  ended(failed: Failure): void {
    if (this.#state === "ended") return;
    this.#consumer = undefined;
    this.#state = "ending";
    this.#failure ??= failed;
    this.#endWhenSettled();
  }

  /** The worker has sent its last request. */
  inputEnded(): void {
    if (this.#state === "new") {
      const message = "StreamLease ended before it subscribed; name a queue in subscribe of the first request";
      this.refuse(failure("INVALID_REQUEST", message, { field: "subscribe" }));
    } else if (this.#state === "live") {
      if (this.#opened) this.#begin(undefined);
      else this.#endsWhenOpened = true;
    }
  }

  /** The worker broke the protocol. */
  refuse(failed: Failure): void {
    if (this.#state === "new" || this.#state === "live") this.#begin(failed);
  }

  /** The worker is gone, or its time is over. */
  gone(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#flush.cancel();
    this.#close();
  }

  #begin(failed: Failure | undefined): void {
    this.#state = "ending";
    this.#failure = failed;
    this.#close();
    this.#endWhenSettled();
  }

  #endWhenSettled(): void {
    if (this.#state !== "ending" || !this.#settling.idle) return;
    this.#flush.now();
    this.#state = "ended";
    this.#out.end(this.#failure);
  }

  #close(): void {
    this.#consumer?.close(this.#written);
    this.#consumer = undefined;
  }

  #write(): void {
    this.#parts.flushed();
    const ordinal = this.#gathered;
    const settled = this.#settling.flushed();
    this.#out.flush(() => {
      settled();
      if (ordinal <= this.#written) return;
      this.#written = ordinal;
      this.#consumer?.written(ordinal);
    });
  }
}
