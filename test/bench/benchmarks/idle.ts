// What a broker costs that nobody talks to.
import path from "node:path";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import { startBroker } from "../broker-process.ts";
import { onAdmin, queue } from "../broker-run.ts";
import type { IdleStreamsTask } from "../load/idle-streams.ts";
import { cpuPercentWhile, passing, residentBytes } from "../process-cost.ts";
import { Program } from "../program.ts";

const idleStreams = new URL("../load/idle-streams.ts", import.meta.url);

const streams = 100;

const seconds = (bench: Bench): number => (bench.options.quick ? 3 : 30);

async function cpuOfIdleStreams(bench: Bench, url: string, pid: number): Promise<number> {
  const workers = Program.start(idleStreams, { url, queue, streams } satisfies IdleStreamsTask);
  try {
    await workers.answer();
    // What the opening left to do (compilation, a checkpoint) is not what is asked.
    await passing(3);
    const failed = workers.answer();
    const percent = await cpuPercentWhile(pid, Promise.race([passing(seconds(bench)), failed]));
    failed.catch(() => undefined);
    return percent;
  } finally {
    await workers.stop("SIGKILL");
  }
}

export const idle: Benchmark = {
  name: "idle",
  run: (bench) =>
    bench.withDirectory(async (directory): Promise<Figure[]> => {
      const broker = await startBroker(path.join(directory, "data"));
      try {
        await passing(2);
        const rss = residentBytes(broker.pid);
        await onAdmin(broker.url, (admin) => admin.createQueue(queue));
        const cpu = await cpuOfIdleStreams(bench, broker.url, broker.pid);
        const withStreams = residentBytes(broker.pid);
        return [
          {
            name: "idle-rss",
            unit: "MB",
            value: rss / 1e6,
            target: { kind: "at most", value: 120 },
            fila: "fresh broker, 2 s after its start",
            details: { "with streams": withStreams / 1e6 },
          },
          {
            name: "idle-cpu",
            unit: "% of a core",
            value: cpu,
            target: { kind: "at most", value: 0.5 },
            fila: `${streams} waiting streams (StreamLease and Consume), a connection each, over ${seconds(bench)} s`,
          },
        ];
      } finally {
        await broker.stop("SIGKILL");
      }
    }),
};
