// FilaAdmin: scripts of queues, tried and looked after.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { BreakerState, Hook, HookErrorMode, HookErrorSchema, TestHookResponseSchema } from "@fila/sdk/gen";
import type { HookError as HookErrorOnWire, TestHookRequest, TestHookResponse } from "@fila/sdk/gen";
import type { HookTrial, Operations } from "../../broker/operations-contract.ts";
import { maxScriptBytes } from "../../core/queue-settings.ts";
import { maxConfigKeyBytes, maxConfigValueBytes } from "../../core/runtime-config.ts";
import type { HookErrorMode as Mode } from "../../core/queue-settings.ts";
import type { HookError, HookName, HookState, TrialResult } from "../../hooks/port.ts";
import type { EnqueueDecision, FailureDecision } from "../../hooks/script-engine.ts";
import { defaultMessageLimits } from "../wire/limits.ts";
import { type AdminMethods, checkName, inRange, invalidField, valueOf } from "./answers.ts";

/** As the wire counts attempts. */
const maxAttempts = 0xffff_ffff;
const longestDelayMs = 365 * 24 * 3_600_000;
/** What goes beyond this of a sample's error is no sample. */
const maxErrorBytes = 4_096;
/** Values of the configuration that a trial sees instead of what is set. */
const maxTrialConfig = 1_000;

const hookNames: Readonly<Record<HookName, Hook>> = { on_enqueue: Hook.ON_ENQUEUE, on_failure: Hook.ON_FAILURE };

export const errorModes: Readonly<Record<Mode, HookErrorMode>> = {
  default: HookErrorMode.DEFAULT,
  last_good: HookErrorMode.LAST_GOOD,
  reject: HookErrorMode.REJECT,
};

const breakers: Readonly<Record<HookState["breaker"], BreakerState>> = {
  closed: BreakerState.CLOSED,
  open: BreakerState.OPEN,
  "half-open": BreakerState.HALF_OPEN,
};

export function hookMethods(operations: Operations): AdminMethods<"testHook" | "listHookErrors"> {
  return {
    async testHook(request) {
      return testAnswer(valueOf(await operations.tryHook(trialOf(request))));
    },

    async listHookErrors({ queue }) {
      checkName(queue, "queue");
      return { errors: valueOf(await operations.hookErrors(queue)).map(errorOnWire) };
    },
  };
}

/** @param withSource whoever may not change the queue does not see its scripts */
export function hookInfo(state: HookState | undefined, withSource: boolean) {
  if (state === undefined) return {};
  const { source, sha256, breaker, calls, failures, warnings } = state;
  return {
    source: withSource ? source : "",
    sha256,
    breaker: breakers[breaker],
    calls: BigInt(calls),
    failures: BigInt(failures),
    warnings: BigInt(warnings),
  };
}

function trialOf(request: TestHookRequest): HookTrial {
  const { hook, queue, script, headers, payload, config, attempts, error, requestedDelayMs, doNotRetry } = request;
  if (hook !== Hook.ON_ENQUEUE && hook !== Hook.ON_FAILURE) {
    throw invalidField("hook", `is ${hook}; choose ON_ENQUEUE or ON_FAILURE`);
  }
  if (queue !== "" || script === "") checkName(queue, "queue");
  const bytes = Buffer.byteLength(script);
  if (bytes > maxScriptBytes)
    throw invalidField("script", `is ${bytes} bytes long; shorten it to at most ${maxScriptBytes}`);
  if (Buffer.byteLength(error) > maxErrorBytes) {
    throw invalidField("error", `is longer than ${maxErrorBytes} bytes; shorten it`);
  }
  checkSample(request);
  const delayMs =
    requestedDelayMs === undefined ? undefined : inRange("requested_delay_ms", requestedDelayMs, 0, longestDelayMs);
  return {
    hook: hook === Hook.ON_ENQUEUE ? "on_enqueue" : "on_failure",
    queue,
    source: script,
    headers: Object.entries(headers),
    payload,
    seePayload: request.seePayload,
    config: new Map(Object.entries(config)),
    attempts: inRange("attempts", attempts, 0, maxAttempts),
    error,
    requestedDelayMs: delayMs,
    doNotRetry,
  };
}

/** Of a message that could not come, nothing is learned; and no budget bounds what it takes to hand it to a script. */
function checkSample({ headers, config }: TestHookRequest): void {
  const { maxHeaders, maxHeaderBytes } = defaultMessageLimits;
  const entries = Object.entries(headers);
  const bytes = entries.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
  if (entries.length > maxHeaders || bytes > maxHeaderBytes) {
    const are = `are ${entries.length} and ${bytes} bytes`;
    throw invalidField("headers", `${are}; a message has at most ${maxHeaders}, and ${maxHeaderBytes} bytes of them`);
  }
  const values = Object.entries(config);
  if (values.length > maxTrialConfig) {
    throw invalidField("config", `has ${values.length} keys; give at most ${maxTrialConfig}`);
  }
  for (const [key, value] of values) {
    if (Buffer.byteLength(key) <= maxConfigKeyBytes && Buffer.byteLength(value) <= maxConfigValueBytes) continue;
    const longest = `keys have at most ${maxConfigKeyBytes} bytes, values ${maxConfigValueBytes}`;
    throw invalidField("config", `has a longer key or value than there can be: ${longest}`);
  }
}

function testAnswer({ result, configKeys, budgets, sha256 }: TrialResult): TestHookResponse {
  const { called } = result;
  const { usage } = called;
  return create(TestHookResponseSchema, {
    outcome: outcomeOf(result, sha256),
    warnings: called.ok ? [...called.warnings] : [],
    steps: BigInt(usage.steps),
    stepBudget: BigInt(budgets.steps),
    bytes: BigInt(usage.bytes),
    byteBudget: BigInt(budgets.bytes),
    configKeys: [...configKeys],
    sha256,
  });
}

function outcomeOf({ hook, called }: TrialResult["result"], sha256: string) {
  if (!called.ok) {
    const { reason, line, message } = called.failure;
    return {
      case: "error" as const,
      value: create(HookErrorSchema, { hook: hookNames[hook], sha256, reason, line, message }),
    };
  }
  if (hook === "on_enqueue") return { case: "enqueue" as const, value: enqueueDecision(called.decision) };
  return { case: "failure" as const, value: failureDecision(called.decision) };
}

function enqueueDecision({ fairnessKey = "", weight = 0, cost = 0, throttleKeys, delayMs }: EnqueueDecision) {
  return {
    fairnessKey,
    weight,
    cost,
    throttleKeys: [...(throttleKeys ?? [])],
    setsThrottleKeys: throttleKeys !== undefined,
    ...(delayMs !== undefined && { delayMs: BigInt(delayMs) }),
  };
}

function failureDecision({ action, delayMs }: FailureDecision) {
  return {
    retry: action === "retry",
    undecided: action === undefined,
    ...(delayMs !== undefined && { delayMs: BigInt(delayMs) }),
  };
}

function errorOnWire({ at, hook, sha256, reason, line, message, messageId }: HookError): HookErrorOnWire {
  return create(HookErrorSchema, {
    at: timestampFromMs(at),
    hook: hookNames[hook],
    sha256,
    reason,
    line,
    message,
    messageId,
  });
}
