// The text that Prometheus scrapes, format 0.0.4. Written here rather than by OpenTelemetry's own exporter: that one costs
// every broker 30 MB of memory for these lines. A test holds the two against each other.
import type { Histogram } from "./histogram.ts";
import type { Attributes, Instrument, Readings } from "./instruments.ts";

export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

/** "fila.queue.oldest_age" in seconds → "fila_queue_oldest_age_seconds"; counters end in "_total". */
export function prometheusName({ name, unit, kind }: Pick<Instrument, "name" | "unit" | "kind">): string {
  const suffix = unit === "s" ? "_seconds" : unit === "By" ? "_bytes" : "";
  return name.replaceAll(".", "_") + suffix + (kind === "counter" ? "_total" : "");
}

export function prometheusText(instruments: readonly Instrument[], readings: Readings): string {
  let text = "";
  for (const instrument of instruments) {
    const name = prometheusName(instrument);
    const help = instrument.description.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${instrument.kind}\n`;
    if (instrument.kind === "histogram") {
      text += bucketLines(name, instrument.read(readings));
      continue;
    }
    for (const { value, attributes } of instrument.read(readings)) text += `${name}${labels(attributes)} ${value}\n`;
  }
  return text;
}

function bucketLines(name: string, histogram: Readonly<Histogram>): string {
  let text = "";
  let below = 0;
  for (const [at, count] of histogram.counts.entries()) {
    below += count;
    text += `${name}_bucket{le="${histogram.bounds[at] ?? "+Inf"}"} ${below}\n`;
  }
  return `${text}${name}_sum ${histogram.sum}\n${name}_count ${below}\n`;
}

function labels(attributes: Attributes): string {
  const pairs = Object.entries(attributes).map(([name, value]) => `${name.replaceAll(".", "_")}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join()}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
