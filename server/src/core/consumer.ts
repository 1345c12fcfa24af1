// One consumer: a Consume stream, a StreamLease stream or a long poll. States: idle (cannot take anything) <-> available
// (stands in its queue's line of consumers) -> closed; idle and available -> stopped (idle for good) -> closed. It takes a message only within its credit, within the window of
// bytes not yet written to its transport, and, for Consume, within what it may hold unsettled.
// May never happen: a delivery to a closed or stopped consumer, or beyond its credit.
import type { ConnectionId, ConsumerId } from "./commands.ts";
import type { Delivery } from "./effects.ts";
import type { Lease } from "./lease.ts";
import type { Holder } from "./mutations.ts";
import type { Queue } from "./queue.ts";

/** What a Consume stream holds unsettled at most, since its clients cannot say how much they take. */
export const maxUnsettledMessages = 128;
export const maxUnsettledBytes = 1 << 20;
/** What may be delivered to a consumer and not yet be written to its transport. */
export const maxUnwrittenMessages = 1_000;
export const maxUnwrittenBytes = 1 << 20;

/**
 * Why a consumer takes no message: it has sent stop; its transport does not take what was delivered; it has no credit; it
 * holds as many unsettled messages as a Consume stream may.
 */
export type Refusal = "stopped" | "unwritten" | "credit" | "unsettled";

export class Consumer {
  readonly id: ConsumerId;
  readonly queue: Queue;
  readonly holder: Holder;
  readonly connection: ConnectionId;
  readonly visibilityMs: number;
  credit: number;
  nextOrdinal = 1;
  /** The last ordinal known to be written to its transport. */
  writtenThrough = 0;
  /** Leases in order of their ordinals. */
  firstLease: Lease | undefined;
  lastLease: Lease | undefined;
  unsettledMessages = 0;
  unsettledBytes = 0;
  /** Ordinals and sizes delivered and not yet written, oldest first. */
  readonly #unwritten: { ordinal: number; bytes: number }[] = [];
  #unwrittenFrom = 0;
  #unwrittenBytes = 0;
  /** Deliveries of the current turn. */
  deliveries: Delivery[] = [];
  /** Neighbours in the queue's line of available consumers. */
  lineNext: Consumer | undefined;
  linePrev: Consumer | undefined;
  closed = false;
  stopped = false;

  constructor(
    id: ConsumerId,
    queue: Queue,
    holder: Holder,
    connection: ConnectionId,
    visibilityMs: number,
    credit: number,
  ) {
    this.id = id;
    this.queue = queue;
    this.holder = holder;
    this.connection = connection;
    this.visibilityMs = visibilityMs;
    this.credit = credit;
  }

  canTake(bytes: number): boolean {
    return this.refuses(bytes) === undefined;
  }

  /** Why it may not take a message of this size; always at least one message at a time, whatever its size. */
  refuses(bytes: number): Refusal | undefined {
    if (this.stopped) return "stopped";
    const unwritten = this.#unwritten.length - this.#unwrittenFrom;
    if (unwritten > 0 && (unwritten >= maxUnwrittenMessages || this.#unwrittenBytes + bytes > maxUnwrittenBytes)) {
      return "unwritten";
    }
    if (this.holder.kind !== "consume") return this.credit > 0 ? undefined : "credit";
    if (this.unsettledMessages === 0) return undefined;
    const full = this.unsettledMessages >= maxUnsettledMessages || this.unsettledBytes + bytes > maxUnsettledBytes;
    return full ? "unsettled" : undefined;
  }

  /** A message of this size is delivered to it; returns its ordinal. */
  take(lease: Lease, bytes: number): void {
    lease.consumer = this;
    lease.ordinal = this.nextOrdinal;
    this.nextOrdinal += 1;
    if (this.holder.kind !== "consume") this.credit -= 1;
    this.#unwritten.push({ ordinal: lease.ordinal, bytes });
    this.#unwrittenBytes += bytes;
    this.adopt(lease, bytes);
  }

  /** The lease stands in its list from now on. */
  adopt(lease: Lease, bytes: number): void {
    lease.consumer = this;
    this.unsettledMessages += 1;
    this.unsettledBytes += bytes;
    lease.prev = this.lastLease;
    lease.next = undefined;
    if (this.lastLease === undefined) this.firstLease = lease;
    else this.lastLease.next = lease;
    this.lastLease = lease;
  }

  /** The lease is settled, lost or given back. */
  drop(lease: Lease, bytes: number): void {
    this.unsettledMessages -= 1;
    this.unsettledBytes -= bytes;
    if (lease.prev === undefined) this.firstLease = lease.next;
    else lease.prev.next = lease.next;
    if (lease.next === undefined) this.lastLease = lease.prev;
    else lease.next.prev = lease.prev;
    lease.prev = undefined;
    lease.next = undefined;
    lease.consumer = undefined;
  }

  /** What was delivered to it and not yet written, oldest first. */
  get unwritten(): readonly { readonly ordinal: number; readonly bytes: number }[] {
    return this.#unwritten.slice(this.#unwrittenFrom);
  }

  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }

  /** It will never be written, so it neither takes room nor credit of what comes after it. */
  undelivered(ordinal: number): void {
    const at = this.#unwritten.findIndex((each, index) => index >= this.#unwrittenFrom && each.ordinal === ordinal);
    if (at < 0) return;
    this.#unwrittenBytes -= (this.#unwritten[at] as { bytes: number }).bytes;
    this.#unwritten.splice(at, 1);
  }

  written(ordinal: number): void {
    this.writtenThrough = Math.max(this.writtenThrough, ordinal);
    const list = this.#unwritten;
    let from = this.#unwrittenFrom;
    while (from < list.length && (list[from] as { ordinal: number }).ordinal <= ordinal) {
      this.#unwrittenBytes -= (list[from] as { bytes: number }).bytes;
      from += 1;
    }
    if (from === list.length) {
      list.length = 0;
      from = 0;
    } else if (from > 512) {
      list.splice(0, from);
      from = 0;
    }
    this.#unwrittenFrom = from;
  }
}

/** The consumers of a queue that may take a message, served in turn. */
export class ConsumerLine {
  #head: Consumer | undefined;

  /** Whose turn it is. */
  get first(): Consumer | undefined {
    return this.#head;
  }

  has(consumer: Consumer): boolean {
    return consumer.lineNext !== undefined;
  }

  /** Joins at the end of the line, unless it stands in it. */
  join(consumer: Consumer): void {
    if (consumer.lineNext !== undefined) return;
    if (this.#head === undefined) {
      consumer.lineNext = consumer;
      consumer.linePrev = consumer;
      this.#head = consumer;
      return;
    }
    const last = this.#head.linePrev as Consumer;
    consumer.linePrev = last;
    consumer.lineNext = this.#head;
    last.lineNext = consumer;
    this.#head.linePrev = consumer;
  }

  leave(consumer: Consumer): void {
    const next = consumer.lineNext;
    if (next === undefined) return;
    if (next === consumer) this.#head = undefined;
    else {
      (consumer.linePrev as Consumer).lineNext = next;
      next.linePrev = consumer.linePrev;
      if (this.#head === consumer) this.#head = next;
    }
    consumer.lineNext = undefined;
    consumer.linePrev = undefined;
  }

  /** The first one goes to the end. */
  rotate(): void {
    if (this.#head !== undefined) this.#head = this.#head.lineNext;
  }
}
