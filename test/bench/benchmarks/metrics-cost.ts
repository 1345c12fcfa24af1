// What it costs that the broker counts. The pairs (the same load with metrics and without) show that it is nothing large: two
// runs of the very same thing differ by several per cent. So what is held to a target is the counting alone, measured by
// itself, as a share of what the broker spends on a message in this run.
import { defaultQueueSettings } from "../../../server/src/core/queue-settings.ts";
import type { Command, EnqueueItem } from "../../../server/src/core/commands.ts";
import { Core } from "../../../server/src/core/core.ts";
import type { Delivery } from "../../../server/src/core/effects.ts";
import type { TurnResult } from "../../../server/src/core/turn.ts";
import { BrokerCounters } from "../../../server/src/telemetry/broker-counters.ts";
import { QueuePlaces } from "../../../server/src/telemetry/queue-places.ts";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import type { Measured } from "../paired-benchmark.ts";
import { runPairs } from "../paired-benchmark.ts";
import { median } from "../pairs.ts";
import { runLifecycle } from "./streams.ts";

const what =
  "enqueue -> StreamLease -> ack in frames of 100: processor time of the broker per message; fsync on every commit";

/** The processor time of the broker is what counting adds to; it varies less than what the whole machine gets done. */
async function brokerTime(bench: Bench, metrics: "true" | "false"): Promise<Measured> {
  const { serverCpuUs, perSecond } = await runLifecycle(bench, {
    name: `metrics-cost-${metrics}`,
    client: "bytes",
    keys: 0,
    backlog: 0,
    settings: { FILA_TELEMETRY_METRICS: metrics },
  });
  if (serverCpuUs === undefined) throw new Error("the broker's processor time was not measured");
  return { value: serverCpuUs, details: { "acked/s": perSecond } };
}

export const metricsCost: Benchmark = {
  name: "metrics-cost",
  async run(bench) {
    const figures = await runPairs(bench, {
      name: "metrics-cost",
      unit: "us/msg",
      peer: { name: "off", what: `${what}; telemetry.metrics = false`, run: () => brokerTime(bench, "false") },
      fila: [
        {
          name: "on",
          what: `${what}; telemetry.metrics = true`,
          run: () => brokerTime(bench, "true"),
        },
      ],
    });
    const offUs = figures[0]?.pairs?.peer ?? 0;
    return [...figures, share(countingNs(bench), offUs)];
  },
};

const frame = 100;

function share(ns: number, brokerUs: number): Figure {
  return {
    name: "metrics-share",
    unit: "% of the time",
    value: ns / (10 * brokerUs),
    target: { kind: "at most", value: 1 },
    fila: "counting alone (one message stored, leased and acked, in turns of 100) of the broker's processor time per message",
    details: { "counting ns": ns, "broker us": brokerUs },
  };
}

/** Nanoseconds per message: turns of a real core, counted over and over. */
function countingNs(bench: Bench): number {
  const turns = lifecycleTurns();
  const counters = new BrokerCounters(new QueuePlaces(1_000, Date.now));
  const rounds = bench.options.quick ? 1_000 : 20_000;
  const perMessage: number[] = [];
  // The first passes compile it.
  for (let pass = 0; pass < 9; pass++) {
    const from = process.hrtime.bigint();
    for (let round = 0; round < rounds; round++) {
      for (const { mutations, effects } of turns) counters.released(mutations, effects, 1);
    }
    if (pass >= 2) perMessage.push(Number(process.hrtime.bigint() - from) / (rounds * frame));
  }
  return median(perMessage);
}

function lifecycleTurns(): TurnResult[] {
  const entropy = { words: new Uint32Array(4 * frame).map((_, at) => Math.imul(at + 1, 0x9e3779b1)), left: 4 * frame };
  const core = new Core(1, entropy);
  let time = 0;
  const turn = (...commands: Command[]): TurnResult => {
    time += 1;
    core.begin({ mono: time, wall: 1_700_000_000_000 + time });
    for (const command of commands) core.step(command);
    return core.finish();
  };
  turn({ type: "create-queue", request: 1, name: "q", settings: { ...defaultQueueSettings, visibilityMs: 60_000 } });
  const who = { connection: 1, principal: "", worker: "", session: "" };
  turn({ type: "open", consumer: 1, queue: "q", kind: "stream", ...who, visibilityMs: 0, credit: frame });
  const items = Array.from({ length: frame }, (_, at): EnqueueItem => ({
    queue: "q",
    fairnessKey: `k${at % 7}`,
    weight: 0,
    cost: 1,
    throttleKeys: [],
    body: new Uint8Array(8),
  }));
  const leased = turn({ type: "enqueue", request: 2, items });
  const deliveries = leased.effects.flatMap((effect): readonly Delivery[] =>
    effect.type === "deliver" ? effect.deliveries : [],
  );
  if (deliveries.length !== frame) throw new Error("the core did not lease what it was given");
  const acks = deliveries.map(({ id, token }) => ({ id, token, action: "ack" as const, error: "", extendMs: 0 }));
  return [leased, turn({ type: "settle", request: 3, queue: "q", connection: 1, principal: "", items: acks })];
}
