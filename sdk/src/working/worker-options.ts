// What work() is asked for, checked.
import { checkCount, checkVisibility, limits } from "../limits.ts";
import { milliseconds, type Duration } from "../duration.ts";
import { invalidField } from "../limits.ts";
import type { MessageInfo } from "./handler.ts";
import type { WorkerState } from "./worker.ts";

export interface WorkOptions {
  /** Handlers that run at the same time, at most; 1 to 10,000. Default: 10. */
  readonly concurrency?: number | undefined;
  /**
   * Leases that wait here for a handler to be free, 0 to 10,000: they spare a handler the way to the broker. They are
   * extended while they wait and released when the worker stops. Default: as `concurrency`, at most 100.
   */
  readonly prefetch?: number | undefined;
  /** How long a lease lasts unless it is extended, 1 s to 12 h: how soon another worker gets a message when this one hangs. Default: the queue's. */
  readonly visibilityTimeout?: Duration | undefined;
  /**
   * Leases are extended at a third of their time. `maximum`: no longer than that after a message came. false: only when
   * the handler asks. Default: for ever.
   */
  readonly extend?: false | { readonly maximum?: Duration | undefined } | undefined;
  /** Stops the worker as `stop()` does. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Told of each state, with what interrupted the connection or failed the worker; also, without a change, of each further
   * attempt to connect that failed.
   */
  readonly onStateChange?: ((state: WorkerState, cause: Error | undefined) => void) | undefined;
  /** Told of what a handler threw, a lost lease (LeaseLost), an ack or nack that was refused, a payload that cannot be decoded. */
  readonly onError?: ((error: unknown, message: MessageInfo) => void) | undefined;
}

export interface StopOptions {
  /**
   * What becomes of messages whose handlers run. "finish": they are waited for, up to `drainTimeout`; then as "nack".
   * "nack": their signals abort, and they are nacked now. "abandon": their signals abort, and their leases end with the
   * worker's stream, as if it had died. Default: "finish".
   */
  readonly drain?: "finish" | "nack" | "abandon" | undefined;
  /** Default: 30 s. */
  readonly drainTimeout?: Duration | undefined;
}

export interface CheckedWorkOptions {
  readonly concurrency: number;
  readonly prefetch: number;
  /** 0 = the queue's. */
  readonly visibilityTimeoutMs: number;
  /** 0: no extensions but the handler's own. */
  readonly maximumExtensionMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onStateChange: NonNullable<WorkOptions["onStateChange"]>;
  readonly onError: NonNullable<WorkOptions["onError"]>;
}

/** Throws FilaError invalid_argument. */
export function checkWorkOptions(options: WorkOptions): CheckedWorkOptions {
  const { extend = {}, concurrency = 10 } = options;
  checkCount("concurrency", concurrency, 1, limits.concurrency);
  const maximum = extend === false ? 0 : extend.maximum;
  return {
    concurrency,
    prefetch: checkCount("prefetch", options.prefetch ?? Math.min(concurrency, 100), 0, limits.concurrency),
    visibilityTimeoutMs: checkVisibility(options.visibilityTimeout),
    maximumExtensionMs: maximum === undefined ? Infinity : milliseconds(maximum, "extend.maximum"),
    signal: options.signal,
    onStateChange: options.onStateChange ?? (() => undefined),
    onError: options.onError ?? (() => undefined),
  };
}

/** Throws FilaError invalid_argument. */
export function checkStopOptions(options: StopOptions): {
  drain: "finish" | "nack" | "abandon";
  drainTimeoutMs: number;
} {
  const { drain = "finish", drainTimeout = "30s" } = options;
  if (!["finish", "nack", "abandon"].includes(drain)) {
    throw invalidField("drain", `is ${JSON.stringify(drain)}; it must be "finish", "nack" or "abandon"`);
  }
  return { drain, drainTimeoutMs: milliseconds(drainTimeout, "drainTimeout") };
}
