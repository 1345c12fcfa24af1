// Messages that are due within a short time, and a worker that waits for them with credit for all: how late does each
// come? Every second one waits for the end of a delay, the others for a time of day.
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { FilaService, SettlementAction } from "@fila/sdk/gen";
import type { LeasedMessage } from "@fila/sdk/gen";
import { latenessOf } from "../lateness.ts";
import type { Lateness } from "../lateness.ts";
import { cycle, makePayloads } from "../payloads.ts";
import { waitedForProcessorMs } from "../process-cost.ts";
import { doTask } from "../program-task.ts";
import { RequestQueue } from "./request-queue.ts";
import { connectTransport } from "./transports.ts";

export interface DelayedDeliveryTask {
  readonly url: string;
  /** Of the broker. */
  readonly pid: number;
  readonly queue: string;
  readonly messages: number;
  /** The first is due this long after the beginning, when all must be stored. */
  readonly leadMs: number;
  /** They are due at even distances within this time. */
  readonly withinMs: number;
  /** So many more are due within the second before, at even distances too, and do not count: they warm up. */
  readonly warmUp: number;
}

type FilaClient = ReturnType<typeof createClient<typeof FilaService>>;
/** What a message waits for: a time, or a delay from its enqueue. */
type Waits = ({ readonly at: number } | { readonly delay: number }) & { readonly counts: boolean };

const frameSize = 100;

/** The wall clock, finer than a millisecond. */
const wall = (): number => performance.timeOrigin + performance.now();

async function enqueueAll(client: FilaClient, task: DelayedDeliveryTask): Promise<Map<string, Waits>> {
  const { queue, leadMs, withinMs, messages, warmUp } = task;
  const payload = cycle(makePayloads());
  const first = Math.ceil(wall()) + leadMs;
  const waits = new Map<string, Waits>();
  for (let from = -warmUp; from < messages; from += frameSize) {
    const now = wall();
    const frame = Array.from({ length: Math.min(frameSize, messages - from) }, (_, at): Waits => {
      const number = from + at;
      const counts = number >= 0;
      const due = first + Math.ceil(counts ? (number * withinMs) / messages : (number * 1_000) / warmUp);
      return at % 2 === 0 ? { at: due, counts } : { delay: Math.ceil(due - now), counts };
    });
    const { results } = await client.batchEnqueue({
      messages: frame.map((each) => ({
        queue,
        payload: payload(),
        ...("at" in each ? { deliverAt: timestampFromMs(each.at) } : { delayMs: BigInt(each.delay) }),
      })),
    });
    for (const [at, { result }] of results.entries()) {
      if (result.case !== "messageId") throw new Error(`not stored: ${JSON.stringify(result.value)}`);
      waits.set(result.value, frame[at]!);
    }
  }
  if (wall() >= first - 1_000) throw new Error("the first was due before all were stored");
  return waits;
}

class Worker {
  readonly #requests = new RequestQueue<object>();
  readonly #client: FilaClient;
  readonly #waits: Map<string, Waits>;
  readonly #latenessMs: number[] = [];
  #unacked = 0;
  #frame = 0n;

  constructor(client: FilaClient, waits: Map<string, Waits>) {
    this.#client = client;
    this.#waits = waits;
  }

  async run({ queue, pid }: DelayedDeliveryTask): Promise<Lateness> {
    let waitedBefore: number | undefined;
    this.#requests.push({ subscribe: { queue }, credit: this.#waits.size });
    for await (const { messages, settled } of this.#client.streamLease(this.#requests)) {
      const came = wall();
      for (const leased of messages) this.#delivered(leased, came);
      if (this.#latenessMs.length > 0) waitedBefore ??= waitedForProcessorMs(pid);
      if (messages.length > 0) this.#ack(messages);
      for (const { failures } of settled) if (failures.length > 0) throw new Error("an ack was refused");
      this.#unacked -= settled.length;
      if (this.#waits.size === 0 && this.#unacked === 0) break;
    }
    return latenessOf(this.#latenessMs, waitedForProcessorMs(pid) - (waitedBefore ?? 0));
  }

  /** Both stamps are the broker's, in whole milliseconds, cut off: what is said to be late may be so by one less. */
  #delivered({ message }: LeasedMessage, came: number): void {
    const { id = "", timestamps } = message ?? {};
    const waits = this.#waits.get(id);
    if (waits === undefined || timestamps?.enqueuedAt === undefined || timestamps.leasedAt === undefined)
      throw new Error(`message ${id} came twice, or is not of this load`);
    this.#waits.delete(id);
    if (!waits.counts) return;
    const due = "at" in waits ? waits.at : timestampMs(timestamps.enqueuedAt) + waits.delay;
    const early = timestampMs(timestamps.leasedAt) < due;
    this.#latenessMs.push(early ? timestampMs(timestamps.leasedAt) - due : came - due);
  }

  #ack(messages: readonly LeasedMessage[]): void {
    const settlements = messages.map(({ message, leaseToken }) => ({
      messageId: message!.id,
      leaseToken,
      action: SettlementAction.ACK,
    }));
    this.#unacked += 1;
    this.#requests.push({ settlementFrame: ++this.#frame, settlements });
  }
}

await doTask(async (task: DelayedDeliveryTask): Promise<Lateness> => {
  const client = createClient(FilaService, connectTransport(task.url));
  const waits = await enqueueAll(client, task);
  return new Worker(client, waits).run(task);
});
