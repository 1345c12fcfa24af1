// Scripts, their decisions and their failures for people.
import { Args } from "@oclif/core";
import type {
  EnqueueDecision,
  FailureDecision,
  HookDescription,
  HookFailure,
  HookName,
  HookTrial,
} from "@fila/sdk/admin";
import { printable, printableText } from "./printable.ts";
import { exactSpan } from "./spans.ts";

export const hookNames: readonly HookName[] = ["on_enqueue", "on_failure"];

export const hookArg = Args.custom<HookName>({
  description: "on_enqueue or on_failure.",
  options: [...hookNames],
  ignoreStdin: true,
});

const breakers: Readonly<Record<HookDescription["breaker"], string>> = {
  closed: "called for every message",
  open: "failed too often in a row, not called for now",
  half_open: "failed too often in a row, the next call decides",
};

export function describeHook(queue: string, name: HookName, hook: HookDescription): string[] {
  const { sha256, breaker, calls, failures, warnings } = hook;
  return [
    `${name}: ${sha256.slice(0, 12)}, ${breakers[breaker]}`,
    `  calls ${calls}, failed ${failures}, results with an invalid field ${warnings}`,
    ...(failures === 0 ? [] : [`  how they failed: fila hook errors ${queue}`]),
  ];
}

/** One line: where, why, what. */
export function failureText({ reason, line, message }: Pick<HookFailure, "reason" | "line" | "message">): string {
  return `${line === undefined ? "" : `line ${line}: `}${printable(message)} (${reason})`;
}

export function describeTrial(trial: HookTrial): string[] {
  const { steps, stepBudget, bytes, byteBudget, configKeys, warnings } = trial;
  return [
    ...describeOutcome(trial),
    ...warnings.map((warning) => `Warning: ${printableText(warning)}`),
    `Used: ${steps} of ${stepBudget} steps, ${bytes} of ${byteBudget} bytes`,
    ...(configKeys.length > 0 ? [`Read: ${configKeys.map(printable).join(", ")}`] : []),
  ];
}

function describeOutcome(trial: HookTrial): string[] {
  if ("failure" in trial) return [`Failed: ${failureText(trial.failure)}`];
  if (trial.hook === "on_failure") {
    return [describeFailureDecision(trial.decision)];
  }
  return describeDecision(trial.decision);
}

function describeFailureDecision({ action, delayMs }: FailureDecision): string {
  if (action === undefined) return "Undecided: the retry policy of the queue holds";
  if (action === "dlq") return "Dead letter";
  return `Retry: after ${delayMs === undefined ? "the backoff of the retry policy" : exactSpan(delayMs)}`;
}

function describeDecision({ fairnessKey, weight, cost, throttleKeys, delayMs }: EnqueueDecision): string[] {
  const own = "what the request says";
  const keys = throttleKeys?.map((key) => `"${printable(key)}"`).join(", ");
  return [
    `Fairness key: ${fairnessKey === undefined ? own : `"${printable(fairnessKey)}"`}`,
    `Weight: ${weight ?? own}`,
    `Cost: ${cost ?? own}`,
    `Throttle keys: ${keys === undefined ? own : keys === "" ? "none" : keys}`,
    `Delay: ${delayMs === undefined ? own : exactSpan(delayMs)}`,
  ];
}
