// Every hostile script, over and over in one engine: how much the memory of the process grows.
import { LuaEngine } from "../../../server/src/hooks/engine/lua-engine.ts";
import { hostileScripts, sourceOf } from "../../../server/src/hooks/engine/testing/hostile-scripts.ts";
import { enqueueCall, stillWorld } from "../../../server/src/hooks/engine/testing/script-rig.ts";
import { doTask } from "../program-task.ts";

export interface HostileScriptsTask {
  readonly rounds: number;
}

export interface HostileScriptsResult {
  readonly scripts: number;
  /** Resident memory after each round, less that before the first; bytes. */
  readonly growth: readonly number[];
  /** The slowest script of the first round, compiled and called; milliseconds of processor time. */
  readonly slowestMs: number;
}

const engine = new LuaEngine(stillWorld({ long: "x".repeat(60_000) }));
const call = enqueueCall({ tenant: "acme" });

function run(source: string): void {
  const script = engine.compile("on_enqueue", source);
  if ("hook" in script) engine.onEnqueue(script, call);
}

await doTask(({ rounds }: HostileScriptsTask): Promise<HostileScriptsResult> => {
  for (let i = 0; i < 10_000; i++) run("function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end");
  const before = process.memoryUsage.rss();
  const growth: number[] = [];
  let slowestMs = 0;
  for (let round = 0; round < rounds; round++) {
    for (const hostile of hostileScripts) {
      const from = process.cpuUsage();
      run(sourceOf(hostile));
      const { user, system } = process.cpuUsage(from);
      if (round === 0) slowestMs = Math.max(slowestMs, (user + system) / 1_000);
    }
    growth.push(process.memoryUsage.rss() - before);
  }
  return Promise.resolve({ scripts: hostileScripts.length, growth, slowestMs });
});
