// What the broker asks of a scripting engine. One engine serves one thread; it keeps compiled scripts and nothing else:
// every call has a fresh environment, so no state goes from one message, or from one queue, to the next.

export type HookName = "on_enqueue" | "on_failure";

/** Limits of one call; each is enforced inside the engine. */
export interface Budgets {
  /** VM instructions and steps of library functions; default 100,000. */
  readonly steps: number;
  /** Bytes allocated, cumulative, without credit for garbage; default 1 MiB. */
  readonly bytes: number;
  /** Bytes of one string; default 64 KiB. */
  readonly stringBytes: number;
  /**
   * Clock time, a backstop only, looked at every 100 steps; of one gap between two looks at most a tenth of it counts.
   * Milliseconds, default 250.
   */
  readonly clockMs: number;
}

export const defaultBudgets: Budgets = Object.freeze({
  steps: 100_000,
  bytes: 1 << 20,
  stringBytes: 64 << 10,
  clockMs: 250,
});

/** The longest source, bytes. */
export const maxScriptBytes = 64 << 10;

/**
 * Why a script failed: it does not compile or does not define its function; a budget; an error of its own; "watchdog": its
 * thread made no progress and was ended from outside.
 */
export type ScriptFailureReason =
  "syntax" | "instructions" | "memory" | "string-length" | "clock" | "error" | "watchdog";

export interface ScriptFailure {
  readonly reason: ScriptFailureReason;
  /** Of the script, from 1; 0 = unknown. */
  readonly line: number;
  /** At most 512 bytes of UTF-8, control characters escaped. */
  readonly message: string;
}

/** Names and values are UTF-8; later ones of the same name win. */
export type Headers = Iterable<readonly [name: Uint8Array, value: Uint8Array]>;

/** The argument of on_enqueue. */
export interface EnqueueCall {
  readonly queue: string;
  readonly headers: Headers;
  readonly payloadSize: number;
  /** undefined: the queue does not show payloads to its scripts, or it is larger than one string may be. */
  readonly payload: Uint8Array | undefined;
  /** Wall clock, milliseconds. */
  readonly enqueuedAt: number;
}

/** The argument of on_failure. */
export interface FailureCall {
  readonly queue: string;
  readonly id: string;
  readonly headers: Headers;
  /** Counts the attempt that ended. */
  readonly attempts: number;
  readonly error: string;
  readonly requestedDelayMs: number | undefined;
  readonly doNotRetry: boolean;
}

/** What the script decided; undefined: it said nothing valid, and what the request says holds. */
export interface EnqueueDecision {
  /** 1 to 256 bytes. */
  readonly fairnessKey: string | undefined;
  /** 1 to 1,000. */
  readonly weight: number | undefined;
  /** 1 to 1,000. */
  readonly cost: number | undefined;
  /** At most 16, of 1 to 247 bytes, sorted, without duplicates. */
  readonly throttleKeys: readonly string[] | undefined;
  /** 0 to a year. */
  readonly delayMs: number | undefined;
}

/** undefined: it said nothing valid, and the queue's retry policy decides. */
export interface FailureDecision {
  readonly action: "retry" | "dlq" | undefined;
  /** 0 to a year; undefined: the backoff of the queue's retry policy. */
  readonly delayMs: number | undefined;
}

/** What a call used of its budgets. */
export interface Usage {
  readonly steps: number;
  readonly bytes: number;
}

export interface Called<Decision> {
  readonly ok: true;
  readonly decision: Decision;
  /** Fields of the result that were invalid, so that their defaults hold, in words. Shared when there are none. */
  readonly warnings: readonly string[];
  readonly usage: Usage;
}

export type CallResult<Decision> =
  Called<Decision> | { readonly ok: false; readonly failure: ScriptFailure; readonly usage: Usage };

/** What scripts see of the world outside of their call. */
export interface ScriptWorld {
  /** Runtime configuration, by key; undefined: not set. Asked at each `fila.get`. */
  config(key: string): string | undefined;
  /** Wall clock, milliseconds: `fila.now()`. */
  now(): number;
  /** Monotonic clock, milliseconds, for the clock budget. */
  monotonic(): number;
  /** For `math.random`: 0 <= x < 1. */
  random(): number;
}

/** A script that was compiled and defines its function. */
export interface CompiledScript {
  readonly hook: HookName;
}

export interface ScriptEngine {
  /** Compiles the source and runs its chunk once, under budget; what does not define the hook's function is refused. */
  compile(hook: HookName, source: string): CompiledScript | ScriptFailure;
  /** Never throws for what a script does. */
  onEnqueue(script: CompiledScript, call: EnqueueCall): CallResult<EnqueueDecision>;
  onFailure(script: CompiledScript, call: FailureCall): CallResult<FailureDecision>;
}
