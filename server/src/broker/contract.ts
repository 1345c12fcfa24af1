// What the rpc layer and the delivery sessions see of the broker. Every callback runs only after the turn that caused
// it is durable.
import type { ConnectionId, EnqueueItem, OpenConsumer, SettleItem } from "../core/commands.ts";
import type { Delivery, EnqueueOutcome, LostLease, QueueStats, QueueSummary, SettleOutcome } from "../core/effects.ts";
import type { Failure } from "../core/errors.ts";
import type { QueueSettings } from "../core/queue-settings.ts";
import type { Operations } from "./operations-contract.ts";
import type { BrokerReading } from "../telemetry/turn-observer.ts";

/** A delivery with its bytes: headers and payload in wire form (fields 2 and 3 of Message). */
export interface LoadedDelivery extends Delivery {
  readonly body: Uint8Array;
}

export interface AdoptedLease extends LostLease {
  /** Wall clock, milliseconds. */
  readonly leaseExpiresAt: number;
}

/** What the broker tells a consumer session. */
export interface ConsumerSink {
  opened(visibilityMs: number, adopted: readonly AdoptedLease[]): void;
  /** Polls only: nothing can be leased at this moment. The poll goes on waiting. */
  idle?(): void;
  /** In the order of their ordinals. Bodies may be views into shared buffers: copy what must outlive the call. */
  deliver(deliveries: readonly LoadedDelivery[]): void;
  lost(leases: readonly LostLease[]): void;
  /** After `Consumer.stop`: no delivery comes any more. Streams only. */
  stopped?(): void;
  /** The broker is about to stop; nothing more is leased. Settlements still work. */
  draining(): void;
  /** Nothing more comes. */
  ended(failure: Failure): void;
}

/** How a consumer session speaks to the broker. No call throws; after close or ended all are without effect. */
export interface Consumer {
  credit(messages: number): void;
  /** Takes back all credit, for good. The sink hears `stopped` behind its last delivery. */
  stop(): void;
  /** Deliveries up to this ordinal are written to the transport, and its buffer has drained. Nothing is leased while
   * more than 1 MiB or 1,000 messages are delivered and not yet written (always at least one message). */
  written(ordinal: number): void;
  /** The stream is gone. `written` = the last ordinal that was written to the transport; later ones go back without an
   * attempt. For a poll whose answer was written, its leases stand. */
  close(written: number): void;
}

/** A value, or an expected failure. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure };

export interface QueuePage {
  readonly queues: readonly QueueSummary[];
  readonly total: number;
  readonly more: boolean;
}

/** starting → serving → draining → stopped; serving ⇄ readonly when the store refuses writes. */
export type BrokerState = "starting" | "serving" | "readonly" | "draining" | "stopped";

export interface Broker {
  readonly state: BrokerState;
  /**
   * Calls `listener` whenever `state` has changed, in the middle of what the broker does: it must neither throw nor call
   * the broker. Returns what takes it off again.
   */
  onStateChange(listener: (state: BrokerState) => void): () => void;
  /** `done` is called once, with one outcome per item, or with one failure for all of them. Never throws. */
  enqueue(items: readonly EnqueueItem[], done: (outcomes: readonly EnqueueOutcome[] | Failure) => void): void;
  settle(
    queue: string,
    items: readonly SettleItem[],
    who: { readonly connection: ConnectionId; readonly principal: string },
    done: (outcomes: readonly SettleOutcome[] | Failure) => void,
  ): void;
  /** Exactly one of sink.opened and sink.ended comes first. */
  openConsumer(options: Omit<OpenConsumer, "type" | "consumer">, sink: ConsumerSink): Consumer;
  createQueue(name: string, settings: Partial<QueueSettings>): Promise<Outcome<void>>;
  /** @param force default true; false: refused while the queue's dead-letter queue holds messages, which would go with it */
  deleteQueue(name: string, force?: boolean): Promise<Outcome<void>>;
  listQueues(after: string, limit: number): Promise<Outcome<QueuePage>>;
  queueStats(name: string, topKeys: number): Promise<Outcome<QueueStats>>;
  /** What operators do and ask. */
  readonly operations: Operations;
  /** A number for a new transport connection. */
  nextConnection(): ConnectionId;
  disconnected(connection: ConnectionId): void;
  /** Stops taking, tells consumers, waits up to `deadlineMs` for what they hold, ends streams, closes the store. */
  stop(deadlineMs: number): Promise<void>;
}

/** A broker that can be measured. */
export interface ReadableBroker extends Broker {
  /** At once, in the middle of whatever else it does: what memory says, which may be one turn ahead of the disk. */
  read(): BrokerReading;
}
