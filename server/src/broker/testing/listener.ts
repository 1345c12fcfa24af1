// A consumer's sink that keeps what it is told, and lets a test wait for it.
import type { ConsumerSink, LoadedDelivery } from "../contract.ts";
import type { LostLease } from "../../core/effects.ts";
import type { Failure } from "../../core/errors.ts";

export class Listener implements ConsumerSink {
  readonly deliveries: LoadedDelivery[] = [];
  readonly lostLeases: LostLease[] = [];
  adopted = 0;
  isOpen = false;
  isIdle = false;
  isStopped = false;
  isDraining = false;
  failure: Failure | undefined;
  #waiters: (() => void)[] = [];

  /** Resolves when the condition holds, looked at after everything the listener is told. */
  async until(condition: (listener: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  opened(_visibilityMs: number, adopted: readonly unknown[]): void {
    this.isOpen = true;
    this.adopted = adopted.length;
    this.#told();
  }
  idle(): void {
    this.isIdle = true;
    this.#told();
  }
  deliver(deliveries: readonly LoadedDelivery[]): void {
    for (const delivery of deliveries) this.deliveries.push({ ...delivery, body: Uint8Array.from(delivery.body) });
    this.#told();
  }
  lost(leases: readonly LostLease[]): void {
    this.lostLeases.push(...leases);
    this.#told();
  }
  stopped(): void {
    this.isStopped = true;
    this.#told();
  }
  draining(): void {
    this.isDraining = true;
    this.#told();
  }
  ended(failure: Failure): void {
    this.failure = failure;
    this.#told();
  }

  #told(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
