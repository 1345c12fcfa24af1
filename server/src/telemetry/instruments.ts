// Every instrument, once: the text for Prometheus, the export over OTLP and docs/observability.md are all made from this
// table. Names are OpenTelemetry's; prometheus-text.ts says what becomes of them there.
import type { CallCount } from "./call-counts.ts";
import type { Histogram } from "./histogram.ts";
import type { HookCounters } from "./hook-counters.ts";
import type { CountName } from "./queue-counts.ts";
import type { QueueRow } from "./queue-places.ts";
import type { BrokerReading, StorageOperation } from "./turn-observer.ts";

export type Attributes = Readonly<Record<string, string>>;

export interface Point {
  readonly value: number;
  readonly attributes: Attributes;
  /** Wall clock, milliseconds: since when it is counted, where that is not the start of the process. */
  readonly since?: number;
}

interface Described {
  readonly name: string;
  /** UCUM, as OpenTelemetry writes units: "s", "By", "1", or what is counted in braces. */
  readonly unit: string;
  readonly description: string;
}

/** counter: never goes down as long as its series lives. gauge: how it stands now. */
export interface NumberInstrument extends Described {
  readonly kind: "counter" | "gauge";
  readonly read: (readings: Readings) => Iterable<Point>;
}

export interface HistogramInstrument extends Described {
  readonly kind: "histogram";
  readonly read: (readings: Readings) => Histogram;
}

export type Instrument = NumberInstrument | HistogramInstrument;

/** All that instruments are read from, of one moment. */
export interface Readings {
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly startedAt: number;
  readonly version: string;
  readonly broker: BrokerReading;
  readonly queues: readonly QueueRow[];
  readonly deliveryLatency: Histogram;
  readonly commitDuration: Histogram;
  readonly commitMessages: Histogram;
  readonly storageErrors: Readonly<Record<StorageOperation, number>>;
  readonly hooks: Pick<HookCounters, "duration" | "failures" | "threadsLost">;
  readonly loopLag: Histogram;
  readonly calls: Iterable<CallCount>;
  readonly open: { readonly connections: number; readonly streams: number };
  /** Bytes. */
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly arrayBuffers: number };
  /** Microseconds. */
  readonly cpu: { readonly user: number; readonly system: number };
}

const none: Attributes = {};

/** OpenTelemetry's own mark for "all that have no series of their own"; no queue can be called that. */
const others: Attributes = { "otel.metric.overflow": "true" };

const attributesOfRows = new WeakMap<QueueRow, Attributes>();

/** The same object for all series of one row. */
function ofQueue(row: QueueRow): Attributes {
  if (row.name === undefined) return others;
  let attributes = attributesOfRows.get(row);
  if (attributes === undefined) {
    attributes = { queue: row.name };
    attributesOfRows.set(row, attributes);
  }
  return attributes;
}

function queueCounter(name: string, count: CountName, unit: string, description: string): NumberInstrument {
  return {
    kind: "counter",
    name,
    unit,
    description,
    read: ({ queues }) =>
      queues.map((row) => ({ value: row.counts[count], attributes: ofQueue(row), since: row.since })),
  };
}

function messages(name: string, count: CountName, description: string): NumberInstrument {
  return queueCounter(`fila.messages.${name}`, count, "{message}", description);
}

function queueGauge(
  name: string,
  count: "depth" | "inFlight" | "consumers" | "activeKeys",
  unit: string,
  description: string,
): NumberInstrument {
  return {
    kind: "gauge",
    name: `fila.queue.${name}`,
    unit,
    description,
    read: ({ queues }) => queues.map((row) => ({ value: row[count], attributes: ofQueue(row) })),
  };
}

function single(
  kind: "counter" | "gauge",
  name: string,
  unit: string,
  description: string,
  value: (readings: Readings) => number,
): NumberInstrument {
  return { kind, name, unit, description, read: (readings) => [{ value: value(readings), attributes: none }] };
}

function histogram(
  name: string,
  unit: string,
  description: string,
  read: (readings: Readings) => Histogram,
): HistogramInstrument {
  return { kind: "histogram", name, unit, description, read };
}

const queueInstruments: readonly Instrument[] = [
  messages("enqueued", "enqueued", "Messages stored."),
  messages("leased", "leased", "Leases granted: deliveries."),
  messages("acked", "acked", "Messages acked."),
  messages("nacked", "nacked", "Attempts ended by a nack."),
  messages("expired", "expired", "Attempts ended because the visibility timeout passed."),
  messages("stream_died", "streamDied", "Attempts ended because their stream ended without settling them."),
  messages("released", "released", "Leases given back without an attempt."),
  messages("extended", "extended", "Extensions of leases."),
  messages("delayed", "delayed", "Messages stored to wait for a time or the end of a delay."),
  messages("retried", "retried", "Ended attempts after which the message comes again."),
  messages("dead_lettered", "deadLettered", "Messages moved to the dead-letter queue."),
  messages("redriven", "redriven", "Messages taken in from the dead-letter queue."),
  messages("outlived", "outlived", "Messages dropped or dead-lettered because their time to live was over."),
  messages("cancelled", "cancelled", "Messages removed by CancelMessage."),
  messages("purged", "purged", "Messages removed by PurgeQueue."),
  messages("quarantined", "quarantined", "Messages set aside because their bytes cannot be read back."),
  queueGauge("depth", "depth", "{message}", "Messages not yet settled, leased ones included."),
  queueGauge("in_flight", "inFlight", "{message}", "Messages leased."),
  queueGauge("consumers", "consumers", "{consumer}", "Streams and long polls that wait for messages or hold them."),
  queueGauge("fairness_keys", "activeKeys", "{key}", "Fairness keys with messages that may be delivered."),
  {
    kind: "gauge",
    name: "fila.queue.oldest_age",
    unit: "s",
    description:
      "How long the message that waits longest could have been delivered: since its enqueue, or since its last attempt ended. 0 when none waits. Of a queue with more than 1,000 fairness keys, the oldest among 1,000 of them.",
    read: ({ queues, at }) =>
      queues.map((row) => ({
        value: row.waitingSince === undefined ? 0 : Math.max(0, at - row.waitingSince) / 1_000,
        attributes: ofQueue(row),
      })),
  },
  queueCounter("fila.hook.calls", "hookCalls", "{call}", "Calls of the queue's scripts."),
  queueCounter("fila.hook.failures", "hookFailures", "{call}", "Calls of the queue's scripts that failed."),
  queueCounter(
    "fila.hook.skips",
    "hookSkips",
    "{call}",
    "Calls of the queue's scripts that did not take place, because the script failed too often before.",
  ),
  queueCounter(
    "fila.hook.warnings",
    "hookWarnings",
    "{field}",
    "Fields in results of the queue's scripts that were invalid, so that their defaults held.",
  ),
  queueCounter("fila.scheduler.drr.rounds", "rounds", "{round}", "Rounds of the fairness ring."),
];

export const instruments: readonly Instrument[] = [
  ...queueInstruments,
  single(
    "gauge",
    "fila.scheduler.drr.active_keys",
    "{key}",
    "Fairness keys in the rings of all queues.",
    ({ queues }) => queues.reduce((sum, { activeKeys }) => sum + activeKeys, 0),
  ),
  single(
    "gauge",
    "fila.throttle.waiting",
    "{lane}",
    "What waits for tokens, at all throttle keys together: one per fairness key and set of throttle keys.",
    ({ broker }) => broker.throttledLanes,
  ),
  histogram(
    "fila.delivery.latency",
    "s",
    "From the enqueue to a lease, of messages without an ended attempt. A released message counts again.",
    ({ deliveryLatency }) => deliveryLatency,
  ),
  histogram(
    "fila.storage.commit_duration",
    "s",
    "How long the durable write of a turn took.",
    ({ commitDuration }) => commitDuration,
  ),
  histogram(
    "fila.storage.commit_messages",
    "{message}",
    "Messages stored, leased, acked and given back by one commit.",
    ({ commitMessages }) => commitMessages,
  ),
  {
    kind: "counter",
    name: "fila.storage.errors",
    unit: "{error}",
    description: "Commits, reads and openings that the store refused.",
    read: ({ storageErrors }) =>
      Object.entries(storageErrors).map(([operation, value]) => ({ value, attributes: { operation } })),
  },
  histogram("fila.hook.duration", "s", "How long a call of a script took.", ({ hooks }) => hooks.duration),
  {
    kind: "counter",
    name: "fila.hook.errors",
    unit: "{call}",
    description: "Calls of scripts that failed, by reason.",
    read: ({ hooks }) => Object.entries(hooks.failures).map(([reason, value]) => ({ value, attributes: { reason } })),
  },
  single(
    "counter",
    "fila.hook.threads_lost",
    "{thread}",
    "Threads of scripts that made no progress and were ended, or died.",
    ({ hooks }) => hooks.threadsLost,
  ),
  single(
    "gauge",
    "fila.hook.waiting",
    "{message}",
    "Messages that wait for a script, or are in one.",
    ({ broker }) => broker.hooks.waiting,
  ),
  single(
    "gauge",
    "fila.hook.open_breakers",
    "{script}",
    "Scripts that are not called because they failed too often in a row.",
    ({ broker }) => broker.hooks.openBreakers,
  ),
  single(
    "gauge",
    "fila.broker.serving",
    "1",
    "1 when the broker takes messages, 0 when it drains or cannot write.",
    (r) => (r.broker.serving ? 1 : 0),
  ),
  single(
    "gauge",
    "fila.broker.waiting",
    "By",
    "Bytes of messages that wait for their turn.",
    (r) => r.broker.waitingBytes,
  ),
  single(
    "counter",
    "fila.payload_cache.hits",
    "{delivery}",
    "Deliveries whose bytes were in memory.",
    (r) => r.broker.payloadCacheHits,
  ),
  single(
    "counter",
    "fila.payload_cache.misses",
    "{delivery}",
    "Deliveries whose bytes were read from the store.",
    (r) => r.broker.payloadCacheMisses,
  ),
  single(
    "gauge",
    "fila.payload_cache.size",
    "By",
    "Bytes of recent messages in memory.",
    (r) => r.broker.payloadCacheBytes,
  ),
  {
    kind: "counter",
    name: "fila.rpc.calls",
    unit: "{call}",
    description: "Calls that have ended, streams included, by gRPC's name of their status.",
    read: ({ calls }) => [...calls].map(({ method, code, count }) => ({ value: count, attributes: { method, code } })),
  },
  single("gauge", "fila.rpc.connections", "{connection}", "Open connections.", ({ open }) => open.connections),
  single("gauge", "fila.rpc.streams", "{stream}", "Open HTTP/2 streams: calls under way.", ({ open }) => open.streams),
  histogram(
    "fila.eventloop.lag",
    "s",
    "How late the event loop came to a timer, twice a second: what any event waits on top.",
    ({ loopLag }) => loopLag,
  ),
  {
    kind: "gauge",
    name: "fila.process.memory",
    unit: "By",
    description: "Memory of the process: all of it that is resident, and of this the heap and the buffers.",
    read: ({ memory }) => [
      { value: memory.rss, attributes: { kind: "rss" } },
      { value: memory.heapUsed, attributes: { kind: "heap" } },
      { value: memory.arrayBuffers, attributes: { kind: "buffers" } },
    ],
  },
  {
    kind: "counter",
    name: "fila.process.cpu_time",
    unit: "s",
    description: "Processor time of the process, all of its threads.",
    read: ({ cpu }) => [
      { value: cpu.user / 1e6, attributes: { mode: "user" } },
      { value: cpu.system / 1e6, attributes: { mode: "system" } },
    ],
  },
  single(
    "gauge",
    "fila.uptime",
    "s",
    "Time since the broker started.",
    ({ at, startedAt }) => (at - startedAt) / 1_000,
  ),
  {
    kind: "gauge",
    name: "fila.build.info",
    unit: "1",
    description: "Always 1; its attributes say which version runs.",
    read: ({ version }) => [{ value: 1, attributes: { version, node: process.versions.node } }],
  },
];
