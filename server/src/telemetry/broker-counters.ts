// Counts what the broker did, once it is durable. This runs for every message, so it adds to plain numbers and allocates
// nothing: everything else is for whoever looks.
import type { Delivery, Effect } from "../core/effects.ts";
import type { MovedMutation, Mutation, RemovedMutation, ReturnedMutation } from "../core/mutations.ts";
import type { AttemptEnd } from "../core/retry-policy.ts";
import { Histogram } from "./histogram.ts";
import type { CountName, QueueCounts } from "./queue-counts.ts";
import type { QueuePlaces } from "./queue-places.ts";
import type { StorageOperation, TurnObserver } from "./turn-observer.ts";

/** Commits are counted in steps of 50 microseconds. */
const commitStepsPerMs = 20;

export class BrokerCounters implements TurnObserver {
  /** From the enqueue to a lease before any attempt has ended. A whole day is the longest that can be told. */
  readonly deliveryLatency = new Histogram({ step: 0.001, largest: 24 * 3_600_000 });
  readonly commitDuration = new Histogram({ step: 0.001 / commitStepsPerMs, largest: 60_000 * commitStepsPerMs });
  readonly commitMessages = new Histogram({ step: 1, largest: 16_384 });
  readonly storageErrors: Record<StorageOperation, number> = { open: 0, commit: 0, read: 0 };
  readonly #places: QueuePlaces;
  /** Of the queue counted last: the next message is mostly of the same one. */
  #number = 0;
  #counts: QueueCounts | undefined;

  constructor(places: QueuePlaces) {
    this.#places = places;
  }

  storageFailed(operation: StorageOperation): void {
    this.storageErrors[operation] += 1;
  }

  released(mutations: readonly Mutation[], effects: readonly Effect[], commitMs: number | undefined): void {
    // Effects first: nothing is counted for a queue once its deletion was.
    for (let at = 0; at < effects.length; at += 1) {
      const effect = effects[at] as Effect;
      if (effect.type === "deliver") this.#delivered(effect.deliveries);
      else if (effect.type === "settled") this.#settled(effect);
    }
    let messages = 0;
    for (let at = 0; at < mutations.length; at += 1) messages += this.#count(mutations[at] as Mutation);
    if (commitMs !== undefined) {
      this.commitDuration.record(commitMs * commitStepsPerMs);
      this.commitMessages.record(messages);
    }
  }

  /** How many messages it changed. */
  #count(mutation: Mutation): number {
    switch (mutation.type) {
      case "enqueued": {
        const counts = this.#of(mutation.lane.queueNumber);
        counts.enqueued += 1;
        if (mutation.waiting !== "ready") counts.delayed += 1;
        return 1;
      }
      case "leased":
        this.#of(mutation.inQueue).leased += 1;
        return 1;
      case "removed":
        this.#removed(mutation);
        return 1;
      case "purged": {
        const messages = mutation.last - mutation.sequence + 1;
        this.#of(mutation.inQueue).purged += messages;
        return messages;
      }
      case "returned":
        countReturned(this.#of(mutation.inQueue), mutation);
        return 1;
      case "deciding":
        countEnd(this.#of(mutation.inQueue), mutation.end.by);
        return 1;
      case "decided":
        this.#of(mutation.inQueue).retried += 1;
        return 1;
      case "moved":
        this.#moved(mutation);
        return 1;
      case "quarantined":
        this.#of(mutation.inQueue).quarantined += 1;
        return 1;
      case "queue-deleted":
        this.#places.deleted(mutation.queueNumber);
        this.#counts = undefined;
        return 0;
      default:
        return 0;
    }
  }

  #removed({ inQueue, by, ended }: RemovedMutation): void {
    const counts = this.#of(inQueue);
    counts[removedBy[by]] += 1;
    if (ended !== undefined) countEnd(counts, ended);
  }

  #moved({ inQueue, lane, failure, ended }: MovedMutation): void {
    if (failure === undefined) {
      this.#of(lane.queueNumber).redriven += 1;
      return;
    }
    const counts = this.#of(inQueue);
    counts.deadLettered += 1;
    if (ended !== undefined) countEnd(counts, ended);
    if (failure.reason === "ttl") counts.outlived += 1;
    if (failure.reason === "corrupt") counts.quarantined += 1;
  }

  #of(queueNumber: number): QueueCounts {
    if (this.#counts === undefined || this.#number !== queueNumber) {
      this.#counts = this.#places.countsOf(queueNumber);
      this.#number = queueNumber;
    }
    return this.#counts;
  }

  #delivered(deliveries: readonly Delivery[]): void {
    for (let at = 0; at < deliveries.length; at += 1) {
      const { attempts, enqueuedAt, leasedAt } = deliveries[at] as Delivery;
      if (attempts === 0) this.deliveryLatency.record(leasedAt - enqueuedAt);
    }
  }

  /** Extensions alone change nothing that is stored. */
  #settled({ queueNumber, outcomes }: Extract<Effect, { type: "settled" }>): void {
    let extended = 0;
    for (let at = 0; at < outcomes.length; at += 1) if (typeof outcomes[at] === "number") extended += 1;
    if (extended > 0) this.#of(queueNumber).extended += extended;
  }
}

const removedBy = {
  ack: "acked",
  ttl: "outlived",
  cancel: "cancelled",
} as const satisfies Record<RemovedMutation["by"], CountName>;

function countReturned(counts: QueueCounts, { by }: ReturnedMutation): void {
  if (by === "release") counts.released += 1;
  else {
    countEnd(counts, by);
    counts.retried += 1;
  }
}

function countEnd(counts: QueueCounts, by: AttemptEnd["by"]): void {
  switch (by) {
    case "nack":
      counts.nacked += 1;
      return;
    case "expiry":
      counts.expired += 1;
      return;
    case "dead-stream":
      counts.streamDied += 1;
  }
}
