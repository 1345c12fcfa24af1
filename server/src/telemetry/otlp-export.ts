// Sends the instruments to an OpenTelemetry collector, as OTLP over HTTP. Loaded only where an endpoint is configured: it
// costs 30 MB.
//
// The SDK's observable instruments are not used in between. They go on reporting, for ever, every series that they have
// once seen, so a deleted queue would never vanish; and there is no observable histogram. What they would make is made
// here, from the same table as the text for Prometheus. docs/decisions/0004 has the whole story.
//
// States: resting -interval-> exporting -answered-> resting. What an export says of the one before it (it works again, it
// fails now) is logged once. May never happen: two exports at the same time; an export that holds the process.
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { ValueType } from "@opentelemetry/api";
import { detectResources, resourceAttributesEnvDetector, resourceFromAttributes } from "@opentelemetry/resources";
import type { Resource } from "@opentelemetry/resources";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import type { MetricData, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { instruments } from "./instruments.ts";
import type { Instrument, Readings } from "./instruments.ts";
import type { Log } from "./log.ts";

type HrTime = MetricData["dataPoints"][number]["startTime"];

/** ExportResultCode.SUCCESS of a package that is not ours to import. */
const exported = 0;
const refused = new Error("refused");

export interface OtlpOptions {
  /** Without its "/v1/metrics", which is added unless it is there. */
  readonly endpoint: string;
  readonly intervalMs: number;
  readonly serviceName: string;
  /** How long one export may take, with what the exporter tries again by itself. Default: 5 s. */
  readonly timeoutMs?: number;
  /** How long `stop` waits for the last export. Default: 2 s. */
  readonly lastExportMs?: number;
  readonly read: () => Readings;
  readonly log: Log;
}

export interface OtlpExport {
  /** Sends what there is, waits for that as long as it may, and ends. Never rejects. */
  stop(): Promise<void>;
}

export function startOtlpExport(options: OtlpOptions): OtlpExport {
  const { intervalMs, timeoutMs = 5_000, lastExportMs = 2_000, read, log } = options;
  const url = metricsUrl(options.endpoint);
  const exporter = new OTLPMetricExporter({ url: url.href, timeoutMillis: timeoutMs });
  const serviceInstance = crypto.randomUUID();
  const resource = ({ version }: Readings): Resource =>
    detectResources({ detectors: [resourceAttributesEnvDetector] }).merge(
      resourceFromAttributes({
        "service.name": options.serviceName,
        "service.version": version,
        "service.instance.id": serviceInstance,
      }),
    );
  let fails = false;
  let underWay: Promise<void> | undefined;

  const say = (error: Error | undefined): void => {
    if (error !== undefined && !fails) {
      const hint = url.port === "4317" ? "; port 4317 is mostly gRPC, and this is HTTP: try 4318" : "";
      log.warn(`metrics cannot be exported; trying again with every interval${hint}`, {
        host: url.host,
        why: error.message,
      });
    } else if (error === undefined && fails) log.info("metrics are exported again", { host: url.host });
    fails = error !== undefined;
  };
  const send = (): Promise<Error | undefined> =>
    new Promise((resolve) => {
      try {
        const readings = read();
        const metrics = resourceMetrics(resource(readings), readings);
        /* eslint-disable @typescript-eslint/no-unsafe-enum-assignment, @typescript-eslint/no-unsafe-enum-comparison --
           the exporter comes with its own copy of the SDK, whose enums are the same, and exports none for its result */
        exporter.export(metrics, ({ error, code }) => resolve(code === exported ? undefined : (error ?? refused)));
        /* eslint-enable @typescript-eslint/no-unsafe-enum-assignment, @typescript-eslint/no-unsafe-enum-comparison */
      } catch (error) {
        resolve(error instanceof Error ? error : new Error(String(error)));
      }
    });
  const exportOnce = (): Promise<void> =>
    (underWay ??= send().then((error) => {
      underWay = undefined;
      say(error);
    }));

  const timer = setInterval(() => void exportOnce(), intervalMs).unref();
  return {
    async stop() {
      clearInterval(timer);
      // What is under way was read before the last messages.
      const last = (underWay ?? Promise.resolve()).then(exportOnce);
      const { promise: enough, resolve } = Promise.withResolvers<unknown>();
      const patience = setTimeout(() => {
        log.warn("the last metrics were not exported: there was no answer in time", { host: url.host });
        resolve(undefined);
      }, lastExportMs);
      await Promise.race([last, enough]);
      clearTimeout(patience);
      void exporter.shutdown().catch(() => undefined);
    },
  };
}

function metricsUrl(endpoint: string): URL {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith("/v1/metrics")) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/metrics`;
  return url;
}

export function resourceMetrics(resource: Resource, readings: Readings): ResourceMetrics {
  const scope = { name: "fila", version: readings.version };
  return { resource, scopeMetrics: [{ scope, metrics: instruments.map((each) => metricData(each, readings)) }] };
}

function metricData(instrument: Instrument, readings: Readings): MetricData {
  const { name, unit, description } = instrument;
  const endTime = hrTime(readings.at);
  const fromStart = hrTime(readings.startedAt);
  const shared = {
    descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  if (instrument.kind === "histogram") {
    const histogram = instrument.read(readings);
    const buckets = { boundaries: [...histogram.bounds], counts: [...histogram.counts] };
    const value = { buckets, sum: histogram.sum, count: histogram.count };
    return {
      ...shared,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: [{ startTime: fromStart, endTime, attributes: {}, value }],
    };
  }
  const dataPoints = Array.from(instrument.read(readings), ({ value, attributes, since }) => ({
    startTime: since === undefined ? fromStart : hrTime(since),
    endTime,
    attributes: { ...attributes },
    value,
  }));
  if (instrument.kind === "counter")
    return { ...shared, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints };
  return { ...shared, dataPointType: DataPointType.GAUGE, dataPoints };
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1e6)];
}
