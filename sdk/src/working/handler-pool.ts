// The leases that a worker has: those that wait, and those whose handlers run.
import type { Clock } from "../clock.ts";
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
  readonly clock: Clock;
  /** Whether leases may be begun now. */
  readonly mayStart: () => boolean;
  /** A handler is done; its lease is acked, nacked or lost. */
  readonly handled: () => void;
  readonly troubled: (error: unknown, message: MessageInfo) => void;
}

/** When handlers have held the event loop for so long, it turns once before the next one begins: acks are to leave, too. */
const longestTurnMs = 10;

/**
 * Never: more handlers running than `concurrency`, whatever became of their leases; a handler begun behind others that held
 * the event loop, before the heartbeat could extend its lease and the broker's word of its loss could be read.
 */
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
  /** On the clock, when handlers were first begun in this turn of the event loop. */
  #turnBegan: number | undefined;
  /** Nothing is begun until the loop has turned. */
  #yielding = false;
  /** The loop has turned: one handler may begin whatever the clock says, so that there is always progress. */
  #turned = false;

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
    if (this.#starting || this.#yielding || this.waiting === 0) return;
    this.#starting = true;
    const { concurrency, mayStart } = this.#options;
    while (this.#running.size < concurrency && this.waiting > 0 && mayStart() && !this.#yields()) {
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

  /** True when the loop is to turn first; `start` is called then. */
  #yields(): boolean {
    const now = this.#options.clock.now();
    if (this.#turnBegan === undefined) {
      this.#turnBegan = now;
      setImmediate(() => (this.#turnBegan = undefined));
    }
    const turned = this.#turned;
    this.#turned = false;
    if (turned || (now - this.#turnBegan < longestTurnMs && !this.heartbeat.overdue)) return false;
    this.#yielding = true;
    // The first comes at the end of this turn, the second behind the timers and the input of the next one.
    setImmediate(() =>
      setImmediate(() => {
        this.#yielding = false;
        this.#turned = true;
        this.start();
      }),
    );
    return true;
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
