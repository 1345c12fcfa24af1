// A real broker over a memory store, measured, with a clock that a test moves.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { ConsumerKind, EnqueueItem, LeaseToken, SettleAction } from "../../core/commands.ts";
import type { EnqueueOutcome, SettleOutcome } from "../../core/effects.ts";
import type { Consumer, ReadableBroker } from "../../broker/contract.ts";
import { openBroker } from "../../broker/open-broker.ts";
import { GatedStorage } from "../../broker/testing/gated-storage.ts";
import { Listener } from "../../broker/testing/listener.ts";
import { ManualClock } from "../../broker/testing/manual-clock.ts";
import type { Readings } from "../instruments.ts";
import { Metrics, type MetricsSources } from "../metrics.ts";
import { parsePrometheus } from "./prometheus-parser.ts";

const who = { connection: 1, principal: "p" };

export class MeasuredBroker {
  readonly broker: ReadableBroker;
  readonly metrics: Metrics;
  readonly clock: ManualClock;
  readonly storage: GatedStorage;
  readonly sources: MetricsSources;

  private constructor(broker: ReadableBroker, metrics: Metrics, clock: ManualClock, storage: GatedStorage) {
    this.broker = broker;
    this.metrics = metrics;
    this.clock = clock;
    this.storage = storage;
    this.sources = { broker: () => broker.read(), open: () => ({ connections: 3, streams: 2 }) };
  }

  static async open(t: TestContext, options: { readonly maxQueueSeries?: number } = {}): Promise<MeasuredBroker> {
    const clock = new ManualClock();
    const storage = new GatedStorage();
    const metrics = new Metrics({ version: "1.2.3", now: () => clock.wall(), ...options });
    const broker = await openBroker({
      open: storage.open,
      observer: metrics.observer,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      fatal: (error) => assert.fail(String(error)),
      clock,
      payloadCacheBytes: 0,
    });
    t.after(() => {
      metrics.stop();
      // Not waited for: a test that has failed may have left a commit that never ends.
      void broker.stop(0);
      clock.advance(1);
    });
    return new MeasuredBroker(broker, metrics, clock, storage);
  }

  read(): Readings {
    return this.metrics.read(this.sources);
  }

  /** Every sample that a scrape shows, by "name{labels}". */
  async samples(): Promise<Map<string, number>> {
    const families = parsePrometheus((await this.metrics.scrape(this.sources)).body);
    return new Map([...families.values()].flatMap(({ samples }) => [...samples]));
  }

  /** The counters of messages of a queue, those that are not 0. */
  async counts(queue: string): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const [series, value] of await this.samples()) {
      const [, name, of] = /^fila_messages_(\w+)_total\{queue="(.*)"\}$/.exec(series) ?? [];
      if (name !== undefined && of === queue && value > 0) counts[name] = value;
    }
    return counts;
  }

  async enqueue(queue: string, ...keys: string[]): Promise<readonly EnqueueOutcome[]> {
    const items = keys.map((fairnessKey): EnqueueItem => ({
      queue,
      fairnessKey,
      weight: 0,
      cost: 1,
      throttleKeys: [],
      body: Buffer.from("b"),
    }));
    const outcomes = await new Promise<readonly EnqueueOutcome[] | object>((resolve) =>
      this.broker.enqueue(items, resolve),
    );
    assert.ok(Array.isArray(outcomes));
    return outcomes as readonly EnqueueOutcome[];
  }

  /** A consumer that was given so many messages, all of them written to its transport. */
  async lease(
    queue: string,
    count: number,
    kind: ConsumerKind = "stream",
  ): Promise<{ listener: Listener; consumer: Consumer }> {
    const listener = new Listener();
    const options = { queue, kind, visibilityMs: 0, credit: count, ...who, worker: "w", session: "" };
    const consumer = this.broker.openConsumer(options, listener);
    await listener.until(({ deliveries }) => deliveries.length === count);
    consumer.written(count);
    return { listener, consumer };
  }

  async settle(
    queue: string,
    action: SettleAction,
    deliveries: readonly { readonly id: string; readonly token: LeaseToken }[],
  ): Promise<readonly SettleOutcome[]> {
    const items = deliveries.map(({ id, token }) => ({ id, token, action, error: "", extendMs: 0 }));
    const outcomes = await new Promise<readonly SettleOutcome[] | object>((resolve) =>
      this.broker.settle(queue, items, who, resolve),
    );
    assert.ok(Array.isArray(outcomes));
    return outcomes as readonly SettleOutcome[];
  }
}
