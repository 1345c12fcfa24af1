// What the broker tells the hooks of its queues and asks of them. Every question is answered exactly once, also when the
// thread of the scripts dies or everything stops.
import type { EnqueueItem } from "../core/commands.ts";
import type { Failure } from "../core/errors.ts";
import type { QueueSettings } from "../core/queue-settings.ts";
import type { HookAnswer } from "../core/retry-policy.ts";
import type {
  Budgets,
  CallResult,
  EnqueueDecision,
  FailureDecision,
  HookName,
  ScriptFailure,
  ScriptFailureReason,
} from "./script-engine.ts";

export type { HookName, ScriptFailure } from "./script-engine.ts";

export interface HookedQueue {
  readonly number: number;
  readonly name: string;
  readonly settings: QueueSettings;
}

/** What an item becomes: what the core gets, or why the message is refused. */
export type Verdict = EnqueueItem | Failure;

export interface FailureQuestion {
  readonly queue: string;
  readonly id: string;
  /** Ended ones, this one included. */
  readonly attempts: number;
  readonly error: string;
  /** What the worker asks for. */
  readonly requestedDelayMs: number | undefined;
  readonly doNotRetry: boolean;
  /** Headers and payload in wire form (fields 2 and 3 of Message). */
  readonly body: Uint8Array;
}

export type BreakerState = "closed" | "open" | "half-open";

/** How a script of a queue does. Numbers since the broker started. */
export interface HookState {
  readonly source: string;
  /** Of the source, hexadecimal. */
  readonly sha256: string;
  readonly breaker: BreakerState;
  readonly calls: number;
  readonly failures: number;
  /** Fields of results that were invalid, so that their defaults held. */
  readonly warnings: number;
}

export interface HookError extends ScriptFailure {
  /** Wall clock. */
  readonly at: number;
  readonly hook: HookName;
  readonly sha256: string;
  /** "" = none yet. */
  readonly messageId: string;
}

/** A sample message, and what the script is to see. */
export interface Trial {
  readonly hook: HookName;
  readonly source: string;
  readonly queue: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly payload: Uint8Array;
  readonly seePayload: boolean;
  /** Seen instead of what is set; "" = not set. */
  readonly config: ReadonlyMap<string, string>;
  /** Of on_failure. */
  readonly attempts: number;
  readonly error: string;
  readonly requestedDelayMs: number | undefined;
  readonly doNotRetry: boolean;
}

export interface TrialResult {
  readonly result:
    | { readonly hook: "on_enqueue"; readonly called: CallResult<EnqueueDecision> }
    | { readonly hook: "on_failure"; readonly called: CallResult<FailureDecision> };
  /** Of the configuration that the script read, in the order in which it first did. */
  readonly configKeys: readonly string[];
  readonly budgets: Budgets;
  readonly sha256: string;
}

/** Told what scripts do; to be quick. */
export interface HookObserver {
  /** A call has ended. `ms`: undefined, if that was with its thread; `failed`: why, if it failed; `warnings`: invalid fields
   * of its result. */
  hookCalled(
    queueNumber: number,
    ms: number | undefined,
    failed: ScriptFailureReason | undefined,
    warnings: number,
  ): void;
  /** The breaker was open, so the script was not called. */
  hookSkipped(queueNumber: number): void;
  /** A thread of scripts was ended because it made no progress, or died. */
  hookThreadLost(): void;
}

export interface HookReading {
  /** Messages that wait for a script, or are in one. */
  readonly waiting: number;
  readonly openBreakers: number;
}

export interface Hooks {
  /** These queues and this configuration are all there is: at the start, and when the store was reopened. */
  load(queues: Iterable<HookedQueue>, config: ReadonlyMap<string, string>): void;
  /** Created or changed. What is enqueued from now on sees it. */
  queueSet(queue: HookedQueue): void;
  /** An operator has given the queue a script, be it the same: its breaker is closed. */
  scriptSet(queue: string, hook: HookName): void;
  queueDeleted(queueNumber: number): void;
  /** `value` "" = deleted. What is enqueued from now on sees it. */
  configSet(key: string, value: string): void;
  /** Called when a script has answered for the first time. */
  onWorked(listener: (queueNumber: number, hook: HookName, source: string) => void): void;

  /** Whether messages to the queue are to be handed over before they are enqueued. */
  takes(queue: string): boolean;
  /** Verdicts come in the order of the items, and calls for one queue are answered in their order. */
  enqueue(queue: string, items: readonly EnqueueItem[], done: (verdicts: readonly Verdict[]) => void): void;
  /** What comes after an ended attempt. */
  decide(question: FailureQuestion, answer: (answer: HookAnswer) => void): void;

  /** Why the source is no script for this hook; undefined: it is one. Never on the thread of the traffic. */
  check(hook: HookName, source: string): Promise<ScriptFailure | Overloaded | undefined>;
  try(trial: Trial): Promise<TrialResult | Overloaded>;

  stateOf(queue: string, hook: HookName): HookState | undefined;
  /** Newest first; the last 16 of each hook. */
  errorsOf(queue: string): readonly HookError[];
  read(): HookReading;
  /** Answers all that waits: messages with this failure, ended attempts with the policy. */
  stop(failed: Failure): Promise<void>;
}

/** Too many checks and trials wait already. */
export type Overloaded = "overloaded";
