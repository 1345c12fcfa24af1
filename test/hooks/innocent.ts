// npm run innocent [-- CALLS]: an innocent script of 1,000 iterations is called a million times on the real clock, while every
// processor of the machine is kept busy by others, and must never be aborted. Takes minutes; not part of npm test.
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { LuaEngine } from "../../server/src/hooks/engine/lua-engine.ts";
import { enqueueCall } from "../../server/src/hooks/engine/testing/script-rig.ts";

const calls = Number(process.argv[2] ?? 1_000_000);
const source = `
function on_enqueue(msg)
  local sum = 0
  for i = 1, 1000 do sum = sum + i % 7 end
  return { weight = sum % 10 + 1 }
end`;

/** Two for each processor: the script gets a third of one. */
const busy = Array.from({ length: 2 * availableParallelism() }, () => new Worker("for (;;) {}", { eval: true }));
const world = { config: () => undefined, now: Date.now, monotonic: () => performance.now(), random: Math.random };
const engine = new LuaEngine(world);
const script = engine.compile("on_enqueue", source);
if (!("hook" in script)) throw new Error(script.message);

let longestMs = 0;
const from = performance.now();
for (let done = 0; done < calls; done++) {
  const began = performance.now();
  const result = engine.onEnqueue(script, enqueueCall());
  longestMs = Math.max(longestMs, performance.now() - began);
  if (!result.ok || result.decision.weight !== 4) {
    throw new Error(`call ${done + 1} of ${calls}: ${JSON.stringify(result)}`);
  }
}
const perCallUs = ((performance.now() - from) * 1_000) / calls;
console.log(
  `${calls.toLocaleString("en")} calls, none aborted; ${perCallUs.toFixed(1)} us each, the longest ${longestMs.toFixed(1)} ms`,
);
await Promise.all(busy.map((worker) => worker.terminate()));
