// From the enqueue of one message to the worker that waits for it, against the least that this can cost here: an empty
// round trip over a stream and one synced put.
import type { Bench, Benchmark } from "../bench.ts";
import { queue, runLoad } from "../broker-run.ts";
import type { OneAtATimeTask } from "../load/one-at-a-time-load.ts";
import { runPairs } from "../paired-benchmark.ts";
import type { Measured } from "../paired-benchmark.ts";
import { oneAtATimeLoad, runEmptyRoundTrip, runRawPuts } from "../peer-runs.ts";
import type { Latency } from "../peer-runs.ts";

async function runPeer(bench: Bench): Promise<Measured> {
  const roundTrip = await runEmptyRoundTrip(bench);
  const put = await runRawPuts(bench);
  return { value: roundTrip.p50Ms + put.p50Ms, details: { "round trip ms": roundTrip.p50Ms, "put ms": put.p50Ms } };
}

async function runFila(bench: Bench): Promise<Measured> {
  const { p50Ms, p99Ms } = await runLoad<Latency>(bench, {
    name: "end-to-end",
    program: oneAtATimeLoad,
    task: ({ url, pid }): OneAtATimeTask => ({
      url,
      queue,
      load: "delivery",
      window: { ...bench.window, serverPid: pid },
    }),
    depth: () => 0,
  });
  return { value: p50Ms, details: { "p99 ms": p99Ms } };
}

export const endToEnd: Benchmark = {
  name: "end-to-end",
  run: (bench) =>
    runPairs(bench, {
      name: "end-to-end",
      unit: "ms p50",
      peer: {
        name: "sum",
        what: "empty round trip over a Connect stream (p50) + one put of 1 KiB with fsync to classic-level (p50)",
        run: () => runPeer(bench),
      },
      fila: [
        {
          name: "delivery",
          what: "StreamEnqueue of one message -> waiting StreamLease, Connect client; fsync before the delivery",
          target: { kind: "at most", value: 1.8 },
          run: () => runFila(bench),
        },
      ],
    }),
};
