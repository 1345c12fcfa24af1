// What a hook costs by itself, in the thread that calls it, and what hostile scripts leave in memory.
import type { Bench, Benchmark, Figure } from "../bench.ts";
import type { HookEngineTask, HookKind } from "../load/hook-engine-load.ts";
import type { HostileScriptsResult, HostileScriptsTask } from "../load/hostile-scripts-load.ts";
import type { Measured, Side } from "../paired-benchmark.ts";
import { runPairs } from "../paired-benchmark.ts";
import { runProgram } from "../program.ts";

const load = new URL("../load/hook-engine-load.ts", import.meta.url);
const hostileLoad = new URL("../load/hostile-scripts-load.ts", import.meta.url);

const what: Readonly<Record<Exclude<HookKind, "javascript">, string>> = {
  trivial: "on_enqueue that answers one of four headers as the fairness key",
  realistic:
    "on_enqueue that reads two of four headers and one fila.get, and answers key, weight and two throttle keys",
  iterations: "on_enqueue with a loop of 1,000 iterations",
  failing: "on_enqueue that raises an error, and the new thread that follows it",
};
/** Microseconds of a call. */
const most: Partial<Record<HookKind, number>> = { trivial: 8, realistic: 25 };

async function measure(bench: Bench, kind: HookKind): Promise<Measured> {
  const { warmUpSeconds, seconds } = bench.window;
  const task: HookEngineTask = { kind, warmUpSeconds, seconds };
  return { value: await runProgram<number>(load, task, bench.profile(`hook-engine-${kind}`)) };
}

export const hookEngine: Benchmark = {
  name: "hook-engine",
  async run(bench) {
    const side = (kind: Exclude<HookKind, "javascript">): Side => ({
      name: kind,
      what: `${what[kind]}: processor time of one call in its thread`,
      run: () => measure(bench, kind),
    });
    const figures = await runPairs(bench, {
      name: "hook-engine",
      unit: "us/call",
      peer: {
        name: "javascript",
        what: "the decision of the realistic hook as a JavaScript function over the same bytes",
        run: () => measure(bench, "javascript"),
      },
      fila: (Object.keys(what) as (keyof typeof what)[]).map(side),
    });
    return [...figures, ...figures.flatMap(absolute), await hostileMemory(bench)];
  },
};

/** The share of a message's budget is what counts in the end: a figure of its own beside the ratio. */
function absolute({ name, pairs, fila }: Figure): Figure[] {
  const kind = name.split(" / ")[1] as HookKind;
  const bound = most[kind];
  if (bound === undefined || pairs === undefined) return [];
  return [
    {
      name: `hook-cost / ${kind}`,
      unit: "us/call",
      value: pairs.fila,
      target: { kind: "at most", value: bound },
      fila,
    },
  ];
}

async function hostileMemory(bench: Bench): Promise<Figure> {
  const task: HostileScriptsTask = { rounds: bench.options.quick ? 1 : 5 };
  const { scripts, growth, slowestMs } = await runProgram<HostileScriptsResult>(hostileLoad, task);
  const mib = growth.map((bytes) => bytes / (1 << 20));
  return {
    name: "hook-engine-rss",
    unit: "MB",
    value: mib[0]!,
    target: { kind: "at most", value: 100 },
    fila: `resident memory after all ${scripts} hostile scripts in one engine, minus before, after 10,000 calls of a good one`,
    details: { "after each round": mib, "slowest script ms": slowestMs },
  };
}
