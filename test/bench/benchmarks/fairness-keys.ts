// 10,000 fairness keys against 1: no number of keys may make a message dearer.
import type { Bench, Benchmark } from "../bench.ts";
import { measured } from "../broker-run.ts";
import type { Throughput } from "../measuring-window.ts";
import { runPairs } from "../paired-benchmark.ts";
import { runLifecycle, runStreamEnqueue } from "./streams.ts";

const manyKeys = 10_000;
/** Keeps every key backlogged while its messages come and go. */
const backlog = 2 * manyKeys;

function keysBenchmark(
  name: string,
  what: string,
  run: (bench: Bench, keys: number) => Promise<Throughput>,
): Benchmark {
  return {
    name,
    run: (bench) =>
      runPairs(bench, {
        name,
        unit: "msg/s",
        peer: { name: "1 key", what: `${what}, 1 fairness key`, run: async () => measured(await run(bench, 1)) },
        fila: [
          {
            name: "10,000 keys",
            what: `${what}, 10,000 fairness keys`,
            target: { kind: "within", value: 0.05 },
            run: async () => measured(await run(bench, manyKeys)),
          },
        ],
      }),
  };
}

export const keysEnqueue = keysBenchmark(
  "keys-enqueue",
  "StreamEnqueue, frames of 100; fsync on every commit",
  (bench, keys) => runStreamEnqueue(bench, { name: `keys-enqueue-${keys}`, client: "bytes", keys }),
);

export const keysLifecycle = keysBenchmark(
  "keys-lifecycle",
  "enqueue -> StreamLease -> ack with a backlog of 20,000; fsync on every commit",
  (bench, keys) => runLifecycle(bench, { name: `keys-lifecycle-${keys}`, client: "bytes", keys, backlog }),
);
