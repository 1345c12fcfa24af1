// Runs of the peers, each in fresh processes.
import path from "node:path";
import type { Bench } from "./bench.ts";
import { queue } from "./broker-run.ts";
import type { CallersTask } from "./load/callers-load.ts";
import type { OneAtATimeTask } from "./load/one-at-a-time-load.ts";
import type { Throughput } from "./measuring-window.ts";
import type { RawLevelTask } from "./peers/raw-level.ts";
import { Program, runProgram } from "./program.ts";

const rawLevel = new URL("./peers/raw-level.ts", import.meta.url);
const emptyServer = new URL("./peers/empty-server.ts", import.meta.url);
export const callersLoad = new URL("./load/callers-load.ts", import.meta.url);
export const oneAtATimeLoad = new URL("./load/one-at-a-time-load.ts", import.meta.url);

export const rawBatches = "classic-level alone: batches of 100 puts of 1 KiB, fsync each, one outstanding";
export const emptyUnary = "connect-node, empty unary handler over gRPC, nothing stored, same 64 callers";

export interface Latency extends Throughput {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function runRawBatches(bench: Bench): Promise<Throughput> {
  return runRaw<Throughput>(bench, "batches");
}

export function runRawPuts(bench: Bench): Promise<Latency> {
  return runRaw<Latency>(bench, "puts");
}

function runRaw<Result>(bench: Bench, load: RawLevelTask["load"]): Promise<Result> {
  return bench.withDirectory((directory) =>
    runProgram<Result>(rawLevel, {
      directory: path.join(directory, "data"),
      load,
      window: bench.window,
    } satisfies RawLevelTask),
  );
}

export function runEmptyUnary(bench: Bench, callers: number): Promise<Throughput> {
  return againstEmptyServer(callersLoad, (url, pid): CallersTask => {
    const window = { ...bench.window, serverPid: pid };
    return { url, queue, callers, client: "grpc", window };
  });
}

export function runEmptyRoundTrip(bench: Bench): Promise<Latency> {
  return againstEmptyServer(oneAtATimeLoad, (url, pid): OneAtATimeTask => {
    return { url, queue, load: "roundTrip", window: { ...bench.window, serverPid: pid } };
  });
}

async function againstEmptyServer<Result>(load: URL, task: (url: string, pid: number) => unknown): Promise<Result> {
  const server = Program.start(emptyServer, undefined);
  try {
    const { url } = (await server.answer()) as { url: string };
    return await runProgram<Result>(load, task(url, server.pid));
  } finally {
    await server.stop("SIGKILL");
  }
}
