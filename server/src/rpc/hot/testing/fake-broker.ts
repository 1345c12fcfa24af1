// A broker that remembers what it was asked and answers as the test says.
import type { Broker, BrokerState, Consumer, ConsumerSink, LoadedDelivery } from "../../../broker/contract.ts";
import type { EnqueueItem, OpenConsumer, SettleItem } from "../../../core/commands.ts";
import type { EnqueueOutcome, SettleOutcome } from "../../../core/effects.ts";
import type { Failure } from "../../../core/errors.ts";
import { failure } from "../../../core/errors.ts";

export class FakeConsumer implements Consumer {
  readonly options: Omit<OpenConsumer, "type" | "consumer">;
  readonly sink: ConsumerSink;
  credits: number;
  stops = 0;
  writtenOrdinal = 0;
  closedWith: number | undefined = undefined;
  readonly closed = Promise.withResolvers<number>();
  readonly #watchers: { readonly when: () => boolean; readonly resolve: () => void }[] = [];

  constructor(options: Omit<OpenConsumer, "type" | "consumer">, sink: ConsumerSink) {
    this.options = options;
    this.sink = sink;
    this.credits = options.credit;
  }

  credit(messages: number): void {
    this.credits += messages;
    this.#changed();
  }

  stop(): void {
    this.stops += 1;
    this.#changed();
  }

  written(ordinal: number): void {
    if (ordinal < this.writtenOrdinal) throw new Error("written goes backwards");
    this.writtenOrdinal = ordinal;
    this.#changed();
  }

  close(written: number): void {
    if (this.closedWith !== undefined) throw new Error("closed twice");
    this.closedWith = written;
    this.closed.resolve(written);
    this.#changed();
  }

  /** Resolves when the condition holds; it is looked at after every call. */
  until(when: () => boolean): Promise<void> {
    if (when()) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push({ when, resolve }));
  }

  #changed(): void {
    for (const watcher of this.#watchers) if (watcher.when()) watcher.resolve();
  }
}

export class FakeBroker implements Broker {
  state: BrokerState = "serving";
  readonly enqueued: EnqueueItem[] = [];
  readonly settled: { readonly queue: string; readonly items: readonly SettleItem[] }[] = [];
  readonly consumers: FakeConsumer[] = [];
  /** Held back instead of answered, when set. */
  held: (() => void)[] | undefined = undefined;
  #nextConsumer = Promise.withResolvers<FakeConsumer>();
  #ids = 0;

  outcome: (item: EnqueueItem) => EnqueueOutcome = (item) =>
    item.queue === "missing" ? missing(item.queue) : fakeId(++this.#ids);
  settleOutcome: (item: SettleItem) => SettleOutcome = (item) =>
    item.action === "extend" ? 1_700_000_000_123 : undefined;

  #answer(answer: () => void): void {
    if (this.held !== undefined) this.held.push(answer);
    else queueMicrotask(answer);
  }

  onStateChange(): () => void {
    return () => {};
  }

  enqueue(items: readonly EnqueueItem[], done: (outcomes: readonly EnqueueOutcome[] | Failure) => void): void {
    this.enqueued.push(...items);
    this.#answer(() => done(items.map((item) => this.outcome(item))));
  }

  settle(
    queue: string,
    items: readonly SettleItem[],
    _who: unknown,
    done: (outcomes: readonly SettleOutcome[] | Failure) => void,
  ): void {
    this.settled.push({ queue, items });
    this.#answer(() => done(queue === "missing" ? missing(queue) : items.map((item) => this.settleOutcome(item))));
  }

  openConsumer(options: Omit<OpenConsumer, "type" | "consumer">, sink: ConsumerSink): Consumer {
    const consumer = new FakeConsumer(options, sink);
    this.consumers.push(consumer);
    queueMicrotask(() => {
      if (options.queue === "missing") sink.ended(missing(options.queue));
      else sink.opened(30_000, []);
      this.#nextConsumer.resolve(consumer);
      this.#nextConsumer = Promise.withResolvers<FakeConsumer>();
    });
    return consumer;
  }

  /** The next consumer, once it is opened. */
  nextConsumer(): Promise<FakeConsumer> {
    return this.#nextConsumer.promise;
  }

  createQueue(): never {
    throw new Error("not part of this test");
  }
  deleteQueue(): never {
    throw new Error("not part of this test");
  }
  listQueues(): never {
    throw new Error("not part of this test");
  }
  queueStats(): never {
    throw new Error("not part of this test");
  }
  get operations(): never {
    throw new Error("not part of this test");
  }
  nextConnection(): number {
    return 1;
  }
  disconnected(): void {}
  stop(): Promise<void> {
    return Promise.resolve();
  }
}

function missing(queue: string): Failure {
  return failure("QUEUE_NOT_FOUND", `queue "${queue}" does not exist; create it: 100% needed`, { metadata: { queue } });
}

export function fakeId(n: number): string {
  return `0190163d-8694-739b-aea5-${n.toString(16).padStart(12, "0")}`;
}

export function delivery(ordinal: number, body: Uint8Array, more: Partial<LoadedDelivery> = {}): LoadedDelivery {
  return {
    ordinal,
    id: fakeId(ordinal),
    queue: "q",
    queueNumber: 1,
    sequence: ordinal,
    fairnessKey: "tenant",
    weight: 2,
    throttleKeys: ["a", "b"],
    attempts: 0,
    enqueuedAt: 1_700_000_000_001,
    leasedAt: 1_700_000_000_002,
    leaseExpiresAt: 1_700_000_030_002,
    token: { high: 0xdeadbeef, low: ordinal },
    slot: 0,
    body,
    ...more,
  };
}
