// All that is measured of one broker: what counts, what is read when somebody asks, and the text for a scrape.
import { BrokerCounters } from "./broker-counters.ts";
import type { HookObserver } from "../hooks/port.ts";
import { CallCounts } from "./call-counts.ts";
import { HookCounters } from "./hook-counters.ts";
import { instruments } from "./instruments.ts";
import type { Readings } from "./instruments.ts";
import { LoopLag } from "./loop-lag.ts";
import { prometheusContentType, prometheusText } from "./prometheus-text.ts";
import { QueuePlaces } from "./queue-places.ts";
import type { BrokerReading, TurnObserver } from "./turn-observer.ts";

/** Queues with series of their own: 19 each, so 19,000 in all. */
const maxQueueSeries = 1_000;

/** Characters of text after which others are heard. */
const longPart = 10_000;

export interface MetricsOptions {
  readonly version: string;
  /** Wall clock, milliseconds. Default: Date.now. */
  readonly now?: () => number;
  /** Default: 1,000. */
  readonly maxQueueSeries?: number;
}

/** What is read, and not told. */
export interface MetricsSources {
  broker(): BrokerReading;
  open(): Readings["open"];
}

export interface Scrape {
  readonly contentType: string;
  readonly body: string;
}

export class Metrics {
  readonly #counters: BrokerCounters;
  readonly #hooks: HookCounters;
  readonly #places: QueuePlaces;
  readonly #calls = new CallCounts();
  readonly #lag = new LoopLag();
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #version: string;

  constructor({ version, now = Date.now, maxQueueSeries: places = maxQueueSeries }: MetricsOptions) {
    this.#version = version;
    this.#now = now;
    this.#startedAt = now();
    this.#places = new QueuePlaces(places, now);
    this.#counters = new BrokerCounters(this.#places);
    this.#hooks = new HookCounters(this.#places);
    this.#lag.start();
  }

  /** For the broker. */
  get observer(): TurnObserver {
    return this.#counters;
  }

  /** For the hooks. */
  get hookObserver(): HookObserver {
    return this.#hooks;
  }

  /** For the port: a call is over. */
  readonly onCall = ({ method, code }: { readonly method: string; readonly code: number }): void =>
    this.#calls.count(method, code);

  read(sources: MetricsSources): Readings {
    const { deliveryLatency, commitDuration, commitMessages, storageErrors } = this.#counters;
    const broker = sources.broker();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    return {
      at: this.#now(),
      startedAt: this.#startedAt,
      version: this.#version,
      broker,
      queues: this.#places.rows(broker.queues),
      deliveryLatency,
      commitDuration,
      commitMessages,
      storageErrors,
      hooks: this.#hooks,
      loopLag: this.#lag.lag,
      calls: this.#calls.all(),
      open: sources.open(),
      memory: { rss, heapUsed, arrayBuffers },
      cpu: process.cpuUsage(),
    };
  }

  /** The answer to a scrape. With a thousand queues it takes some milliseconds, and the broker is heard in between. */
  async scrape(sources: MetricsSources): Promise<Scrape> {
    let body = "";
    for (const part of prometheusText(instruments, this.read(sources))) {
      body += part;
      if (part.length > longPart) await new Promise((resolve) => setImmediate(resolve));
    }
    return { contentType: prometheusContentType, body };
  }

  stop(): void {
    this.#lag.stop();
  }
}
