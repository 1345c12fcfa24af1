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

/** One part per instrument, each a few milliseconds at most, so that others may be heard between them. */
export function* prometheusText(instruments: readonly Instrument[], readings: Readings): Generator<string> {
  const labels = new LabelTexts();
  for (const instrument of instruments) {
    const name = prometheusName(instrument);
    const help = instrument.description.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    let text = `# HELP ${name} ${help}\n# TYPE ${name} ${instrument.kind}\n`;
    if (instrument.kind === "histogram") text += bucketLines(name, instrument.read(readings));
    else
      for (const { value, attributes } of instrument.read(readings))
        text += `${name}${labels.of(attributes)} ${value}\n`;
    yield text;
  }
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

/** A queue's labels are the same for all of its series, and to write them takes longer than all the rest. */
class LabelTexts {
  readonly #texts = new Map<Attributes, string>();

  of(attributes: Attributes): string {
    let text = this.#texts.get(attributes);
    if (text === undefined) {
      const pairs = Object.entries(attributes).map(
        ([name, value]) => `${name.replaceAll(".", "_")}="${escaped(value)}"`,
      );
      text = pairs.length === 0 ? "" : `{${pairs.join()}}`;
      this.#texts.set(attributes, text);
    }
    return text;
  }
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
