// Messages that wait for a time: what they cost until then, whether they are ready and delivered in time, and none early.
import path from "node:path";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import { startBroker } from "../broker-process.ts";
import { onAdmin, queue } from "../broker-run.ts";
import { fill } from "../fill.ts";
import type { Lateness } from "../lateness.ts";
import type { DelayedDeliveryTask } from "../load/delayed-delivery-load.ts";
import type { IdleStreamsTask } from "../load/idle-streams.ts";
import { median } from "../pairs.ts";
import { cpuPercentWhile, passing } from "../process-cost.ts";
import { Program, runProgram } from "../program.ts";
import type { WakingResult, WakingTask } from "../waking-broker.ts";

const wakingBroker = new URL("../waking-broker.ts", import.meta.url);
const delayedDelivery = new URL("../load/delayed-delivery-load.ts", import.meta.url);
const idleStreams = new URL("../load/idle-streams.ts", import.meta.url);

const withinMs = 1_000;
const hourMs = 3_600_000n;

/** Each figure is the median of so many runs; a message that was early in any of them counts. */
const runs = (bench: Bench): number => (bench.options.quick ? 1 : 5);

async function ready(bench: Bench): Promise<Figure[]> {
  const messages = bench.options.quick ? 10_000 : 100_000;
  const leadMs = bench.options.quick ? 2_000 : 10_000;
  const delays: Lateness[] = [];
  const times: Lateness[] = [];
  for (let run = 0; run < runs(bench); run += 1) {
    const result = await bench.withDirectory((directory) =>
      runProgram<WakingResult>(
        wakingBroker,
        {
          dataDir: path.join(directory, "data"),
          messages,
          leadMs,
          withinMs,
          warmUp: messages / 5,
        } satisfies WakingTask,
        bench.profile(`delays-ready-${run}`),
      ),
    );
    delays.push(result.delays);
    times.push(result.times);
    bench.progress(`delays-ready, run ${run + 1}: delays ${text(result.delays)}; times of day ${text(result.times)}`);
  }
  const what = `${messages.toLocaleString("en")} messages of 1 KiB due within 1 s, half of them by delay and half by time of day`;
  return latenessFigures("delays-ready", 10, [...delays, ...times], `${what}: due -> ready, by the broker's own clock`);
}

async function delivered(bench: Bench): Promise<Figure[]> {
  const messages = bench.options.quick ? 1_000 : 10_000;
  const leadMs = bench.options.quick ? 2_000 : 5_000;
  const all: Lateness[] = [];
  for (let run = 0; run < runs(bench); run += 1) {
    const profile = bench.profile(`delays-delivered-${run}`);
    const lateness = await bench.withDirectory(async (directory) => {
      const broker = await startBroker(path.join(directory, "data"), {}, profile);
      try {
        await onAdmin(broker.url, (admin) => admin.createQueue(queue));
        const { url, pid } = broker;
        const task: DelayedDeliveryTask = { url, pid, queue, messages, leadMs, withinMs, warmUp: messages / 5 };
        const result = await runProgram<Lateness>(delayedDelivery, task);
        await broker.stop(profile === undefined ? "SIGKILL" : "SIGTERM");
        return result;
      } finally {
        await broker.stop("SIGKILL");
      }
    });
    all.push(lateness);
    bench.progress(`delays-delivered, run ${run + 1}: ${text(lateness)}`);
  }
  const what = `${messages.toLocaleString("en")} messages of 1 KiB due within 1 s -> StreamLease with credit for all, generated client that acks`;
  return latenessFigures("delays-delivered", 20, all, `${what}; fsync before the delivery`);
}

function text({ count, early, p50, p99, max, waited }: Lateness): string {
  const [mid, high, most] = [p50, p99, max].map((ms) => ms.toFixed(1));
  return `p50 ${mid} ms, p99 ${high} ms, max ${most} ms, ${early} of ${count} early; ${waited.toFixed(0)} ms without a processor`;
}

function latenessFigures(name: string, p99: number, all: readonly Lateness[], what: string): Figure[] {
  const list = (of: (each: Lateness) => number): number[] => all.map(of);
  return [
    {
      name,
      unit: "ms p99",
      value: median(list((each) => each.p99)),
      target: { kind: "at most", value: p99 },
      fila: `${what}; median over ${all.length} measurements`,
      details: {
        p50: list((each) => each.p50),
        p99: list((each) => each.p99),
        max: list((each) => each.max),
        "ms without a processor": list((each) => each.waited),
      },
    },
    {
      name: `${name}-early`,
      unit: "messages",
      value: list((each) => each.early).reduce((sum, early) => sum + early, 0),
      target: { kind: "at most", value: 0 },
      fila: "the same: before they were due, of all runs",
    },
  ];
}

/** What waiting messages cost: against an empty broker, over the same seconds. */
async function idleBeforeDue(bench: Bench): Promise<Figure> {
  const messages = bench.options.quick ? 10_000 : 100_000;
  const seconds = bench.options.quick ? 3 : 30;
  return withWaitingWorker(bench, messages, (delayed) =>
    withWaitingWorker(bench, 0, async (empty) => {
      // What the load left to do (compilation, a checkpoint, a compaction) is not what is asked.
      await passing(bench.options.quick ? 1 : 20);
      const over = passing(seconds);
      const [waiting, nothing] = await Promise.all([cpuPercentWhile(delayed, over), cpuPercentWhile(empty, over)]);
      return {
        name: "delays-idle-cpu",
        unit: "% of a core",
        value: waiting - nothing,
        target: { kind: "at most", value: 0.2 },
        fila:
          `${messages.toLocaleString("en")} messages that are due in an hour, one waiting StreamLease, over ${seconds} s: ` +
          "what it takes more than a broker without messages beside it",
        details: { "with them": [waiting], without: [nothing] },
      };
    }),
  );
}

/** A broker with so many delayed messages and one worker that waits; `use` gets its process id. */
async function withWaitingWorker<T>(bench: Bench, messages: number, use: (pid: number) => Promise<T>): Promise<T> {
  return bench.withDirectory(async (directory) => {
    const broker = await startBroker(path.join(directory, "data"));
    try {
      const { url, pid } = broker;
      await onAdmin(url, (admin) => admin.createQueue(queue));
      if (messages > 0) await fill({ url, queue, also: { delayMs: hourMs } }, messages);
      const worker = Program.start(idleStreams, { url, queue, streams: 1 } satisfies IdleStreamsTask);
      try {
        await worker.answer();
        const failed = worker.answer();
        failed.catch(() => undefined);
        return await Promise.race([use(pid), failed as Promise<never>]);
      } finally {
        await worker.stop("SIGKILL");
      }
    } finally {
      await broker.stop("SIGKILL");
    }
  });
}

export const delays: Benchmark = {
  name: "delays",
  run: async (bench) => [...(await ready(bench)), ...(await delivered(bench)), await idleBeforeDue(bench)],
};
