// What a million messages cost in memory, and how long a broker that was killed with them takes to serve again: messages
// that wait, that are delayed, that are dead letters.
import path from "node:path";
import { createClient } from "@connectrpc/connect";
import { FilaService, SettlementAction } from "@fila/sdk/gen";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import { startBroker } from "../broker-process.ts";
import { onAdmin, queue } from "../broker-run.ts";
import { fill } from "../fill.ts";
import type { DeadLetterTask } from "../load/dead-letter-load.ts";
import { connectTransport } from "../load/transports.ts";
import { median } from "../pairs.ts";
import { runProgram } from "../program.ts";
import { bytesInUse, startResidentBroker } from "../resident-broker.ts";

const deadLetterLoad = new URL("../load/dead-letter-load.ts", import.meta.url);

const restarts = 3;
const hourMs = 3_600_000n;
/** Holds one message that may be delivered, so that a broker can show that it serves. */
const ready = "ready";

/** What the messages are. */
interface Kind {
  /** Of its figures, behind "memory" and "restart". */
  readonly suffix: string;
  readonly what: string;
  /** Where they lie, and where a broker that serves again has one to lease. */
  readonly holds: string;
  readonly leases: string;
  make(url: string, messages: number): Promise<void>;
}

const kinds: readonly Kind[] = [
  { suffix: "", what: "waiting", holds: queue, leases: queue, make: (url, messages) => fill({ url, queue }, messages) },
  {
    suffix: "-delayed",
    what: "delayed by an hour",
    holds: queue,
    leases: ready,
    make: (url, messages) => fill({ url, queue, also: { delayMs: hourMs } }, messages),
  },
  {
    suffix: "-dead",
    what: "dead-lettered by a worker, each with its failure record",
    holds: `${queue}.dlq`,
    leases: `${queue}.dlq`,
    async make(url, messages) {
      await fill({ url, queue }, messages);
      const { depth } = await onAdmin(url, (admin) => admin.stats(queue));
      await runProgram(deadLetterLoad, { url, queue, messages: depth } satisfies DeadLetterTask);
    },
  },
];

interface Filled {
  readonly bytesPerMessage: number;
  readonly rss: number;
  readonly depth: number;
}

/** Fills the broker, looks at its memory, and kills it. */
async function measure(kind: Kind, dataDir: string, messages: number): Promise<Filled> {
  const broker = await startResidentBroker(dataDir);
  try {
    const { url } = broker;
    await onAdmin(url, async (admin) => {
      await admin.createQueue(queue);
      await admin.createQueue(ready);
    });
    await createClient(FilaService, connectTransport(url)).enqueue({ queue: ready });
    const empty = await broker.memory();
    await kind.make(url, messages);
    const { depth } = await onAdmin(url, (admin) => admin.stats(kind.holds));
    const full = await broker.memory();
    return { bytesPerMessage: (bytesInUse(full) - bytesInUse(empty)) / depth, rss: full.rss, depth };
  } finally {
    await broker.stop();
  }
}

/** Milliseconds from the spawn to the first lease that is answered; the broker is killed again. */
async function restart(bench: Bench, kind: Kind, dataDir: string, depth: number, run: number): Promise<number> {
  const profile = bench.profile(`restart${kind.suffix}-server-${run}`);
  const broker = await startBroker(dataDir, { FILA_STORAGE_PAYLOAD_CACHE_BYTES: "0" }, profile);
  try {
    const client = createClient(FilaService, connectTransport(broker.url));
    const { messages } = await client.lease({ queue: kind.leases, maxMessages: 1 });
    const passed = performance.now() - broker.spawnedMs;
    const [message] = messages;
    const found = await onAdmin(broker.url, (admin) => admin.stats(kind.holds));
    if (message === undefined || found.depth !== depth)
      throw new Error(`the broker came back with ${found.depth} messages in place of ${depth}`);
    // So that the next start finds it again.
    const { message: { id = "" } = {}, leaseToken } = message;
    const settlements = [{ messageId: id, leaseToken, action: SettlementAction.RELEASE }];
    await client.settle({ queue: kind.leases, settlements });
    if (profile !== undefined) {
      await broker.stop("SIGTERM");
      bench.profiled(profile, { fromUs: 0, toUs: Number.MAX_SAFE_INTEGER, count: 1 });
    }
    return passed;
  } finally {
    await broker.stop("SIGKILL");
  }
}

async function figuresOf(bench: Bench, kind: Kind): Promise<Figure[]> {
  return bench.withDirectory(async (directory) => {
    const messages = bench.options.quick ? 50_000 : 1_000_000;
    const count = messages.toLocaleString("en");
    const dataDir = path.join(directory, "data");
    const name = `memory${kind.suffix}`;
    const { bytesPerMessage, rss, depth } = await measure(kind, dataDir, messages);
    bench.progress(`${name}: ${bytesPerMessage.toFixed(1)} B per message, RSS ${(rss / 1e6).toFixed(0)} MB`);
    const times: number[] = [];
    for (let run = 0; run < (bench.options.quick ? 1 : restarts); run++) {
      times.push(await restart(bench, kind, dataDir, depth, run));
      bench.progress(`restart${kind.suffix} ${run + 1}: first lease after ${times.at(-1)!.toFixed(0)} ms`);
    }
    return [
      {
        name,
        unit: "B per message",
        value: bytesPerMessage,
        target: { kind: "at most", value: 96 },
        fila: `${count} messages of 1 KiB, ${kind.what}, payload cache 0: heapUsed + arrayBuffers after gc, minus empty`,
        details: { rss },
      },
      {
        name: `restart${kind.suffix}`,
        unit: "ms",
        value: median(times),
        target: { kind: "at most", value: 5000 },
        fila: `kill -9 with ${count} messages, ${kind.what}, then from spawn to the first answered Lease; median of ${times.length}`,
        details: { times },
      },
    ];
  });
}

/** One for each kind. */
export const memory: readonly Benchmark[] = kinds.map((kind) => ({
  name: `memory${kind.suffix}`,
  run: (bench) => figuresOf(bench, kind),
}));
