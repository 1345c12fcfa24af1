// The leases that a worker has: those that wait, and those whose handlers run.
import type { HeldLease } from "../consuming/held-lease.ts";
import type { FilaError } from "../errors.ts";
import { HandlerRun, type RunOwner } from "./handler-run.ts";
import type { Handler, MessageInfo } from "./handler.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Codec } from "../codec.ts";

export interface PoolOptions<T> {
  readonly codec: Codec<T>;
  readonly handler: Handler<T>;
  readonly heartbeat: Heartbeat;
  readonly concurrency: number;
  /** Whether leases may be begun now. */
  readonly mayStart: () => boolean;
  /** A handler is done; its lease is acked, nacked or lost. */
  readonly handled: () => void;
  readonly troubled: (error: unknown, message: MessageInfo) => void;
}

/** Never: more handlers running than `concurrency`, whatever became of their leases. */
export class HandlerPool<T> implements RunOwner<T> {
  readonly codec: Codec<T>;
  readonly handler: Handler<T>;
  readonly heartbeat: Heartbeat;
  readonly #options: PoolOptions<T>;
  readonly #running = new Set<HandlerRun<T>>();
  #waiting: HeldLease[] = [];
  /** Where the waiting begin: shifting a long array would move it whole. */
  #head = 0;
  #starting = false;

  constructor(options: PoolOptions<T>) {
    this.#options = options;
    this.codec = options.codec;
    this.handler = options.handler;
    this.heartbeat = options.heartbeat;
  }

  /** Handlers that run. */
  get inFlight(): number {
    return this.#running.size;
  }

  /** Leases whose handlers have not begun. */
  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  add(leases: readonly HeldLease[]): void {
    for (const lease of leases) this.#waiting.push(lease);
    this.start();
  }

  /** Begins as many as may run. */
  start(): void {
    // A handler that is done at once comes back here; the loop below goes on for it.
    if (this.#starting) return;
    this.#starting = true;
    const { concurrency, mayStart } = this.#options;
    while (this.#running.size < concurrency && this.waiting > 0 && mayStart()) {
      const run = new HandlerRun(this.#shift(), this);
      this.#running.add(run);
      run.start();
    }
    this.#starting = false;
  }

  /** Takes a lost one out of those that wait. */
  remove(lease: HeldLease): boolean {
    const place = this.#waiting.indexOf(lease, this.#head);
    if (place >= 0) this.#waiting.splice(place, 1);
    return place >= 0;
  }

  /** Takes all out that wait. */
  takeWaiting(): HeldLease[] {
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    return waiting;
  }

  /** Aborts all that run, and nacks or leaves their leases; gives these. */
  giveUp(reason: FilaError, nack: boolean): HeldLease[] {
    const runs = [...this.#running];
    for (const run of runs) run.giveUp(reason, nack);
    return runs.map(({ held }) => held);
  }

  handled(run: HandlerRun<T>): void {
    this.#running.delete(run);
    this.start();
    this.#options.handled();
  }

  troubled(error: unknown, message: MessageInfo): void {
    this.#options.troubled(error, message);
  }

  #shift(): HeldLease {
    const lease = this.#waiting[this.#head++]!;
    if (this.#head === this.#waiting.length || this.#head >= 1024) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return lease;
  }
}
