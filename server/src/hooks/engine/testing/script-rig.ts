// An engine with a world that stands still, and calls with little to write down.
import assert from "node:assert/strict";
import { LuaEngine } from "../lua-engine.ts";
import type {
  Budgets,
  Called,
  CallResult,
  CompiledScript,
  EnqueueCall,
  EnqueueDecision,
  FailureCall,
  FailureDecision,
  HookName,
  ScriptFailure,
  ScriptWorld,
} from "../../script-engine.ts";

export const stillTime = 1_700_000_000_123;

/** Its clocks stand still, so that no budget of time can end a script. */
export function stillWorld(config: Readonly<Record<string, string>> = {}): ScriptWorld {
  return { config: (key) => config[key], now: () => stillTime, monotonic: () => 0, random: () => 0.5 };
}

const encoder = new TextEncoder();
export const headersOf = (headers: Readonly<Record<string, string>>): [Uint8Array, Uint8Array][] =>
  Object.entries(headers).map(([name, value]) => [encoder.encode(name), encoder.encode(value)]);

export function enqueueCall(
  headers: Readonly<Record<string, string>> = {},
  rest: Partial<EnqueueCall> = {},
): EnqueueCall {
  return {
    queue: "orders",
    headers: headersOf(headers),
    payloadSize: 1_024,
    payload: undefined,
    enqueuedAt: stillTime,
    ...rest,
  };
}

export function failureCall(rest: Partial<FailureCall> = {}): FailureCall {
  return {
    queue: "orders",
    id: "0123",
    headers: [],
    attempts: 1,
    error: "timed out",
    requestedDelayMs: undefined,
    doNotRetry: false,
    ...rest,
  };
}

export class ScriptRig {
  readonly engine: LuaEngine;

  constructor(world: ScriptWorld = stillWorld(), budgets: Partial<Budgets> = {}) {
    this.engine = new LuaEngine(world, budgets);
  }

  compiled(hook: HookName, source: string): CompiledScript {
    const script = this.engine.compile(hook, source);
    assert.ok("hook" in script, `does not compile: ${JSON.stringify(script)}`);
    return script;
  }

  refused(source: string, hook: HookName = "on_enqueue"): ScriptFailure {
    const script = this.engine.compile(hook, source);
    assert.ok(!("hook" in script), "compiles");
    return script;
  }

  /** The whole source of an on_enqueue, called once. */
  enqueue(source: string, call = enqueueCall()): CallResult<EnqueueDecision> {
    return this.engine.onEnqueue(this.compiled("on_enqueue", source), call);
  }

  /** The body of on_enqueue, which must succeed. */
  answer(body: string, call = enqueueCall()): Called<EnqueueDecision> {
    const result = this.enqueue(`function on_enqueue(msg) ${body} end`, call);
    assert.ok(result.ok, `fails: ${JSON.stringify(result)}`);
    return result;
  }

  /** What an expression is, as tostring tells it; at most 256 bytes. */
  value(expression: string, call = enqueueCall(), before = ""): string | undefined {
    return this.answer(`${before} return { fairness_key = tostring(${expression}) }`, call).decision.fairnessKey;
  }

  /** The body of on_enqueue, which must fail. */
  failure(body: string, call = enqueueCall()): ScriptFailure {
    const result = this.enqueue(`function on_enqueue(msg) ${body} end`, call);
    assert.ok(!result.ok, `succeeds: ${JSON.stringify(result)}`);
    return result.failure;
  }

  /** The body of on_failure, which must succeed. */
  failed(body: string, call = failureCall()): Called<FailureDecision> {
    const script = this.compiled("on_failure", `function on_failure(msg) ${body} end`);
    const result = this.engine.onFailure(script, call);
    assert.ok(result.ok, `fails: ${JSON.stringify(result)}`);
    return result;
  }
}
