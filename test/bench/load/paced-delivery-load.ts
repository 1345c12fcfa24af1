// One message at even distances, whatever becomes of those before: how long does each take from its enqueue to the worker
// that waits? Nothing waits for an answer, so a broker that stands still for a while delays all that come meanwhile, and all
// of them count.
import { createClient } from "@connectrpc/connect";
import { FilaService, SettlementAction } from "@fila/sdk/gen";
import { cycle, makePayloads } from "../payloads.ts";
import { nowUs } from "../process-cost.ts";
import { beginTask, say } from "../program-task.ts";
import { RequestQueue } from "./request-queue.ts";
import { connectTransport } from "./transports.ts";

export interface PacedDeliveryTask {
  readonly url: string;
  readonly queue: string;
  readonly perSecond: number;
}

/** Of each message in the order of their delivery. */
export interface PacedDeliveries {
  /** On the clock of `nowUs`. */
  readonly sentUs: readonly number[];
  readonly latencyMs: readonly number[];
}

class Pace {
  readonly #sent = new Map<string, number>();
  readonly #deliveries = { sentUs: [] as number[], latencyMs: [] as number[] };
  readonly #client;
  readonly #task: PacedDeliveryTask;
  readonly #enqueues = new RequestQueue<object>();
  readonly #leases = new RequestQueue<object>();
  #stopped = false;
  /** Settlements that were sent, and the last of them that was answered. */
  #frame = 0n;
  #settled = 0n;
  readonly #end = Promise.withResolvers<PacedDeliveries>();

  constructor(task: PacedDeliveryTask) {
    this.#task = task;
    this.#client = createClient(FilaService, connectTransport(task.url));
  }

  run(): Promise<PacedDeliveries> {
    return Promise.race([this.#work(), this.#readStored(), this.#end.promise]);
  }

  stop(): void {
    this.#stopped = true;
    this.#endIfSettled();
  }

  /** What is not settled would come again, to the next load. */
  #endIfSettled(): void {
    if (this.#stopped && this.#sent.size === 0 && this.#settled === this.#frame) this.#end.resolve(this.#deliveries);
  }

  /** Sends what is due by now, and looks again in a millisecond. */
  #produce(startedUs: number, sent: number, payload: () => Buffer): void {
    if (this.#stopped) return;
    const { queue, perSecond } = this.#task;
    const due = Math.floor(((nowUs() - startedUs) * perSecond) / 1e6);
    for (let at = sent; at < due; at += 1) {
      const number = String(at);
      this.#sent.set(number, nowUs());
      const messages = [{ payload: payload(), headers: { number } }];
      this.#enqueues.push({ frame: BigInt(at + 1), queue, messages });
    }
    setTimeout(() => this.#produce(startedUs, due, payload), 1);
  }

  async #readStored(): Promise<never> {
    for await (const { results } of this.#client.streamEnqueue(this.#enqueues)) {
      for (const { result } of results) if (result.case !== "messageId") throw new Error("a message was not stored");
    }
    throw new Error("the broker ended the stream of enqueues");
  }

  async #work(): Promise<never> {
    this.#leases.push({ subscribe: { queue: this.#task.queue }, credit: 100_000 });
    for await (const { subscribed, messages, settled } of this.#client.streamLease(this.#leases)) {
      if (subscribed !== undefined) this.#produce(nowUs(), 0, cycle(makePayloads()));
      this.#settled = settled.at(-1)?.settlementFrame ?? this.#settled;
      this.#endIfSettled();
      if (messages.length === 0) continue;
      const now = nowUs();
      for (const { message } of messages) this.#delivered(message?.headers["number"] ?? "", now);
      const settlements = messages.map(({ message, leaseToken }) => ({
        messageId: message!.id,
        leaseToken,
        action: SettlementAction.ACK,
      }));
      this.#leases.push({ credit: messages.length, settlementFrame: ++this.#frame, settlements });
    }
    throw new Error("the broker ended the stream of leases");
  }

  #delivered(number: string, now: number): void {
    const sent = this.#sent.get(number);
    if (sent === undefined) throw new Error(`message ${number} came twice, or is not of this load`);
    this.#sent.delete(number);
    this.#deliveries.sentUs.push(sent);
    this.#deliveries.latencyMs.push((now - sent) / 1000);
  }
}

await beginTask(async (task: PacedDeliveryTask) => {
  const pace = new Pace(task);
  process.on("message", (message) => {
    if (message === "stop") pace.stop();
  });
  await say(await pace.run());
  process.exit(0);
});
