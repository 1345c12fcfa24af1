// What is measured of a running server, and where it goes; nothing of it when `telemetry.metrics` is off.
import { readFileSync } from "node:fs";
import type { Config } from "./config/settings.ts";
import type { Log } from "./telemetry/log.ts";
import { Metrics } from "./telemetry/metrics.ts";
import type { MetricsSources, Scrape } from "./telemetry/metrics.ts";
import type { OtlpExport } from "./telemetry/otlp-export.ts";

export class Measurement {
  /** undefined: nothing is measured. */
  readonly metrics: Metrics | undefined;
  readonly #config: Config;
  readonly #log: Log;
  #sources: MetricsSources | undefined;
  #export: OtlpExport | undefined;

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
    this.metrics = config["telemetry.metrics"] ? new Metrics({ version: serverVersion() }) : undefined;
  }

  /** What GET /metrics answers. */
  get scrape(): (() => Promise<Scrape>) | undefined {
    const { metrics } = this;
    if (metrics === undefined) return undefined;
    return async () => {
      if (this.#sources === undefined) throw new Error("the broker is starting");
      return metrics.scrape(this.#sources);
    };
  }

  /** There is something to read from now on; the export begins if there is an endpoint. */
  async start(sources: MetricsSources): Promise<void> {
    const { metrics } = this;
    const endpoint = this.#config["telemetry.otlp_endpoint"];
    this.#sources = sources;
    if (endpoint === "") return;
    if (metrics === undefined) {
      this.#log.warn("telemetry.metrics is false: nothing is exported to telemetry.otlp_endpoint");
      return;
    }
    const { startOtlpExport } = await import("./telemetry/otlp-export.ts");
    this.#export = startOtlpExport({
      endpoint,
      intervalMs: this.#config["telemetry.metrics_interval_ms"],
      serviceName: this.#config["telemetry.service_name"],
      read: () => metrics.read(sources),
      log: this.#log,
    });
  }

  /** Sends what there is, waiting at most 2 s for it. */
  async stop(): Promise<void> {
    await this.#export?.stop();
    this.metrics?.stop();
  }
}

export function serverVersion(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
