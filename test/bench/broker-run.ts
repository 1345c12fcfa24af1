// A run of the broker: fresh process, fresh directory, one queue, one load; and a look whether it holds what it should.
import path from "node:path";
import { connect } from "@fila/sdk";
import type { Bench } from "./bench.ts";
import { startBroker } from "./broker-process.ts";
import type { BrokerProcess } from "./broker-process.ts";
import type { Throughput } from "./measuring-window.ts";
import type { Measured } from "./paired-benchmark.ts";
import { runProgram } from "./program.ts";
import type { ProfileFile } from "./program.ts";

export const queue = "bench";

/** The load gets the broker's address and pid, and says what it measured. */
export interface Load<Result extends Throughput> {
  /** Names its profiles. */
  readonly name: string;
  readonly program: URL;
  task(broker: Pick<BrokerProcess, "url" | "pid">): unknown;
  /** Environment of the broker. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Made before the load begins; default: one queue without settings. */
  readonly prepare?: (url: string) => Promise<void>;
  /** What the broker must hold afterwards; undefined: not looked at. */
  depth?(result: Result): number;
}

export function runLoad<Result extends Throughput>(bench: Bench, load: Load<Result>): Promise<Result> {
  return bench.withDirectory(async (directory) => {
    const serverProfile = bench.profile(`${load.name}-server`);
    const broker = await startBroker(path.join(directory, "data"), load.settings, serverProfile);
    try {
      await (load.prepare?.(broker.url) ?? onAdmin(broker.url, (admin) => admin.createQueue(queue)));
      const clientProfile = bench.profile(`${load.name}-client`);
      const result = await runProgram<Result>(load.program, load.task(broker), clientProfile);
      if (load.depth !== undefined) await assertDepth(broker.url, load.depth(result));
      await broker.stop(serverProfile === undefined ? "SIGKILL" : "SIGTERM");
      tell(bench, serverProfile, result);
      tell(bench, clientProfile, result);
      return result;
    } finally {
      await broker.stop("SIGKILL");
    }
  });
}

function tell(bench: Bench, file: ProfileFile | undefined, result: Throughput): void {
  if (file !== undefined) bench.profiled(file, result);
}

export async function onAdmin<T>(
  url: string,
  use: (admin: ReturnType<typeof connect>["admin"]) => Promise<T>,
): Promise<T> {
  const fila = connect(url);
  try {
    return await use(fila.admin);
  } finally {
    await fila.close();
  }
}

/** A broker that lost or kept something would make a fine figure. */
async function assertDepth(url: string, expected: number): Promise<void> {
  const { depth } = await onAdmin(url, (admin) => admin.stats(queue));
  if (depth !== expected) throw new Error(`the broker holds ${depth} messages where ${expected} were to be`);
}

/** Throughput as a pair counts it. */
export function measured({ perSecond, clientCpuUs, serverCpuUs }: Throughput): Measured {
  return {
    value: perSecond,
    details: {
      "client us": clientCpuUs,
      ...(serverCpuUs !== undefined && { "server us": serverCpuUs }),
    },
  };
}
