// What producers and workers know: only what they were told. From it follows what they may rely on, whatever happened
// inside: what was answered OK is never lost, and never delivered again once its ack was answered OK.
import type { ConsumerKind, LeaseToken, SettleItem } from "../../server/src/core/commands.ts";
import type { Delivery, LostLease } from "../../server/src/core/effects.ts";
import { expect } from "./failure.ts";
import { tokenNumber } from "./model-state.ts";
import type { Random } from "./random.ts";

/** A worker's stream. */
export interface Stream {
  readonly consumer: number;
  readonly queue: string;
  readonly kind: ConsumerKind;
  readonly connection: number;
  readonly principal: string;
  /** The last ordinal that came. */
  received: number;
  /** The last ordinal that was reported as written. */
  written: number;
}

/** A message in a worker's hands, with what it needs to settle it. */
export interface Held {
  readonly id: string;
  readonly queue: string;
  readonly consumer: number;
  readonly token: LeaseToken;
  readonly kind: ConsumerKind;
  readonly connection: number;
  readonly principal: string;
  /** Which life of the broker gave it. */
  readonly life: number;
}

const mostHeld = 120;

export class Clients {
  readonly streams = new Map<number, Stream>();
  readonly held: Held[] = [];
  /** Enqueues answered OK whose message nobody may have acked. */
  readonly #relyOn = new Set<string>();
  readonly #ackedOk = new Set<string>();
  /** Cancelled, purged, gone with their queue or with their time to live. */
  readonly #gone = new Set<string>();
  readonly #delivered = new Set<string>();
  /** Tokens answered OK, and in which life each was given. */
  readonly #settledOk = new Set<number>();
  readonly #lifeOf = new Map<number, number>();

  enqueued(id: string): void {
    this.#relyOn.add(id);
  }

  /** It may be gone from now on, answered or not. */
  ackSent(id: string): void {
    this.#relyOn.delete(id);
  }

  ackAnswered(id: string): void {
    this.#ackedOk.add(id);
  }

  /** true: it was delivered before. */
  delivered(delivery: Delivery, stream: Stream | undefined, life: number): boolean {
    const { id, queue, token, ordinal } = delivery;
    expect(!this.#ackedOk.has(id), () => `message ${id} is delivered after its ack was answered OK`);
    expect(!this.#gone.has(id), () => `message ${id} is delivered, but is gone`);
    const again = this.#delivered.has(id);
    this.#delivered.add(id);
    // The stream may have been closed while the turn was written down.
    this.#lifeOf.set(tokenNumber(token), life);
    if (stream === undefined) return again;
    stream.received = ordinal;
    const { kind, connection, principal, consumer } = stream;
    if (this.held.length >= mostHeld) this.held.splice(0, mostHeld / 2);
    this.held.push({ id, queue, consumer, token, kind, connection, principal, life });
    return again;
  }

  /** Most workers drop what they are told they have lost, some had it on its way already. */
  lost(leases: readonly LostLease[], random: Random): void {
    for (const { token } of leases) {
      const at = this.held.findIndex((held) => held.token.high === token.high && held.token.low === token.low);
      if (at >= 0 && !random.oneIn(4)) this.held.splice(at, 1);
    }
  }

  /** Most workers drop what they had from a stream that is over. */
  closed(stream: Stream, random: Random): void {
    this.streams.delete(stream.consumer);
    if (random.oneIn(4)) return;
    const kept = this.held.filter(({ consumer }) => consumer !== stream.consumer);
    this.held.length = 0;
    this.held.push(...kept);
  }

  /** A settlement was answered OK; false: with this token that happened before. */
  settled(item: SettleItem): boolean {
    if (item.token === undefined) return true;
    const token = tokenNumber(item.token);
    if (this.#settledOk.has(token)) return false;
    this.#settledOk.add(token);
    return true;
  }

  isOfEarlierLife(item: SettleItem, life: number): boolean {
    return item.token !== undefined && (this.#lifeOf.get(tokenNumber(item.token)) ?? life) < life;
  }

  /** It went as promised: its time to live was over, it was cancelled or purged, or its queue was deleted. */
  ended(id: string): void {
    this.#gone.add(id);
    this.#relyOn.delete(id);
  }

  /** Messages that must still be there, or come again. */
  relyOn(): Iterable<string> {
    return this.#relyOn;
  }

  /** Every connection is broken; what workers hold, they still hold. */
  disconnected(): void {
    this.streams.clear();
  }
}
