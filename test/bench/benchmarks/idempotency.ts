// A million idempotency keys: what each costs in memory, what becomes of one more, and how a broker that was killed with
// them comes back.
import path from "node:path";
import { ConnectError, createClient } from "@connectrpc/connect";
import { ErrorInfoSchema, FilaAdmin, FilaService } from "@fila/sdk/gen";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import { startBroker } from "../broker-process.ts";
import { queue } from "../broker-run.ts";
import { fill } from "../fill.ts";
import { connectTransport } from "../load/transports.ts";
import { bytesInUse, startResidentBroker } from "../resident-broker.ts";

/** As many as a queue remembers. */
const limit = 1_000_000;
const dayMs = 86_400_000n;
const firstKey = "the first of all";

type Clients = ReturnType<typeof clientsOf>;

function clientsOf(url: string) {
  const transport = connectTransport(url);
  return { service: createClient(FilaService, transport), admin: createClient(FilaAdmin, transport) };
}

/** Bytes per key, once the messages that they were used for are gone. */
async function measure(dataDir: string, keys: number): Promise<{ bytesPerKey: number; id: string }> {
  const broker = await startResidentBroker(dataDir);
  try {
    const { service, admin } = clientsOf(broker.url);
    await admin.createQueue({ name: queue, config: { idempotencyWindowMs: dayMs } });
    await admin.createQueue({ name: "other" });
    // What a fill and a purge leave behind for good is not what is asked.
    await fill({ url: broker.url, queue: "other" }, 10_000);
    await admin.purgeQueue({ queue: "other" });
    const { messageId: id } = await service.enqueue({ queue, idempotencyKey: firstKey });
    const empty = await broker.memory();
    // The frames that are under way when all are stored are more than were asked for: there must be room for them.
    await fill({ url: broker.url, queue, idempotent: true }, keys - 1_600);
    const { depth } = await admin.getStats({ queue });
    await admin.purgeQueue({ queue });
    const full = await broker.memory();
    return { bytesPerKey: (bytesInUse(full) - bytesInUse(empty)) / (Number(depth) - 1), id };
  } finally {
    await broker.stop();
  }
}

/** The reason that an enqueue with a new key is refused with; "" = it is not. */
async function refusalOf({ service }: Clients, key: string): Promise<string> {
  try {
    await service.enqueue({ queue, idempotencyKey: key });
    return "";
  } catch (error) {
    return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? "no reason";
  }
}

/** Fills up what is left, and says how many keys were taken before one was refused. */
async function fillUp(clients: Clients, most: number): Promise<{ taken: number; reason: string }> {
  for (let taken = 0; taken <= most; taken += 1) {
    const reason = await refusalOf(clients, `one more: ${taken}`);
    if (reason !== "") return { taken, reason };
  }
  throw new Error(`${most} keys more than were to be remembered are taken`);
}

async function run(bench: Bench): Promise<Figure[]> {
  const keys = bench.options.quick ? 50_000 : limit;
  return bench.withDirectory(async (directory) => {
    const dataDir = path.join(directory, "data");
    const { bytesPerKey, id } = await measure(dataDir, keys);
    bench.progress(`idempotency: ${bytesPerKey.toFixed(1)} B per key`);
    const broker = await startBroker(dataDir);
    try {
      const clients = clientsOf(broker.url);
      const { messageId, duplicate } = await clients.service.enqueue({ queue, idempotencyKey: firstKey });
      const passed = performance.now() - broker.spawnedMs;
      if (!duplicate || messageId !== id) throw new Error("the first key was forgotten");
      bench.progress(`idempotency: the first key is known ${passed.toFixed(0)} ms after the restart`);
      if (!bench.options.quick) {
        const { taken, reason } = await fillUp(clients, 1_600);
        if (reason !== "IDEMPOTENCY_WINDOW_FULL") throw new Error(`refused with ${reason}`);
        bench.progress(`idempotency: ${reason} after ${taken} more keys`);
      }
      return figuresOf(keys, bytesPerKey, passed);
    } finally {
      await broker.stop("SIGKILL");
    }
  });
}

function figuresOf(keys: number, bytesPerKey: number, passed: number): Figure[] {
  const count = keys.toLocaleString("en");
  return [
    {
      name: "idempotency",
      unit: "B per key",
      value: bytesPerKey,
      target: { kind: "at most", value: 64 },
      fila: `${count} idempotency keys of 36 bytes whose messages are gone: heapUsed + arrayBuffers after gc, minus empty`,
    },
    {
      name: "restart-idempotency",
      unit: "ms",
      value: passed,
      target: { kind: "at most", value: 5000 },
      fila: `kill -9 with ${count} idempotency keys, then from spawn to the duplicate that the first of them answers`,
    },
  ];
}

export const idempotency: Benchmark = { name: "idempotency", run };
