// 64 callers, each waiting for its own message, against connect-node that does nothing for them.
import type { Bench, Benchmark } from "../bench.ts";
import { measured, queue, runLoad } from "../broker-run.ts";
import type { CallersTask } from "../load/callers-load.ts";
import type { Throughput } from "../measuring-window.ts";
import { runPairs } from "../paired-benchmark.ts";
import type { Target } from "../pairs.ts";
import { callersLoad, emptyUnary, runEmptyUnary } from "../peer-runs.ts";

const callers = 64;

function callersBenchmark(name: string, client: CallersTask["client"], what: string, target: Target): Benchmark {
  return {
    name,
    run: (bench) =>
      runPairs(bench, {
        name,
        unit: "msg/s",
        peer: { name: "empty", what: emptyUnary, run: async () => measured(await runEmptyUnary(bench, callers)) },
        fila: [{ name: client, what, target, run: async () => measured(await runCallers(bench, name, client)) }],
      }),
  };
}

function runCallers(bench: Bench, name: string, client: CallersTask["client"]): Promise<Throughput> {
  return runLoad<Throughput>(bench, {
    name,
    program: callersLoad,
    task: ({ url, pid }): CallersTask => ({
      url,
      queue,
      callers,
      client,
      window: { ...bench.window, serverPid: pid },
    }),
    depth: ({ total }) => total,
  });
}

export const sdkEnqueue = callersBenchmark(
  "sdk-enqueue-64",
  "sdk",
  "64 concurrent enqueue() of @fila/sdk; fsync on every commit",
  { kind: "at least", value: 6 },
);

export const unaryEnqueue = callersBenchmark(
  "unary-enqueue",
  "grpc",
  "unary Enqueue over gRPC, 64 callers, connect-node's gRPC client; fsync on every commit",
  { kind: "at least", value: 0.95 },
);
