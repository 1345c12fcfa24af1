// One hook, called over and over in one thread: what a call costs in processor time.
import { LuaEngine } from "../../../server/src/hooks/engine/lua-engine.ts";
import type { EnqueueCall, EnqueueDecision, ScriptWorld } from "../../../server/src/hooks/script-engine.ts";
import { doTask } from "../program-task.ts";

export type HookKind = "javascript" | "trivial" | "realistic" | "iterations" | "failing";

export interface HookEngineTask {
  readonly kind: HookKind;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

const scripts: Readonly<Record<Exclude<HookKind, "javascript">, string>> = {
  trivial: "function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end",
  realistic: `
    function on_enqueue(msg)
      local tenant = msg.headers.tenant or "none"
      local provider = msg.headers.provider or "none"
      return {
        fairness_key = tenant,
        weight = tonumber(fila.get("weight." .. tenant)) or 1,
        throttle_keys = { "provider:" .. provider, "tenant:" .. tenant },
      }
    end`,
  iterations: `
    function on_enqueue(msg)
      local sum = 0
      for i = 1, 1000 do sum = sum + i % 7 end
      return { weight = sum % 10 + 1 }
    end`,
  failing: "function on_enqueue(msg) error('no') end",
};

const config = new Map(Array.from({ length: 100 }, (_, at) => [`weight.tenant-${at}`, String((at % 9) + 1)]));
const world: ScriptWorld = {
  config: (key) => config.get(key),
  now: Date.now,
  monotonic: () => performance.now(),
  random: Math.random,
};

const encoder = new TextEncoder();
const calls = Array.from({ length: 100 }, (_, at): EnqueueCall => {
  const headers = Object.entries({
    tenant: `tenant-${at}`,
    provider: `smtp-${at % 5}`,
    "content-type": "application/json",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  });
  return {
    queue: "orders",
    headers: headers.map(([name, value]) => [encoder.encode(name), encoder.encode(value)] as const),
    payloadSize: 1_024,
    payload: undefined,
    enqueuedAt: 1_700_000_000_000 + at,
  };
});

function hook(kind: HookKind): (call: EnqueueCall) => EnqueueDecision | undefined {
  if (kind === "javascript") return inJavaScript;
  const engine = new LuaEngine(world);
  const script = engine.compile("on_enqueue", scripts[kind]);
  if (!("hook" in script)) throw new Error(script.message);
  return (call) => {
    const result = engine.onEnqueue(script, call);
    if (result.ok !== (kind !== "failing")) throw new Error(JSON.stringify(result));
    return result.ok ? result.decision : undefined;
  };
}

/** The decision of the realistic hook, as if it were built in. */
function inJavaScript({ headers }: EnqueueCall): EnqueueDecision {
  const decoder = new TextDecoder();
  const found = new Map<string, string>();
  for (const [name, value] of headers) found.set(decoder.decode(name), decoder.decode(value));
  const tenant = found.get("tenant") ?? "none";
  const provider = found.get("provider") ?? "none";
  return {
    fairnessKey: tenant,
    weight: Number(world.config(`weight.${tenant}`) ?? 1),
    cost: undefined,
    throttleKeys: [...new Set([`provider:${provider}`, `tenant:${tenant}`])].sort(),
    delayMs: undefined,
  };
}

/** Calls for so long; how many. */
function callFor(seconds: number, decide: (call: EnqueueCall) => unknown): number {
  const until = performance.now() + seconds * 1_000;
  let done = 0;
  while (performance.now() < until) {
    for (const call of calls) decide(call);
    done += calls.length;
  }
  return done;
}

await doTask(({ kind, warmUpSeconds, seconds }: HookEngineTask): Promise<number> => {
  const decide = hook(kind);
  callFor(warmUpSeconds, decide);
  const from = process.cpuUsage();
  const done = callFor(seconds, decide);
  const { user, system } = process.cpuUsage(from);
  return Promise.resolve((user + system) / done);
});
