// One call of a script with a sample message, for whoever tries it.
import { createHash } from "node:crypto";
import type { Trial, TrialResult } from "./port.ts";
import type { Budgets, CallResult, ScriptEngine } from "./script-engine.ts";

export function sha256(source: string): string {
  return createHash("sha256").update(source).digest("hex");
}

/** @param now wall clock */
export function runTrial(
  engine: ScriptEngine,
  trial: Omit<Trial, "config">,
  budgets: Budgets,
  now: number,
): Omit<TrialResult, "configKeys"> {
  const { hook, source, queue, payload, seePayload } = trial;
  const script = engine.compile(hook, source);
  const about = { budgets, sha256: sha256(source) };
  if ("reason" in script) {
    const called: CallResult<never> = { ok: false, failure: script, usage: { steps: 0, bytes: 0 } };
    return { ...about, result: { hook, called } };
  }
  const headers = trial.headers.map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
  if (hook === "on_enqueue") {
    const seen = seePayload && payload.length <= budgets.stringBytes ? payload : undefined;
    const call = { queue, headers, payloadSize: payload.length, payload: seen, enqueuedAt: now };
    return { ...about, result: { hook, called: engine.onEnqueue(script, call) } };
  }
  const { attempts, error, requestedDelayMs, doNotRetry } = trial;
  const call = { queue, headers, id: "", attempts, error, requestedDelayMs, doNotRetry };
  return { ...about, result: { hook, called: engine.onFailure(script, call) } };
}
