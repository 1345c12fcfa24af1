// Scripts of a queue as operators set, try and see them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { milliseconds, type Duration } from "../duration.ts";
import {
  BreakerState,
  Hook,
  HookErrorMode,
  type HookError,
  type HookInfo,
  type TestHookRequestSchema,
  type TestHookResponse,
} from "../gen/index.ts";
import { checkCount, checkQueueName, invalidField, limits } from "../limits.ts";
import { known, knownDate } from "./wire-values.ts";

/**
 * on_enqueue decides what a message is when it comes in: its fairness key, weight, cost, throttle keys, delay. on_failure
 * decides what becomes of a message whose attempt has ended.
 */
export type HookName = "on_enqueue" | "on_failure";

/**
 * What holds when a script fails. "default": what the request says (on_enqueue), the queue's retry policy (on_failure).
 * "last_good": what the last script before it that worked says. "reject": on_enqueue refuses the message with
 * failed_precondition HOOK_FAILED; on_failure as "default".
 */
export type HookErrorPolicy = "default" | "last_good" | "reject";

/** "open": the script failed too often in a row and is not called for a while. "half_open": the next call decides. */
export type HookBreakerState = "closed" | "open" | "half_open";

/** The script that a queue has for one hook, and how it does. */
export interface HookDescription {
  /** Lua. */
  readonly source: string;
  /** Of the source, lower-case hexadecimal. */
  readonly sha256: string;
  readonly breaker: HookBreakerState;
  /** Calls since the broker started. */
  readonly calls: number;
  /** Of these, those that failed. */
  readonly failures: number;
  /** Fields of results that were invalid, so that their defaults held. */
  readonly warnings: number;
}

/** Why a script failed: it does not compile, a budget, an error of its own, or its thread had to be ended. */
export type HookFailureReason =
  "syntax" | "instructions" | "memory" | "string-length" | "clock" | "error" | "watchdog" | (string & {});

/** A failed call of a script. */
export interface HookFailure {
  /** undefined: in a trial. */
  readonly at: Date | undefined;
  readonly hook: HookName;
  /** Of the script. */
  readonly sha256: string;
  readonly reason: HookFailureReason;
  /** Of the script, from 1; undefined: unknown. */
  readonly line: number | undefined;
  readonly message: string;
  /** The message that it was called for; undefined: unknown, as that of a message that is about to be enqueued. */
  readonly messageId: string | undefined;
}

/** What a script is tried on. */
export interface HookTrialOptions {
  /** The queue whose script is tried, unless `script` is given; its name is what the script sees. */
  readonly queue?: string | undefined;
  /** Lua. */
  readonly script?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly payload?: Uint8Array | string | undefined;
  /** Run-time configuration that the script sees before what is set; "" = not set. */
  readonly config?: Readonly<Record<string, string>> | undefined;
  /** on_failure: ended attempts, this one counted. Default: 1. */
  readonly attempts?: number | undefined;
  /** on_failure: what the worker said. */
  readonly error?: string | undefined;
  /** on_failure: the delay that the worker asked for. */
  readonly requestedDelay?: Duration | undefined;
  /** on_failure: the worker asked for no further attempt. */
  readonly doNotRetry?: boolean | undefined;
  /** Whether the script sees the payload. Default: as the queue says. */
  readonly seePayload?: boolean | undefined;
}

/** What on_enqueue decided; undefined: it said nothing valid, and what the request says holds. */
export interface EnqueueDecision {
  readonly fairnessKey: string | undefined;
  readonly weight: number | undefined;
  readonly cost: number | undefined;
  readonly throttleKeys: readonly string[] | undefined;
  readonly delayMs: number | undefined;
}

/** What on_failure decided. */
export interface FailureDecision {
  /** undefined: it said nothing valid, and the queue's retry policy decides. */
  readonly action: "retry" | "dlq" | undefined;
  /** Of a retry; undefined: the backoff of the retry policy. */
  readonly delayMs: number | undefined;
}

/** What came of a trial. */
export type HookTrialOutcome =
  | { readonly hook: "on_enqueue"; readonly decision: EnqueueDecision }
  | { readonly hook: "on_failure"; readonly decision: FailureDecision }
  | { readonly hook: HookName; readonly failure: HookFailure };

export type HookTrial = HookTrialOutcome & {
  /** Fields of the result that were invalid, and why. */
  readonly warnings: readonly string[];
  /** VM instructions and steps of library functions, of a budget. */
  readonly steps: number;
  readonly stepBudget: number;
  /** Bytes allocated, of a budget. */
  readonly bytes: number;
  readonly byteBudget: number;
  /** Keys of the configuration that it read, set or not. */
  readonly configKeys: readonly string[];
  readonly sha256: string;
};

const hooks: Readonly<Record<HookName, Hook>> = { on_enqueue: Hook.ON_ENQUEUE, on_failure: Hook.ON_FAILURE };
const modes: Readonly<Record<HookErrorPolicy, HookErrorMode>> = {
  default: HookErrorMode.DEFAULT,
  last_good: HookErrorMode.LAST_GOOD,
  reject: HookErrorMode.REJECT,
};

/** Throws FilaError invalid_argument. */
export function hookErrorMode(policy: HookErrorPolicy): HookErrorMode {
  if (Object.hasOwn(modes, policy)) return modes[policy];
  throw invalidField("onHookError", `is ${JSON.stringify(policy)}; it must be "default", "last_good" or "reject"`);
}

export function hookErrorPolicy(mode: HookErrorMode): HookErrorPolicy {
  switch (mode) {
    case HookErrorMode.LAST_GOOD:
      return "last_good";
    case HookErrorMode.REJECT:
      return "reject";
    default:
      return "default";
  }
}

export function hookDescription(info: HookInfo | undefined): HookDescription | undefined {
  if (info === undefined) return undefined;
  const { source, sha256, breaker, calls, failures, warnings } = info;
  const state = breaker === BreakerState.OPEN ? "open" : breaker === BreakerState.HALF_OPEN ? "half_open" : "closed";
  return {
    source,
    sha256,
    breaker: state,
    calls: Number(calls),
    failures: Number(failures),
    warnings: Number(warnings),
  };
}

export function hookFailure({ at, hook, sha256, reason, line, message, messageId }: HookError): HookFailure {
  return {
    at: at && knownDate(at),
    hook: hook === Hook.ON_FAILURE ? "on_failure" : "on_enqueue",
    sha256,
    reason,
    line: line === 0 ? undefined : line,
    message,
    messageId: messageId === "" ? undefined : messageId,
  };
}

/** Throws FilaError invalid_argument. */
export function trialRequest(hook: HookName, trial: HookTrialOptions): MessageInitShape<typeof TestHookRequestSchema> {
  if (!Object.hasOwn(hooks, hook)) {
    throw invalidField("hook", `is ${JSON.stringify(hook)}; it must be "on_enqueue" or "on_failure"`);
  }
  const { queue, script, headers = {}, payload = "", config = {}, attempts, error, doNotRetry, seePayload } = trial;
  if (queue === undefined && script === undefined) {
    throw invalidField("script", "is missing; give a script, or the queue whose script is to be tried");
  }
  if (queue !== undefined) checkQueueName(queue);
  const { requestedDelay } = trial;
  const delayMs =
    requestedDelay === undefined ? undefined : milliseconds(requestedDelay, "requestedDelay", limits.delayMs);
  return {
    hook: hooks[hook],
    ...known({ queue, script, error, doNotRetry, seePayload }),
    headers: { ...headers },
    payload: typeof payload === "string" ? new TextEncoder().encode(payload) : payload,
    config: { ...config },
    ...known({
      attempts: attempts === undefined ? undefined : checkCount("attempts", attempts, 0, 0xffff_ffff),
      requestedDelayMs: delayMs === undefined ? undefined : BigInt(delayMs),
    }),
  };
}

export function hookTrial(hook: HookName, answer: TestHookResponse): HookTrial {
  const { warnings, steps, stepBudget, bytes, byteBudget, configKeys, sha256 } = answer;
  return {
    ...outcomeOf(hook, answer.outcome),
    warnings,
    steps: Number(steps),
    stepBudget: Number(stepBudget),
    bytes: Number(bytes),
    byteBudget: Number(byteBudget),
    configKeys,
    sha256,
  };
}

function outcomeOf(hook: HookName, outcome: TestHookResponse["outcome"]): HookTrialOutcome {
  switch (outcome.case) {
    case "failure": {
      const { retry, delayMs, undecided } = outcome.value;
      const action = undecided ? undefined : retry ? "retry" : "dlq";
      return { hook: "on_failure", decision: { action, delayMs: delayMs === undefined ? undefined : Number(delayMs) } };
    }
    case "error":
      return { hook, failure: hookFailure(outcome.value) };
    default: {
      const {
        fairnessKey = "",
        weight = 0,
        cost = 0,
        throttleKeys = [],
        setsThrottleKeys = false,
        delayMs,
      } = outcome.value ?? {};
      return {
        hook: "on_enqueue",
        decision: {
          fairnessKey: fairnessKey === "" ? undefined : fairnessKey,
          weight: weight === 0 ? undefined : weight,
          cost: cost === 0 ? undefined : cost,
          throttleKeys: setsThrottleKeys ? throttleKeys : undefined,
          delayMs: delayMs === undefined ? undefined : Number(delayMs),
        },
      };
    }
  }
}
