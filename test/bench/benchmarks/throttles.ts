// What throttles and caps cost where nothing is short, what those that wait cost the others, and how soon a change acts.
import path from "node:path";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import type { CoreKind, CoreTask } from "../load/core-load.ts";
import { type Side, runPairs } from "../paired-benchmark.ts";
import { median } from "../pairs.ts";
import type { Target } from "../pairs.ts";
import { runProgram } from "../program.ts";
import { onAdmin, queue } from "../broker-run.ts";
import { startBroker } from "../broker-process.ts";
import type { Limit, ThrottledTask, ThrottledUse } from "../load/throttled-load.ts";
import { runLifecycle } from "./streams.ts";

const coreLoad = new URL("../load/core-load.ts", import.meta.url);
const throttledLoad = new URL("../load/throttled-load.ts", import.meta.url);

function run(bench: Bench, kind: CoreKind): Promise<number> {
  const { warmUpSeconds, seconds } = bench.window;
  return runProgram<number>(
    coreLoad,
    { kind, warmUpSeconds, seconds } satisfies CoreTask,
    bench.profile(`core-${kind}`),
  );
}

function side(bench: Bench, kind: CoreKind, what: string, target?: Target): Side {
  const of: Omit<Side, "target"> = {
    name: kind,
    what: `the core alone, from enqueue to ack in turns of 100: ${what}`,
    run: async () => ({ value: await run(bench, kind) }),
  };
  return target === undefined ? of : { ...of, target };
}

export const throttles: Benchmark = {
  name: "throttles",
  async run(bench) {
    const cost = await runPairs(bench, {
      name: "throttles-cost",
      unit: "us/msg",
      peer: side(bench, "first-in-first-out", "1 fairness key"),
      fila: [
        side(bench, "keys", "1,000 fairness keys"),
        side(bench, "policed", "1,000 keys, two throttle keys that let everything through, caps that are not reached"),
        side(bench, "contended", "1,000 keys in line at one bucket, called one by one"),
      ],
    });
    const beside = await runPairs(bench, {
      name: "throttled-out",
      unit: "us/msg",
      peer: side(bench, "alone", "one key that nothing holds"),
      fila: [
        side(bench, "beside", "the same key beside 10,000 keys that wait for tokens", {
          kind: "at most",
          value: 1.11,
        }),
      ],
    });
    return [
      ...cost,
      await shareOfLifecycle(bench, cost),
      ...beside,
      await liveChange(bench),
      await exactRounds(bench),
      ...(await livePromise(bench)),
    ];
  },
};

/** Everything that keys, throttles and caps add to first in, first out, against the broker's processor time for a message. */
async function shareOfLifecycle(bench: Bench, cost: readonly Figure[]): Promise<Figure> {
  const variant = { name: "throttles-lifecycle", client: "bytes", keys: 1_000, backlog: 10_000 } as const;
  const { perSecond, serverCpuUs } = await runLifecycle(bench, variant);
  if (serverCpuUs === undefined) throw new Error("the processor time of the broker is not known");
  const policed = cost.find(({ name }) => name.endsWith("policed"))?.pairs;
  if (policed === undefined) throw new Error("no figure of policed messages");
  const added = policed.fila - policed.peer;
  const whole = serverCpuUs;
  return {
    name: "throttles-share",
    unit: "of the lifecycle",
    value: added / whole,
    target: { kind: "at most", value: 0.05 },
    fila: "what 1,000 keys, two throttle keys and caps add to the core, of the broker's processor time for a message from enqueue to ack",
    details: { "us added": added, "us lifecycle": whole, "msg/s lifecycle": perSecond },
  };
}

async function liveChange(bench: Bench): Promise<Figure> {
  const times: number[] = [];
  for (let n = 0; n < (bench.options.quick ? 1 : 5); n += 1) times.push(await run(bench, "live-change"));
  return {
    name: "live-change",
    unit: "ms",
    value: median(times),
    target: { kind: "at most", value: 50 },
    fila: "the core alone: from a change of the rate to the first 1,000 deliveries, with 100,000 messages of 1,000 keys waiting",
    details: { ms: times },
  };
}

async function exactRounds(bench: Bench): Promise<Figure> {
  return {
    name: "rounds-after-change",
    unit: "messages",
    value: await run(bench, "rounds"),
    target: { kind: "at most", value: 0 },
    fila: "1,000,000 messages of 10,000 keys whose weights were changed to 1 and 2: the furthest of any key from its share over 50 rounds",
  };
}

const limits: readonly Limit[] = [
  { key: "all", rate: 200, burst: 20 },
  { key: "slow", rate: 20, burst: 5 },
  { key: "fast", rate: 1_000, burst: 10 },
];

/** A real broker: how much of what a limit promises at most was leased, in the stretch where it was most. */
function livePromise(bench: Bench): Promise<Figure[]> {
  return bench.withDirectory(async (directory) => {
    const broker = await startBroker(path.join(directory, "data"));
    try {
      await onAdmin(broker.url, async (admin) => {
        await admin.createQueue(queue);
        for (const { key, rate, burst } of limits) await admin.setConfig(`throttle.${key}`, `${rate},${burst}`);
      });
      const seconds = bench.options.quick ? 2 : 10;
      const task: ThrottledTask = { url: broker.url, queue, limits, messages: 500 * seconds, seconds };
      const uses = await runProgram<readonly ThrottledUse[]>(throttledLoad, task);
      return uses.map(({ key, leased, worst, used }) => ({
        name: `throttle-promise / ${key}`,
        unit: "of the promise",
        value: worst,
        target: { kind: "at most", value: 1 },
        fila: `leased over (rate x time + burst) in the worst stretch of ${seconds} s, two throttle keys on each message`,
        details: { leased, "of rate x time + burst in all": used },
      }));
    } finally {
      await broker.stop("SIGKILL");
    }
  });
}
