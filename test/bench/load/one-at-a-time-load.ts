// Latency of one message at a time. roundTrip: an empty request and its empty answer over one bidirectional stream.
// delivery: from the enqueue to a worker that waits, both over streams; acked before the next.
import { createClient } from "@connectrpc/connect";
import { FilaService, SettlementAction } from "@fila/sdk/gen";
import type { LeasedMessage } from "@fila/sdk/gen";
import { MeasuringWindow } from "../measuring-window.ts";
import type { WindowOptions } from "../measuring-window.ts";
import { quantile } from "../pairs.ts";
import { cycle, makePayloads } from "../payloads.ts";
import { doTask } from "../program-task.ts";
import { RequestQueue } from "./request-queue.ts";
import { connectTransport } from "./transports.ts";

export interface OneAtATimeTask {
  readonly url: string;
  readonly queue: string;
  readonly load: "roundTrip" | "delivery";
  readonly window: WindowOptions;
}

type FilaClient = ReturnType<typeof createClient<typeof FilaService>>;
/** Does it once; resolves with the milliseconds that count. */
type Once = () => Promise<number>;

function roundTrip(client: FilaClient): Once {
  const requests = new RequestQueue<object>();
  const responses = client.streamEnqueue(requests)[Symbol.asyncIterator]();
  return async () => {
    const start = performance.now();
    requests.push({});
    await responses.next();
    return performance.now() - start;
  };
}

function delivery(client: FilaClient, queue: string): Once {
  const enqueues = new RequestQueue<object>();
  const stored = client.streamEnqueue(enqueues)[Symbol.asyncIterator]();
  const leasing = new Leasing(client, queue);
  const payload = cycle(makePayloads());
  let frame = 0n;
  return async () => {
    await leasing.ready;
    const delivered = leasing.nextMessage();
    const start = performance.now();
    enqueues.push({ frame: ++frame, queue, messages: [{ payload: payload() }] });
    const message = await delivered;
    const latency = performance.now() - start;
    // The next enqueue begins with nothing under way.
    await Promise.all([stored.next(), leasing.ack(message)]);
    return latency;
  };
}

/** A worker with credit to spare. */
class Leasing {
  readonly #requests = new RequestQueue<object>();
  readonly #subscribed = Promise.withResolvers<undefined>();
  #message = Promise.withResolvers<LeasedMessage>();
  #acked = Promise.withResolvers<undefined>();
  #frame = 0n;

  constructor(client: FilaClient, queue: string) {
    this.#requests.push({ subscribe: { queue }, credit: 100 });
    void this.#read(client).catch((error: unknown) => {
      this.#subscribed.reject(error);
      this.#message.reject(error);
      this.#acked.reject(error);
    });
  }

  get ready(): Promise<undefined> {
    return this.#subscribed.promise;
  }

  nextMessage(): Promise<LeasedMessage> {
    this.#message = Promise.withResolvers();
    return this.#message.promise;
  }

  ack({ message, leaseToken }: LeasedMessage): Promise<undefined> {
    this.#acked = Promise.withResolvers();
    const settlements = [{ messageId: message!.id, leaseToken, action: SettlementAction.ACK }];
    this.#requests.push({ credit: 1, settlementFrame: ++this.#frame, settlements });
    return this.#acked.promise;
  }

  async #read(client: FilaClient): Promise<void> {
    for await (const { subscribed, messages, settled } of client.streamLease(this.#requests)) {
      if (subscribed !== undefined) this.#subscribed.resolve(undefined);
      if (messages[0] !== undefined) this.#message.resolve(messages[0]);
      const failure = settled[0]?.failures[0]?.error;
      if (failure !== undefined) throw new Error(`not acked: ${failure.message}`);
      if (settled.length > 0) this.#acked.resolve(undefined);
    }
    throw new Error("the broker ended the stream");
  }
}

await doTask(async ({ url, queue, load, window }: OneAtATimeTask) => {
  const client = createClient(FilaService, connectTransport(url));
  const once = load === "roundTrip" ? roundTrip(client) : delivery(client, queue);
  const measuring = new MeasuringWindow(window);
  const latencies: number[] = [];
  while (!measuring.over) {
    const latency = await once();
    if (measuring.measuring) latencies.push(latency);
    measuring.completed(1);
  }
  return { ...measuring.throughput(), p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
});
