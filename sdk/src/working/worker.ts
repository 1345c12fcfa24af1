// A worker: a subscription, a pool of handlers and a heartbeat, put together.
import type { Codec } from "../codec.ts";
import type { Clock } from "../clock.ts";
import type { HeldLease } from "../consuming/held-lease.ts";
import type { OpenStream, StreamRequest } from "../consuming/lease-stream.ts";
import { LeaseSubscription, type SubscriptionOwner } from "../consuming/lease-subscription.ts";
import type { Settler } from "../consuming/settlement.ts";
import { FilaError } from "../errors.ts";
import type { Handler } from "./handler.ts";
import { HandlerPool } from "./handler-pool.ts";
import { Heartbeat } from "./heartbeat.ts";
import { checkStopOptions, type CheckedWorkOptions, type StopOptions } from "./worker-options.ts";

/** See `Worker`. */
export type WorkerState = "connecting" | "running" | "reconnecting" | "stopping" | "stopped" | "failed";

/** Where a worker's streams and settlements go. */
export interface WorkerGround {
  readonly open: OpenStream;
  readonly fallback: Settler;
  readonly clock: Clock;
  /** How long a stopping worker waits for answers when no handler runs any more, milliseconds. */
  readonly finishTimeoutMs: number;
  /** Told when it has stopped or failed. */
  readonly gone: () => void;
}

/** What is settled and not yet answered may be so many messages on top of what a worker may have, before it takes more. */
const unansweredMessages = 1_000;

/** What the public class needs of the engine, whatever its payloads are. */
interface Engine {
  readonly state: WorkerState;
  readonly inFlight: number;
  readonly finished: Promise<void>;
  stop(options: StopOptions): Promise<void>;
}

/** A running worker; made by `fila.work`. */
export class Worker {
  /**
   * Resolves when the worker has stopped. Rejects with FilaError when it failed: not_found QUEUE_NOT_FOUND,
   * invalid_argument, unauthenticated, permission_denied, unimplemented, unavailable CLIENT_CLOSED. Nobody need look.
   */
  readonly finished: Promise<void>;
  readonly #engine: Engine;

  /** Use `fila.work`. */
  constructor(engine: Engine) {
    this.#engine = engine;
    this.finished = engine.finished;
  }

  /**
   * "connecting" until the first stream stands, then "running"; "reconnecting" while none stands after that; "stopping"
   * from `stop` on; "stopped" or "failed" at the end.
   */
  get state(): WorkerState {
    return this.#engine.state;
  }

  /** Handlers that run. Never more than `concurrency`. */
  get inFlight(): number {
    return this.#engine.inFlight;
  }

  /**
   * Leases nothing more, releases what no handler has begun, and lets handlers come to their end as `options` say.
   * Resolves when that is done and answered, at the latest when the drain time is over and the broker had 5 s to answer;
   * handlers that ignore their signal are not waited for. May be called again with other options. Not to be awaited by a
   * handler of this worker, which it would wait for. Rejects with FilaError invalid_argument only.
   */
  stop(options: StopOptions = {}): Promise<void> {
    return this.#engine.stop(options);
  }

  /** As `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * connecting ─connected─▶ running ─interrupted─▶ reconnecting ─connected─▶ running;
 * connecting, running, reconnecting ─stop, signal─▶ stopping ─nothing held, all answered, or the time is over─▶ stopped;
 * any but the last two ─error that cannot pass─▶ failed.
 * Running: leases wait in the pool, credit keeps it full. A draining broker gets back what waits; the rest goes on.
 * Reconnecting: handlers go on, nothing is begun, as it is not known which leases stand.
 * Stopping: what waits is released at once; a lost connection is still opened anew for what is held or unanswered.
 * Never: a callback of the user that breaks the worker; a rejection of `finished` that is unhandled.
 */
export class WorkerEngine<T> implements Engine, SubscriptionOwner {
  readonly finished: Promise<void>;
  readonly #options: CheckedWorkOptions;
  readonly #ground: WorkerGround;
  readonly #pool: HandlerPool<T>;
  readonly #heartbeat: Heartbeat;
  readonly #subscription: LeaseSubscription | undefined;
  readonly #outcome = Promise.withResolvers<undefined>();
  readonly #abort = (): void => void this.stop({});
  #state: WorkerState = "connecting";
  #timers: (() => void)[] = [];

  constructor(
    request: StreamRequest,
    codec: Codec<T>,
    handler: Handler<T>,
    options: CheckedWorkOptions,
    ground: WorkerGround,
  ) {
    this.#options = options;
    this.#ground = ground;
    const { clock, open, fallback } = ground;
    const held = (): Iterable<HeldLease> => this.#subscription?.held ?? [];
    this.#heartbeat = new Heartbeat(held, clock, options.maximumExtensionMs);
    this.#pool = new HandlerPool({
      codec,
      handler,
      heartbeat: this.#heartbeat,
      concurrency: options.concurrency,
      clock,
      mayStart: () => this.#state === "running" && this.#subscription?.live === true,
      handled: () => this.#replenish(),
      troubled: (error, message) => quietly(() => options.onError(error, message)),
    });
    this.finished = this.#outcome.promise;
    // Who looks handles it; nobody need look.
    this.finished.catch(() => undefined);
    if (options.signal?.aborted === true) {
      this.#over("stopped", undefined);
      return;
    }
    options.signal?.addEventListener("abort", this.#abort, { once: true });
    this.#subscription = new LeaseSubscription(
      open,
      { ...request, reconnects: true },
      options.concurrency + options.prefetch,
      fallback,
      this,
      clock,
    );
  }

  get state(): WorkerState {
    return this.#state;
  }

  get inFlight(): number {
    return this.#pool.inFlight;
  }

  async stop(options: StopOptions): Promise<void> {
    const { drain, drainTimeoutMs } = checkStopOptions(options);
    if (this.#state !== "stopped" && this.#state !== "failed") this.#stop(drain, drainTimeoutMs);
    await this.finished.catch(() => undefined);
  }

  #stop(drain: "finish" | "nack" | "abandon", drainTimeoutMs: number): void {
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#change("stopping", undefined);
    this.#subscription?.finish();
    this.#releaseWaiting();
    if (drain !== "finish") return this.#giveUp(drain === "nack");
    const { finishTimeoutMs } = this.#ground;
    // What was released is not worth the whole drain time when the broker is away.
    this.#later(Math.min(finishTimeoutMs, drainTimeoutMs), () => {
      const leases = [...(this.#subscription?.held ?? [])];
      if (this.inFlight === 0 && leases.every(({ ending }) => ending === "release")) this.#abandon();
    });
    this.#later(drainTimeoutMs, () => {
      if (this.inFlight === 0) this.#abandon();
      else this.#giveUp(true);
    });
  }

  leased(leases: readonly HeldLease[]): void {
    this.#heartbeat.watch(leases);
    this.#pool.add(leases);
    this.#replenish();
  }

  lost(lease: HeldLease): void {
    this.#pool.remove(lease);
  }

  connected(visibilityTimeoutMs: number): void {
    this.#heartbeat.resume(visibilityTimeoutMs);
    if (this.#state === "connecting" || this.#state === "reconnecting") this.#change("running", undefined);
    this.#pool.start();
    this.#replenish();
  }

  draining(): void {
    this.#releaseWaiting();
    this.#replenish();
  }

  interrupted(error: FilaError): void {
    this.#heartbeat.pause();
    if (this.#state === "running") this.#change("reconnecting", error);
    // Nothing changed, but it tells why nothing does.
    else if (this.#state !== "stopping") quietly(() => this.#options.onStateChange(this.#state, error));
  }

  progressed(): void {
    this.#replenish();
  }

  sending(): void {
    this.#replenish(1);
  }

  ended(error: FilaError | undefined): void {
    this.#over(error === undefined ? "stopped" : "failed", error);
  }

  /**
   * Keeps as many leases here and on their way as may be. A request of its own is worth half of what may wait: a busy
   * worker does not send one for each message.
   */
  #replenish(worthwhile = this.#options.prefetch / 2): void {
    const subscription = this.#subscription;
    if (subscription === undefined || this.#state === "stopping") return;
    const { concurrency, prefetch } = this.#options;
    const { credit } = subscription;
    const room = concurrency + prefetch - this.#pool.inFlight - this.#pool.waiting - credit;
    const unanswered = concurrency + prefetch + unansweredMessages - subscription.held.size - credit;
    const missing = Math.min(room, unanswered);
    if (missing > 0 && missing >= worthwhile) subscription.grant(missing);
  }

  #releaseWaiting(): void {
    for (const lease of this.#pool.takeWaiting()) this.#subscription?.release(lease);
  }

  #giveUp(nack: boolean): void {
    const reason = new FilaError("canceled", "WORKER_STOPPED", "the worker was stopped before the handler was done");
    for (const lease of this.#pool.giveUp(reason, nack)) {
      if (!nack) this.#subscription?.drop(lease);
    }
    this.#later(this.#ground.finishTimeoutMs, () => this.#abandon());
  }

  #abandon(): void {
    const message = "the worker was stopped before the broker had answered";
    this.#subscription?.abandon(new FilaError("canceled", "WORKER_STOPPED", message));
  }

  /** Canceled when the worker is over. */
  #later(ms: number, run: () => void): void {
    this.#timers.push(this.#ground.clock.after(ms, run));
  }

  #change(state: WorkerState, cause: FilaError | undefined): void {
    if (this.#state === state) return;
    this.#state = state;
    quietly(() => this.#options.onStateChange(state, cause));
  }

  #over(state: "stopped" | "failed", error: FilaError | undefined): void {
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#heartbeat.pause();
    this.#pool.takeWaiting();
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#change(state, error);
    if (error === undefined) this.#outcome.resolve(undefined);
    else this.#outcome.reject(error);
    this.#ground.gone();
  }
}

/** Whatever a callback of the user throws or rejects with is its own affair. */
function quietly(callback: () => unknown): void {
  try {
    const returned = callback();
    if (returned instanceof Promise) returned.catch(() => undefined);
  } catch {
    // There is nobody left to tell.
  }
}
