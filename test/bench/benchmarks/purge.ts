// A large queue is purged while another one serves: what the purge costs the other, and what of the memory comes back.
import path from "node:path";
import { createClient } from "@connectrpc/connect";
import { FilaAdmin } from "@fila/sdk/gen";
import type { Bench, Benchmark, Figure } from "../bench.ts";
import { onAdmin } from "../broker-run.ts";
import { fill } from "../fill.ts";
import type { PacedDeliveries, PacedDeliveryTask } from "../load/paced-delivery-load.ts";
import { connectTransport } from "../load/transports.ts";
import { median, quantile } from "../pairs.ts";
import { nowUs, passing } from "../process-cost.ts";
import { Program } from "../program.ts";
import { bytesInUse, startResidentBroker } from "../resident-broker.ts";
import type { ResidentBroker } from "../resident-broker.ts";

const pacedDeliveryLoad = new URL("../load/paced-delivery-load.ts", import.meta.url);

const purged = "purged";
const served = "served";
/** Of the other queue: enough for a p99 within a purge, far from what the broker can do. */
const perSecond = 500;

/** For the load: its own collections would delay as many messages as the broker's. */
const roomy = ["--min-semi-space-size=64", "--max-semi-space-size=64", "--initial-old-space-size=256"];

interface Purge {
  readonly seconds: number;
  readonly beforeP99: number;
  readonly duringP99: number;
  readonly duringMax: number;
}

async function purgeOnce(bench: Bench, { url }: ResidentBroker, messages: number): Promise<Purge> {
  await fill({ url, queue: purged }, messages);
  const admin = createClient(FilaAdmin, connectTransport(url));
  const task: PacedDeliveryTask = { url, queue: served, perSecond };
  const load = Program.start(pacedDeliveryLoad, task, undefined, roomy);
  const deliveries = load.answer();
  // Should it fail before the purge begins, that is thrown when the purge is waited for.
  deliveries.catch(() => undefined);
  try {
    // Once what filling the queue left to do is done, and the client is warm.
    await passing(bench.options.quick ? 1 : 5);
    const fromUs = nowUs();
    await passing(bench.options.quick ? 1 : 8);
    const purgeUs = nowUs();
    // The load says nothing before it is stopped, but that it failed.
    const answer = await Promise.race([admin.purgeQueue({ queue: purged }), deliveries as Promise<never>]);
    const toUs = nowUs();
    if (answer.purged < messages) throw new Error(`${answer.purged} of ${messages} messages were purged`);
    load.send("stop");
    const { sentUs, latencyMs } = (await deliveries) as PacedDeliveries;
    const within = (from: number, to: number): number[] =>
      latencyMs.filter((_, at) => sentUs[at]! >= from && sentUs[at]! < to);
    const during = within(purgeUs, toUs);
    const seconds = (toUs - purgeUs) / 1e6;
    const beforeP99 = quantile(within(fromUs, purgeUs), 0.99);
    return { seconds, beforeP99, duringP99: quantile(during, 0.99), duringMax: quantile(during, 1) };
  } finally {
    await load.stop("SIGKILL");
  }
}

function figuresOf(messages: number, purges: readonly Purge[], left: number, rss: number): Figure[] {
  const count = messages.toLocaleString("en");
  const list = (of: (purge: Purge) => number): number[] => purges.map(of);
  return [
    {
      name: "purge",
      unit: "p99 / p99",
      value: median(list(({ beforeP99, duringP99 }) => duringP99 / beforeP99)),
      target: { kind: "at most", value: 1.5 },
      fila:
        `${perSecond} messages/s from enqueue to a waiting StreamLease in one queue, while ${count} messages of another ` +
        `are purged, against before it; median of ${purges.length} purges`,
      details: {
        "p99 ms before": list(({ beforeP99 }) => beforeP99),
        "p99 ms during": list(({ duringP99 }) => duringP99),
        "max ms during": list(({ duringMax }) => duringMax),
      },
    },
    {
      name: "purge-time",
      unit: "s",
      value: median(list(({ seconds }) => seconds)),
      target: undefined,
      fila: `the same: until the purge of ${count} messages is answered`,
    },
    {
      name: "purge-memory",
      unit: "MB",
      value: left / 1e6,
      target: { kind: "at most", value: 8 },
      fila: `heapUsed + arrayBuffers after gc: after ${purges.length} purges of ${count} messages, minus before the first`,
      details: { "rss MB": rss / 1e6 },
    },
  ];
}

export const purge: Benchmark = {
  name: "purge",
  run: (bench) =>
    bench.withDirectory(async (directory): Promise<Figure[]> => {
      const messages = bench.options.quick ? 50_000 : 1_000_000;
      const rounds = bench.options.quick ? 1 : 3;
      const profile = bench.profile("purge-server");
      const broker = await startResidentBroker(path.join(directory, "data"), profile);
      try {
        await onAdmin(broker.url, async (admin) => {
          await admin.createQueue(purged);
          await admin.createQueue(served);
        });
        // What serving alone leaves behind (compiled code, tables of fixed size) is not what is asked.
        await purgeOnce(bench, broker, 1_000);
        const before = await broker.memory();
        const purges: Purge[] = [];
        for (let round = 1; round <= rounds; round += 1) {
          const last = await purgeOnce(bench, broker, messages);
          purges.push(last);
          bench.progress(
            `purge ${round} of ${rounds}: ${last.seconds.toFixed(1)} s; p99 ${last.beforeP99.toFixed(2)} ms before, ` +
              `${last.duringP99.toFixed(2)} ms during (max ${last.duringMax.toFixed(1)} ms)`,
          );
        }
        const after = await broker.memory();
        return figuresOf(messages, purges, bytesInUse(after) - bytesInUse(before), after.rss);
      } finally {
        await broker.stop();
      }
    }),
};
