import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { instruments } from "./instruments.ts";
import { createLog } from "./log.ts";
import { resourceMetrics, startOtlpExport, type OtlpExport, type OtlpOptions } from "./otlp-export.ts";
import { prometheusName, prometheusText } from "./prometheus-text.ts";
import { MeasuredBroker } from "./testing/measured-broker.ts";
import { OtlpCollector, type Received } from "./testing/otlp-collector.ts";
import { parsePrometheus } from "./testing/prometheus-parser.ts";

/** A broker that has done a little of everything. */
async function used(t: Parameters<typeof MeasuredBroker.open>[0]): Promise<MeasuredBroker> {
  const made = await MeasuredBroker.open(t, { maxQueueSeries: 2 });
  for (const queue of ['a "quoted\\" name', "b", "c"]) {
    await made.broker.createQueue(queue, { visibilityMs: 1_000, initialBackoffMs: 0 });
    await made.enqueue(queue, "k", "l", "m");
    made.clock.advance(37);
    const { listener } = await made.lease(queue, 2);
    await made.settle(queue, "ack", listener.deliveries.slice(0, 1));
  }
  made.metrics.onCall({ method: "Enqueue", code: 0 });
  return made;
}

function exportOf(
  made: MeasuredBroker,
  endpoint: string,
  lines: string[] = [],
  more: Partial<OtlpOptions> = {},
): OtlpExport {
  return startOtlpExport({
    endpoint,
    intervalMs: 100,
    serviceName: "my fila",
    read: () => made.read(),
    log: createLog({ write: (line) => lines.push(line), readable: true }),
    ...more,
  });
}

/** What was received in the form of a scrape: samples by "name{labels}". */
function samplesOf({ metrics }: Received): Map<string, number> {
  const samples = new Map<string, number>();
  for (const { name, kind, unit, monotonic, points } of metrics.values()) {
    const shown = prometheusName({ name, unit, kind: kind === "sum" && monotonic ? "counter" : "gauge" });
    for (const { attributes, value, buckets } of points) {
      const labels = Object.entries(attributes).map(
        ([label, text]) => `${label.replaceAll(".", "_")}=${JSON.stringify(text)}`,
      );
      const suffix = labels.length === 0 ? "" : `{${labels.join()}}`;
      if (buckets === undefined) {
        samples.set(shown + suffix, value);
        continue;
      }
      let below = 0;
      for (const [at, count] of buckets.counts.entries()) {
        below += count;
        samples.set(`${shown}_bucket{le="${buckets.bounds[at] ?? "+Inf"}"}`, below);
      }
      samples.set(`${shown}_sum`, buckets.sum);
      samples.set(`${shown}_count`, value);
    }
  }
  return samples;
}

/** The process itself does not stand still between two looks. */
function still(samples: Iterable<readonly [string, number]>): (readonly [string, number])[] {
  return [...samples].filter(([series]) => !/^fila_(process|eventloop)/.test(series)).sort();
}

describe("the export over OTLP", () => {
  it("arrives, and says the same as a scrape, histograms included", async (t) => {
    const made = await used(t);
    const collector = await OtlpCollector.start(t);
    const exporting = exportOf(made, collector.url);
    const received = await collector.next();
    await exporting.stop();
    const scraped = await made.samples();
    assert.deepEqual(still(samplesOf(received)), still(scraped));
    assert.ok(scraped.size > 300);
    assert.equal(scraped.get("fila_delivery_latency_seconds_count"), 6);
    assert.equal(received.metrics.size, instruments.length);
    for (const { name, kind, temporality, unit } of received.metrics.values()) {
      const instrument = instruments.find((each) => each.name === name)!;
      assert.deepEqual(
        [kind, unit],
        [{ counter: "sum", gauge: "gauge", histogram: "histogram" }[instrument.kind], instrument.unit],
      );
      assert.equal(temporality, kind === "gauge" ? 0 : 2, name);
    }
    assert.equal(received.resource["service.name"], "my fila");
    assert.equal(received.resource["service.version"], "1.2.3");
    assert.match(received.resource["service.instance.id"]!, /^[0-9a-f-]{36}$/);
  });

  it("goes to /v1/metrics below a path, and is not doubled where it is written out", async (t) => {
    const made = await used(t);
    for (const path of ["/", "/v1/metrics"]) {
      const collector = await OtlpCollector.start(t);
      const exporting = exportOf(made, collector.url + path);
      await collector.next();
      await exporting.stop();
    }
  });

  it("sends what there is at the end", async (t) => {
    const made = await used(t);
    const collector = await OtlpCollector.start(t);
    const exporting = exportOf(made, collector.url, [], { intervalMs: 3_600_000 });
    await made.enqueue("b", "last");
    await exporting.stop();
    const { metrics } = await collector.next();
    assert.equal(
      metrics.get("fila.messages.enqueued")!.points.find(({ attributes }) => attributes["queue"] === "b")?.value,
      4,
    );
  });

  it("that is refused is logged once, and once more when it works again", async (t) => {
    const made = await used(t);
    const collector = await OtlpCollector.start(t);
    const lines: string[] = [];
    collector.status = 400;
    const exporting = exportOf(made, collector.url, lines);
    for (let times = 0; times < 3; times += 1) await collector.next();
    assert.equal(lines.length, 1);
    assert.match(
      lines[0]!,
      /warn metrics cannot be exported; trying again with every interval host=127\.0\.0\.1:\d+ why=/,
    );
    collector.status = 200;
    collector.received.length = 0;
    for (let times = 0; times < 2; times += 1) await collector.next();
    await exporting.stop();
    assert.equal(lines.length, 2);
    assert.match(lines[1]!, /info metrics are exported again/);
  });

  it("to nobody, or to somebody who never answers, neither throws nor keeps a broker from stopping", async (t) => {
    const made = await used(t);
    const lines: string[] = [];
    const silent = createServer();
    const asked = new Promise((resolve) => silent.once("request", resolve));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const waiting = exportOf(made, `http://127.0.0.1:${port}`, lines, { lastExportMs: 10, timeoutMs: 100 });
    await asked;
    await waiting.stop();
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
    assert.match(lines[0]!, /warn the last metrics were not exported: there was no answer in time/);
    // Nobody listens there any more.
    await exportOf(made, `http://127.0.0.1:${port}`, lines, { intervalMs: 3_600_000, timeoutMs: 100 }).stop();
    assert.match(lines.at(-1)!, /warn metrics cannot be exported; .* why=.*ECONNREFUSED/);
  });
});

describe("the text for Prometheus", () => {
  it("is what OpenTelemetry's own serializer makes of the same data, but for units in names", async (t) => {
    const made = await used(t);
    const readings = made.read();
    const ours = parsePrometheus([...prometheusText(instruments, readings)].join(""));
    const data = resourceMetrics(resourceFromAttributes({}), {
      ...made.read(),
      memory: readings.memory,
      cpu: readings.cpu,
    });
    const theirs = new PrometheusSerializer(undefined, false, undefined, true, true)
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- its own copy of the same SDK
      .serialize(data)
      .split("\n")
      .filter((line) => !line.startsWith("# UNIT"));
    const bare = (name: string): string => name.replace(/_(seconds|bytes)(?=_|\{|$)/, "");
    const samples = [...ours.values()].flatMap((family) => [...family.samples]);
    const expected = new Map(theirs.filter((line) => !line.startsWith("#") && line !== "").map(parsedSample));
    assert.deepEqual(still(samples.map(([series, value]) => [bare(series), value] as const)), still(expected).sort());
    for (const [name, { type, help }] of ours) {
      assert.ok(theirs.includes(`# TYPE ${bare(name)} ${type}`), name);
      assert.ok(theirs.includes(`# HELP ${bare(name)} ${help}`), name);
    }
  });

  it("names units, and counters by _total", () => {
    const name = (unit: string, kind: "counter" | "gauge" | "histogram"): string =>
      prometheusName({ name: "fila.a.b_c", unit, kind });
    assert.equal(name("{message}", "counter"), "fila_a_b_c_total");
    assert.equal(name("s", "counter"), "fila_a_b_c_seconds_total");
    assert.equal(name("s", "histogram"), "fila_a_b_c_seconds");
    assert.equal(name("By", "gauge"), "fila_a_b_c_bytes");
    assert.equal(name("1", "gauge"), "fila_a_b_c");
  });
});

function parsedSample(line: string): readonly [string, number] {
  const at = line.lastIndexOf(" ");
  return [line.slice(0, at), Number(line.slice(at + 1))];
}
