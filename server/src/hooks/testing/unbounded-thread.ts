// The program of a thread whose scripts have no budgets, so that one that loops does so for ever; and which ends when a
// message says so.
import { LuaEngine } from "../engine/lua-engine.ts";
import type { EngineFactory } from "../runner.ts";
import type { CompiledScript, EnqueueCall } from "../script-engine.ts";
import { serveThread } from "../serve-thread.ts";

class MortalEngine extends LuaEngine {
  override onEnqueue(script: CompiledScript, call: EnqueueCall) {
    for (const [name] of call.headers) if (Buffer.from(name).toString() === "die") process.exit(1);
    return super.onEnqueue(script, call);
  }
}

const unbounded: EngineFactory = (world) =>
  new MortalEngine(world, { steps: Infinity, bytes: Infinity, stringBytes: Infinity, clockMs: Infinity });

serveThread(unbounded);
