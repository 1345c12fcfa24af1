// StreamEnqueue, and the whole life of a message, over streams in frames of 100, against LevelDB used directly.
import type { Bench, Benchmark } from "../bench.ts";
import { measured, queue, runLoad } from "../broker-run.ts";
import type { LifecycleTask } from "../load/lifecycle-load.ts";
import type { StreamEnqueueTask } from "../load/stream-enqueue-load.ts";
import type { Throughput } from "../measuring-window.ts";
import { runPairs } from "../paired-benchmark.ts";
import type { Side } from "../paired-benchmark.ts";
import { rawBatches, runRawBatches } from "../peer-runs.ts";

const streamEnqueueLoad = new URL("../load/stream-enqueue-load.ts", import.meta.url);
const lifecycleLoad = new URL("../load/lifecycle-load.ts", import.meta.url);

const frameSize = 100;
const framesUnderWay = 16;
/** What the worker may hold. */
const credit = 1000;

/** What drives the broker: each is shown, the first of them is held to the target. */
const clients = {
  bytes: "Connect client, bodies as bytes",
  generated: "Connect client, generated code as it is",
  sdk: "@fila/sdk",
} as const;
type ClientName = keyof typeof clients;
const clientNames = Object.keys(clients) as ClientName[];

interface Variant {
  readonly name: string;
  readonly client: ClientName;
  readonly keys: number;
  /** Environment of the broker. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly prepare?: (url: string) => Promise<void>;
  /** Messages have headers of so many tenants. */
  readonly tenants?: number;
  /** They name what a script would make of these headers. */
  readonly decided?: boolean;
}

interface LifecycleVariant extends Omit<Variant, "client"> {
  readonly client: LifecycleTask["client"];
  /** Messages that wait from the beginning on. */
  readonly backlog: number;
}

export function runStreamEnqueue(bench: Bench, { name, client, keys }: Variant): Promise<Throughput> {
  return runLoad<Throughput>(bench, {
    name,
    program: streamEnqueueLoad,
    task: ({ url, pid }): StreamEnqueueTask => ({
      target: { url, queue, keys },
      client,
      frameSize,
      framesUnderWay,
      until: { ...bench.window, serverPid: pid },
    }),
    depth: ({ total }) => total,
  });
}

export function runLifecycle(bench: Bench, variant: LifecycleVariant): Promise<Throughput> {
  const { name, client, keys, backlog, settings = {}, prepare, tenants = 0, decided = false } = variant;
  return runLoad<Throughput>(bench, {
    name,
    settings,
    ...(prepare !== undefined && { prepare }),
    program: lifecycleLoad,
    task: ({ url, pid }): LifecycleTask => ({
      target: { url, queue, keys, tenants, decided },
      client,
      frameSize,
      framesUnderWay,
      backlog,
      credit,
      window: { ...bench.window, serverPid: pid },
    }),
    depth: () => 0,
  });
}

function rawSide(bench: Bench): Side {
  return { name: "raw", what: rawBatches, run: async () => measured(await runRawBatches(bench)) };
}

export const streamEnqueue: Benchmark = {
  name: "stream-enqueue",
  run: (bench) =>
    runPairs(bench, {
      name: "stream-enqueue",
      unit: "msg/s",
      peer: rawSide(bench),
      fila: clientNames.map((client) => ({
        name: client,
        what: `StreamEnqueue, frames of 100, 16 under way, ${clients[client]}; fsync on every commit`,
        ...(client === "bytes" && { target: { kind: "at least", value: 0.55 } as const }),
        run: async () => measured(await runStreamEnqueue(bench, { name: `stream-enqueue-${client}`, client, keys: 0 })),
      })),
    }),
};

export const lifecycle: Benchmark = {
  name: "lifecycle",
  run: (bench) =>
    runPairs(bench, {
      name: "lifecycle",
      unit: "acked/s",
      peer: rawSide(bench),
      fila: clientNames.map((client) => ({
        name: client,
        what: `StreamEnqueue in frames of 100 -> StreamLease -> ack, ${clients[client]}; fsync on every commit`,
        ...(client === "bytes" && { target: { kind: "at least", value: 0.28 } as const }),
        run: async () =>
          measured(await runLifecycle(bench, { name: `lifecycle-${client}`, client, keys: 0, backlog: 0 })),
      })),
    }),
};

function lifecycleSide(bench: Bench, client: "generated" | "work", what: string): Side {
  const name = `sdk-work-${client}`;
  return {
    name: client,
    what: `StreamEnqueue in frames of 100 by the generated client -> ${what}; fsync on every commit`,
    run: async () => measured(await runLifecycle(bench, { name, client, keys: 0, backlog: 0 })),
  };
}

export const sdkWork: Benchmark = {
  name: "sdk-work",
  run: (bench) =>
    runPairs(bench, {
      name: "sdk-work",
      unit: "acked/s",
      peer: lifecycleSide(bench, "generated", "StreamLease and acks in a loop, generated client"),
      fila: [
        {
          ...lifecycleSide(bench, "work", "work() of @fila/sdk with a trivial handler"),
          target: { kind: "at least", value: 0.85 },
        },
      ],
    }),
};
