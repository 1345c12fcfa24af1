// What a million waiting messages cost in memory, and how long a broker that was killed with them takes to serve again.
import path from "node:path";
import { createClient } from "@connectrpc/connect";
import { FilaService } from "@fila/sdk/gen";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import { startBroker } from "../broker-process.ts";
import { onAdmin, queue } from "../broker-run.ts";
import type { StreamEnqueueTask } from "../load/stream-enqueue-load.ts";
import { connectTransport } from "../load/transports.ts";
import { median } from "../pairs.ts";
import { Program, runProgram } from "../program.ts";
import type { MemoryInUse, ResidentServerTask } from "../resident-server.ts";

const residentServer = new URL("../resident-server.ts", import.meta.url);
const streamEnqueueLoad = new URL("../load/stream-enqueue-load.ts", import.meta.url);

const restarts = 3;

interface Filled {
  readonly bytesPerMessage: number;
  readonly rss: number;
}

/** Fills the broker, looks at its memory, and kills it. */
async function fill(dataDir: string, messages: number): Promise<Filled> {
  const server = Program.start(
    residentServer,
    { settings: { "storage.data_dir": dataDir, "storage.payload_cache_bytes": 0 } } satisfies ResidentServerTask,
    undefined,
    ["--expose-gc"],
  );
  try {
    const { url } = (await server.answer()) as { url: string };
    await onAdmin(url, (admin) => admin.createQueue(queue));
    const empty = await memoryOf(server);
    await runProgram(streamEnqueueLoad, {
      target: { url, queue, keys: 0 },
      client: "bytes",
      frameSize: 100,
      framesUnderWay: 16,
      until: { messages },
    } satisfies StreamEnqueueTask);
    const { depth } = await onAdmin(url, (admin) => admin.stats(queue));
    const full = await memoryOf(server);
    const grown = full.heapUsed + full.arrayBuffers - empty.heapUsed - empty.arrayBuffers;
    return { bytesPerMessage: grown / depth, rss: full.rss };
  } finally {
    await server.stop("SIGKILL");
  }
}

function memoryOf(server: Program): Promise<MemoryInUse> {
  const answer = server.answer();
  server.send("memory");
  return answer as Promise<MemoryInUse>;
}

/** Milliseconds from the spawn to the first lease that is answered; the broker is killed again. */
async function restart(bench: Bench, dataDir: string, run: number): Promise<number> {
  const profile = bench.profile(`restart-server-${run}`);
  const broker = await startBroker(dataDir, { FILA_STORAGE_PAYLOAD_CACHE_BYTES: "0" }, profile);
  try {
    const client = createClient(FilaService, connectTransport(broker.url));
    const { messages } = await client.lease({ queue, maxMessages: 1 });
    if (messages.length !== 1) throw new Error("the broker came back without its messages");
    const passed = performance.now() - broker.spawnedMs;
    if (profile !== undefined) {
      await broker.stop("SIGTERM");
      bench.profiled(profile, { fromUs: 0, toUs: Number.MAX_SAFE_INTEGER, count: 1 });
    }
    return passed;
  } finally {
    await broker.stop("SIGKILL");
  }
}

export const memory: Benchmark = {
  name: "memory",
  run: (bench) =>
    bench.withDirectory(async (directory): Promise<Figure[]> => {
      const messages = bench.options.quick ? 100_000 : 1_000_000;
      const count = messages.toLocaleString("en");
      const dataDir = path.join(directory, "data");
      const { bytesPerMessage, rss } = await fill(dataDir, messages);
      bench.progress(`memory: ${bytesPerMessage.toFixed(1)} B per message, RSS ${(rss / 1e6).toFixed(0)} MB`);
      const times: number[] = [];
      for (let run = 0; run < restarts; run++) {
        times.push(await restart(bench, dataDir, run));
        bench.progress(`restart ${run + 1} of ${restarts}: first lease after ${times.at(-1)!.toFixed(0)} ms`);
      }
      return [
        {
          name: "memory",
          unit: "B per message",
          value: bytesPerMessage,
          target: { kind: "at most", value: 96 },
          fila: `${count} messages of 1 KiB waiting, payload cache 0: heapUsed + arrayBuffers after gc, minus empty`,
          details: { rss },
        },
        {
          name: "restart",
          unit: "ms",
          value: median(times),
          target: { kind: "at most", value: 5000 },
          fila: `kill -9 with ${count} messages, then from spawn to the first answered Lease; median of ${restarts}`,
          details: { times },
        },
      ];
    }),
};
