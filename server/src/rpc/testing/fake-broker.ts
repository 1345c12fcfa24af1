// A broker in a few lines for tests of the rpc layer: queues in a map, first in, first out, no storage, no scheduler.
import type {
  Broker,
  BrokerState,
  Consumer,
  ConsumerSink,
  LoadedDelivery,
  Outcome,
  QueuePage,
} from "../../broker/contract.ts";
import type { ConnectionId, EnqueueItem, OpenConsumer, SettleItem } from "../../core/commands.ts";
import type { EnqueueOutcome, QueueStats, SettleOutcome } from "../../core/effects.ts";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import type { QueueSettings } from "../../core/queue-settings.ts";
import { FakeOperations } from "./fake-operations.ts";

interface FakeQueue {
  readonly visibilityMs: number;
  readonly waiting: { id: string; item: EnqueueItem }[];
  readonly leased: Map<string, EnqueueItem>;
  readonly consumers: Set<FakeConsumer>;
}

export class FakeBroker implements Broker {
  #state: BrokerState = "serving";
  readonly stateListeners = new Set<(state: BrokerState) => void>();
  readonly queues = new Map<string, FakeQueue>();
  readonly operations = new FakeOperations((queue) => this.queues.has(queue));
  readonly connections = new Set<ConnectionId>();
  /** Called with the number of open connections whenever it changes. */
  onConnections: (open: number) => void = () => {};
  /** Makes every call fail, as a bug would. */
  broken: Error | undefined;
  #connections = 0;
  #ids = 0;

  get state(): BrokerState {
    return this.#state;
  }

  become(state: BrokerState): void {
    this.#state = state;
    for (const listener of this.stateListeners) listener(state);
  }

  onStateChange(listener: (state: BrokerState) => void): () => void {
    this.stateListeners.add(listener);
    return () => this.stateListeners.delete(listener);
  }

  enqueue(items: readonly EnqueueItem[], done: (outcomes: readonly EnqueueOutcome[] | Failure) => void): void {
    const outcomes = items.map((item): EnqueueOutcome => {
      const queue = this.queues.get(item.queue);
      if (queue === undefined) return notFound(item.queue);
      const id = `0190b5a0-0000-7000-8000-${String(++this.#ids).padStart(12, "0")}`;
      queue.waiting.push({ id, item: { ...item, body: item.body.slice() } });
      return id;
    });
    queueMicrotask(() => {
      done(outcomes);
      for (const queue of this.queues.values()) for (const consumer of queue.consumers) consumer.serve();
    });
  }

  settle(
    queue: string,
    items: readonly SettleItem[],
    _who: unknown,
    done: (outcomes: readonly SettleOutcome[] | Failure) => void,
  ): void {
    const { leased, waiting, consumers } = this.queues.get(queue) ?? {};
    if (leased === undefined) return queueMicrotask(() => done(notFound(queue)));
    const outcomes = items.map((item): SettleOutcome => {
      const held = leased.get(item.id);
      if (held === undefined) return failure("MESSAGE_NOT_FOUND", `message ${item.id} is not leased`);
      if (item.action === "extend") return 1_700_000_000_000;
      leased.delete(item.id);
      if (item.action !== "ack") waiting?.unshift({ id: item.id, item: held });
      return undefined;
    });
    queueMicrotask(() => {
      done(outcomes);
      for (const consumer of consumers ?? []) consumer.serve();
    });
  }

  openConsumer(options: Omit<OpenConsumer, "type" | "consumer">, sink: ConsumerSink): Consumer {
    const queue = this.queues.get(options.queue);
    const consumer = new FakeConsumer(options, queue, sink);
    queueMicrotask(() => {
      if (queue === undefined) return sink.ended(notFound(options.queue));
      queue.consumers.add(consumer);
      sink.opened(options.visibilityMs || queue.visibilityMs, []);
      consumer.serve();
    });
    return consumer;
  }

  async createQueue(name: string, settings: Partial<QueueSettings>): Promise<Outcome<void>> {
    const { visibilityMs = 30_000, onEnqueueScript = "" } = settings;
    if (this.broken !== undefined) throw this.broken;
    // It knows no language.
    if (onEnqueueScript !== "") {
      return { ok: false, failure: failure("SCRIPT_INVALID", "not a script", { field: "on_enqueue_script" }) };
    }
    if (this.queues.has(name)) {
      return { ok: false, failure: failure("QUEUE_EXISTS", `queue ${JSON.stringify(name)} exists already`) };
    }
    this.queues.set(name, { visibilityMs, waiting: [], leased: new Map(), consumers: new Set() });
    return { ok: true, value: undefined };
  }

  async deleteQueue(name: string): Promise<Outcome<void>> {
    const queue = this.queues.get(name);
    if (queue === undefined) return { ok: false, failure: notFound(name) };
    this.queues.delete(name);
    for (const consumer of queue.consumers) consumer.sink.ended(notFound(name));
    return { ok: true, value: undefined };
  }

  async listQueues(after: string, limit: number): Promise<Outcome<QueuePage>> {
    const names = [...this.queues.keys()].sort().filter((name) => name > after);
    const queues = names.slice(0, limit).map((name) => ({ name, depth: 0, inFlight: 0, consumers: 0 }));
    return { ok: true, value: { queues, total: this.queues.size, more: names.length > limit } };
  }

  async queueStats(name: string): Promise<Outcome<QueueStats>> {
    const queue = this.queues.get(name);
    if (queue === undefined) return { ok: false, failure: notFound(name) };
    const { waiting, leased, consumers, visibilityMs } = queue;
    const value: QueueStats = {
      name,
      depth: waiting.length + leased.size,
      inFlight: leased.size,
      consumers: consumers.size,
      activeKeys: waiting.length > 0 ? 1 : 0,
      visibilityMs,
      delayed: 0,
      deciding: 0,
      paused: false,
      keys: waiting.length > 0 ? [{ key: "default", pending: waiting.length, deficit: 1, weight: 1 }] : [],
      throttles: [],
      truncated: false,
    };
    return { ok: true, value };
  }

  nextConnection(): ConnectionId {
    const connection = ++this.#connections;
    this.connections.add(connection);
    this.onConnections(this.connections.size);
    return connection;
  }

  disconnected(connection: ConnectionId): void {
    this.connections.delete(connection);
    this.onConnections(this.connections.size);
  }

  async stop(): Promise<void> {
    this.become("draining");
    for (const queue of this.queues.values()) {
      for (const consumer of queue.consumers) {
        consumer.sink.draining();
        consumer.sink.ended(failure("DRAINING", "the broker stops", { retryAfterMs: 1000 }));
      }
    }
    this.become("stopped");
  }
}

class FakeConsumer implements Consumer {
  readonly sink: ConsumerSink;
  readonly #options: Omit<OpenConsumer, "type" | "consumer">;
  readonly #queue: FakeQueue | undefined;
  #credit: number;
  #ordinal = 0;

  constructor(options: Omit<OpenConsumer, "type" | "consumer">, queue: FakeQueue | undefined, sink: ConsumerSink) {
    this.#options = options;
    this.#queue = queue;
    this.sink = sink;
    this.#credit = options.kind === "consume" ? 128 : options.credit;
  }

  serve(): void {
    const deliveries: LoadedDelivery[] = [];
    while (this.#credit > 0) {
      const next = this.#queue?.waiting.shift();
      if (next === undefined) break;
      this.#credit--;
      this.#queue?.leased.set(next.id, next.item);
      deliveries.push(this.#delivery(next.id, next.item));
    }
    if (deliveries.length > 0) this.sink.deliver(deliveries);
  }

  credit(messages: number): void {
    this.#credit += messages;
    this.serve();
  }

  stop(): void {
    this.#credit = 0;
    this.sink.stopped?.();
  }

  written(): void {}

  close(): void {
    this.#credit = 0;
    this.#queue?.consumers.delete(this);
  }

  #delivery(id: string, item: EnqueueItem): LoadedDelivery {
    return {
      ordinal: ++this.#ordinal,
      id,
      queue: this.#options.queue,
      queueNumber: 1,
      sequence: this.#ordinal,
      fairnessKey: item.fairnessKey,
      weight: item.weight || 1,
      throttleKeys: item.throttleKeys,
      attempts: 0,
      enqueuedAt: 1_700_000_000_000,
      leasedAt: 1_700_000_000_001,
      leaseExpiresAt: 1_700_000_030_001,
      token: { high: 1, low: this.#ordinal },
      slot: 0,
      body: item.body,
    };
  }
}

function notFound(name: string): Failure {
  return failure("QUEUE_NOT_FOUND", `queue ${JSON.stringify(name)} does not exist`, { metadata: { queue: name } });
}
