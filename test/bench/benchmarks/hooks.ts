// What scripts cost a broker: the same load with and without them, in the same run.
import { createClient } from "@connectrpc/connect";
import { FilaAdmin } from "@fila/sdk/gen";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import { queue } from "../broker-run.ts";
import type { HostileBrokerResult, HostileBrokerTask } from "../load/hostile-broker-load.ts";
import type { SlowNeighbourResult, SlowNeighbourTask } from "../load/slow-neighbour-load.ts";
import { connectTransport } from "../load/transports.ts";
import type { Throughput } from "../measuring-window.ts";
import type { Measured, Side } from "../paired-benchmark.ts";
import { runPairs } from "../paired-benchmark.ts";
import { median } from "../pairs.ts";
import { runProgram } from "../program.ts";
import { runLifecycle } from "./streams.ts";

const slowNeighbourLoad = new URL("../load/slow-neighbour-load.ts", import.meta.url);
const hostileBrokerLoad = new URL("../load/hostile-broker-load.ts", import.meta.url);

export const realistic = `
function on_enqueue(msg)
  local tenant = msg.headers.tenant or "none"
  local provider = msg.headers.provider or "none"
  return {
    fairness_key = tenant,
    weight = tonumber(fila.get("weight." .. tenant)) or 1,
    throttle_keys = { "provider:" .. provider, "tenant:" .. tenant },
  }
end`;

const tenants = 100;
const what = "StreamEnqueue in frames of 100 -> StreamLease -> ack, four headers; fsync on every commit";

type Script = "realistic" | "none" | "elsewhere";

/** The same in every run, but for the scripts. */
async function prepare(url: string, script: Script): Promise<void> {
  const admin = createClient(FilaAdmin, connectTransport(url));
  const scriptIf = (has: boolean): { onEnqueueScript: string } => ({ onEnqueueScript: has ? realistic : "" });
  await admin.createQueue({ name: queue, config: scriptIf(script === "realistic") });
  await admin.createQueue({ name: "other", config: scriptIf(script === "elsewhere") });
  for (let at = 0; at < tenants; at += 1)
    await admin.setConfig({ key: `weight.tenant-${at}`, value: `${(at % 9) + 1}` });
}

/** Keeps what was measured besides the throughput. */
async function run(bench: Bench, script: Script, all: Throughput[]): Promise<Measured> {
  const through = await runLifecycle(bench, {
    name: `hooks-${script}`,
    client: "bytes",
    // Without a script the producer names the same itself.
    keys: tenants,
    decided: script !== "realistic",
    backlog: 0,
    tenants,
    prepare: (url) => prepare(url, script),
  });
  all.push(through);
  const { perSecond, serverCpuUs = 0, serverMainUs = 0, clientCpuUs } = through;
  return {
    value: perSecond,
    details: { "main us": serverMainUs, "server us": serverCpuUs, "client us": clientCpuUs },
  };
}

export const hooks: Benchmark = {
  name: "hooks",
  async run(bench) {
    const without: Throughput[] = [];
    const withScript: Throughput[] = [];
    const side = (name: Script, text: string, all: Throughput[] = []): Side => ({
      name,
      what: `${what}; ${text}`,
      run: () => run(bench, name, all),
    });
    const figures = await runPairs(bench, {
      name: "hooks",
      unit: "acked/s",
      peer: side("none", "no scripts", without),
      fila: [
        { ...side("realistic", "on_enqueue in its thread", withScript), target: { kind: "at least", value: 0.5 } },
      ],
    });
    const elsewhere = await runPairs(bench, {
      name: "hooks-elsewhere",
      unit: "acked/s",
      // A few per cent are asked for, and two equal runs differ by more.
      timesAsManyPairs: 3,
      peer: side("none", "no scripts"),
      fila: [{ ...side("elsewhere", "another queue has a script"), target: { kind: "at least", value: 0.95 } }],
    });
    return [
      ...figures,
      ...elsewhere,
      added("hooks-main-thread", "the broker's main thread", 5, without, withScript, (each) => each.serverMainUs),
      added("hooks-cpu", "all threads of the broker", 30, without, withScript, (each) => each.serverCpuUs),
      await slowNeighbour(bench),
      ...(await hostile(bench)),
    ];
  },
};

function added(
  name: string,
  threads: string,
  most: number,
  without: readonly Throughput[],
  withScript: readonly Throughput[],
  time: (run: Throughput) => number | undefined,
): Figure {
  const differences = withScript.map((run, pair) => (time(run) ?? 0) - (time(without[pair]!) ?? 0));
  return {
    name,
    unit: "us/msg",
    value: median(differences),
    target: { kind: "at most", value: most },
    fila: `${what}: processor time of ${threads} with an on_enqueue script, less that without`,
    details: { differences },
  };
}

async function slowNeighbour(bench: Bench): Promise<Figure> {
  const { warmUpSeconds, seconds } = bench.window;
  const measure = (slow: boolean): Promise<SlowNeighbourResult> => {
    const task: SlowNeighbourTask = { slow, warmUpSeconds, seconds };
    return runProgram<SlowNeighbourResult>(slowNeighbourLoad, task);
  };
  const alone: SlowNeighbourResult[] = [];
  const beside: SlowNeighbourResult[] = [];
  for (let pair = 0; pair < Math.max(2, Math.ceil(bench.options.pairs / 2)); pair += 1) {
    alone.push(await measure(false));
    beside.push(await measure(true));
    const [a, b] = [alone.at(-1)!, beside.at(-1)!];
    bench.progress(
      `hooks-slow-neighbour: p99 ${b.p99Ms.toFixed(2)} ms beside, ${a.p99Ms.toFixed(2)} ms alone; ${Math.round(b.slowPerSecond)} slow calls/s`,
    );
  }
  const differences = beside.map(({ p99Ms }, pair) => p99Ms - alone[pair]!.p99Ms);
  return {
    name: "hooks-slow-neighbour",
    unit: "ms",
    value: median(differences),
    target: { kind: "at most", value: 20 },
    fila: "p99 of an Enqueue every 2 ms to a queue with a script, while another queue's script uses nearly all of its budget on each of as many messages as it takes, less that without it; store in memory",
    details: {
      differences,
      "slow calls/s": beside.map(({ slowPerSecond }) => slowPerSecond),
      "p99 alone": alone.map(({ p99Ms }) => p99Ms),
    },
  };
}

async function hostile(bench: Bench): Promise<Figure[]> {
  const task: HostileBrokerTask = { rounds: bench.options.quick ? 1 : 3, unbudgeted: bench.options.quick ? 20 : 1 };
  const { scripts, loopP99Ms, loopMaxMs, watchdog } = await runProgram<HostileBrokerResult>(hostileBrokerLoad, task);
  return [
    {
      name: "hooks-hostile-loop",
      unit: "ms",
      value: loopP99Ms,
      target: { kind: "at most", value: 20 },
      fila: `p99 of the delay of the broker's event loop while ${scripts} hostile scripts are called in their thread`,
      details: { "max ms": loopMaxMs },
    },
    {
      name: "hooks-watchdog",
      unit: "ms",
      value: watchdog.longestMs,
      target: { kind: "at most", value: 1_500 },
      fila:
        `${watchdog.scripts} hostile scripts without any budget, one message each: the longest time from the enqueue to the ` +
        `outcome (${watchdog.slowest})`,
      details: { "threads ended": watchdog.lost, "MB grown": watchdog.grownMb },
    },
    {
      name: "hooks-watchdog-wrong",
      unit: "answers",
      value: watchdog.wrong,
      target: { kind: "at most", value: 0 },
      fila: "the same: wrong answers of a good script after each of them",
    },
  ];
}
