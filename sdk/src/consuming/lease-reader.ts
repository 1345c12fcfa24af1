// Leases that wait to be taken, one after the other: what leases() reads from.
import type { Clock } from "../clock.ts";
import type { FilaError } from "../errors.ts";
import type { HeldLease } from "./held-lease.ts";
import type { OpenStream } from "./lease-stream.ts";
import { LeaseSubscription, type SubscriptionOptions, type SubscriptionOwner } from "./lease-subscription.ts";
import type { Settler } from "./settlement.ts";

export interface LeaseReaderOptions extends SubscriptionOptions {
  /** Leases that may wait here unread. */
  readonly prefetch: number;
  /** How long `finish` waits for answers, milliseconds. */
  readonly finishTimeoutMs: number;
}

/**
 * reading ─finish─▶ finishing ─credit taken back, all answered, or the time is over─▶ finished; any ─ended─▶ over.
 * Reading: leases are buffered, credit is given back as they are read. Finished: the subscription lives on for the leases
 * that were read. While the stream is interrupted nothing is read: it is not known which leases stand.
 */
export class LeaseReader implements SubscriptionOwner {
  readonly #prefetch: number;
  readonly #finishTimeoutMs: number;
  readonly #clock: Clock;
  readonly #gone: () => void;
  readonly #subscription: LeaseSubscription;
  #buffer: HeldLease[] = [];
  #waiters: PromiseWithResolvers<HeldLease | undefined>[] = [];
  #end: { readonly failure: FilaError | undefined } | undefined;
  #finished: Promise<void> | undefined;
  #quiet: (() => void) | undefined;

  /** `fallback` settles what is settled after the end; `gone` is told then. */
  constructor(open: OpenStream, options: LeaseReaderOptions, fallback: Settler, clock: Clock, gone: () => void) {
    this.#prefetch = options.prefetch;
    this.#finishTimeoutMs = options.finishTimeoutMs;
    this.#clock = clock;
    this.#gone = gone;
    this.#subscription = new LeaseSubscription(open, options, options.prefetch, fallback, this, clock);
  }

  /** The next lease; undefined when it was finished. Rejects with FilaError when the stream broke for good. */
  next(): Promise<HeldLease | undefined> {
    if (this.#finished !== undefined) return this.#finished.then(() => undefined);
    if (this.#end !== undefined) {
      const { failure } = this.#end;
      return failure === undefined ? Promise.resolve(undefined) : Promise.reject(failure);
    }
    const lease = this.#subscription.live ? this.#buffer.shift() : undefined;
    if (lease !== undefined) {
      this.#replenish();
      return Promise.resolve(lease);
    }
    const waiter = Promise.withResolvers<HeldLease | undefined>();
    this.#waiters.push(waiter);
    this.#replenish();
    return waiter.promise;
  }

  /**
   * Takes no more leases and releases those not read. Resolves when that is answered, or `finishTimeoutMs` is over.
   * Leases that were read can still be settled. Never rejects.
   */
  finish(): Promise<void> {
    return (this.#finished ??= this.#finish());
  }

  async #finish(): Promise<void> {
    const quiet = Promise.withResolvers<undefined>();
    this.#quiet = () => quiet.resolve(undefined);
    const cancel = this.#clock.after(this.#finishTimeoutMs, this.#quiet);
    this.#subscription.finish();
    this.#releaseBuffer();
    this.progressed();
    await quiet.promise;
    cancel();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(undefined);
  }

  leased(leases: readonly HeldLease[]): void {
    this.#buffer.push(...leases);
    this.#hand();
  }

  lost(lease: HeldLease): void {
    const place = this.#buffer.indexOf(lease);
    if (place < 0) return;
    this.#buffer.splice(place, 1);
    this.#replenish();
  }

  connected(): void {
    this.#hand();
  }

  draining(): void {
    this.#releaseBuffer();
    this.#replenish();
  }

  interrupted(): void {}

  progressed(): void {
    if (this.#subscription.quiet) this.#quiet?.();
  }

  sending(): void {
    this.#replenish(1);
  }

  ended(failure: FilaError | undefined): void {
    this.#end = { failure };
    this.#buffer = [];
    this.#quiet?.();
    // While finishing, the waiters are told by `finish`.
    if (this.#finished === undefined) {
      for (const waiter of this.#waiters.splice(0)) {
        if (failure === undefined) waiter.resolve(undefined);
        else waiter.reject(failure);
      }
    }
    this.#gone();
  }

  #hand(): void {
    while (this.#subscription.live && this.#waiters.length > 0) {
      const lease = this.#buffer.shift();
      if (lease === undefined) break;
      this.#waiters.shift()?.resolve(lease);
    }
    this.#replenish();
  }

  #releaseBuffer(): void {
    for (const lease of this.#buffer.splice(0)) this.#subscription.release(lease);
  }

  /** A request of its own is worth half of what may wait: a busy consumer does not send one for each message. */
  #replenish(worthwhile = this.#prefetch / 2): void {
    const missing = this.#prefetch - this.#buffer.length - this.#subscription.credit;
    if (missing > 0 && missing >= worthwhile) this.#subscription.grant(missing);
  }
}
