// A collector of OpenTelemetry as far as a test needs one: takes metrics as OTLP over HTTP and reads them with a decoder of
// its own, so that what the exporter makes is held against the protocol and not against itself.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** Fields of a message by number, in the order in which they came. Length-delimited ones as bytes. */
type Fields = ReadonlyMap<number, readonly (Uint8Array | number | bigint)[]>;

export interface ReceivedPoint {
  readonly attributes: Readonly<Record<string, string>>;
  readonly startNs: bigint;
  readonly value: number;
  /** Of a histogram. */
  readonly buckets?: { readonly counts: readonly number[]; readonly bounds: readonly number[]; readonly sum: number };
}

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly kind: "gauge" | "sum" | "histogram";
  /** Sums and histograms: 2 = cumulative. */
  readonly temporality: number;
  readonly monotonic: boolean;
  readonly points: readonly ReceivedPoint[];
}

export interface Received {
  readonly resource: Readonly<Record<string, string>>;
  readonly metrics: ReadonlyMap<string, ReceivedMetric>;
}

export class OtlpCollector {
  readonly received: Received[] = [];
  /** Every request is answered with it. */
  status = 200;
  url = "";
  #wake = (): void => undefined;

  static async start(t: TestContext): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    const server = createServer((request, response) => void collector.#take(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    collector.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return collector;
  }

  /** Resolves with the next export. */
  async next(): Promise<Received> {
    while (this.received.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.received.shift()!;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    assert.equal(request.url, "/v1/metrics");
    assert.equal(request.headers["content-type"], "application/x-protobuf");
    response.writeHead(this.status, { "content-type": "application/x-protobuf" }).end();
    this.received.push(decode(Buffer.concat(chunks)));
    this.#wake();
  }
}

// Field numbers of opentelemetry/proto/collector/metrics/v1 and metrics/v1.
function decode(body: Uint8Array): Received {
  const [resourceMetrics] = messages(fieldsOf(body), 1);
  const [resource] = messages(resourceMetrics!, 1);
  const metrics = messages(resourceMetrics!, 2).flatMap((scope) => messages(scope, 2).map(metricOf));
  return {
    resource: attributesOf(resource!, 1),
    metrics: new Map(metrics.map((metric) => [metric.name, metric])),
  };
}

function metricOf(metric: Fields): ReceivedMetric {
  const [gauge] = messages(metric, 5);
  const [sum] = messages(metric, 7);
  const [histogram] = messages(metric, 9);
  const data = gauge ?? sum ?? histogram;
  assert.ok(data !== undefined);
  return {
    name: text(metric, 1),
    unit: text(metric, 3),
    kind: gauge !== undefined ? "gauge" : sum !== undefined ? "sum" : "histogram",
    temporality: Number(data.get(2)?.[0] ?? 0),
    monotonic: sum?.get(3)?.[0] === 1,
    points: messages(data, 1).map((point) => (histogram === undefined ? numberOf(point) : bucketsOf(point))),
  };
}

function numberOf(point: Fields): ReceivedPoint {
  const double = point.get(4)?.[0] as bigint | undefined;
  const value = double === undefined ? Number(point.get(6)?.[0] ?? 0) : doubleOf(double);
  return { attributes: attributesOf(point, 7), startNs: point.get(2)?.[0] as bigint, value };
}

function bucketsOf(point: Fields): ReceivedPoint {
  return {
    attributes: attributesOf(point, 9),
    startNs: point.get(2)?.[0] as bigint,
    value: Number(point.get(4)?.[0]),
    buckets: {
      counts: packed(point, 6).map(Number),
      bounds: packed(point, 7).map(doubleOf),
      sum: doubleOf((point.get(5)?.[0] as bigint | undefined) ?? 0n),
    },
  };
}

function attributesOf(message: Fields, field: number): Record<string, string> {
  return Object.fromEntries(messages(message, field).map((pair) => [text(pair, 1), text(messages(pair, 2)[0]!, 1)]));
}

function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | number | bigint)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    let value: Uint8Array | number | bigint;
    if (type === WireType.LengthDelimited) value = reader.bytes();
    else if (type === WireType.Bit64) value = BigInt(reader.fixed64());
    else if (type === WireType.Varint) value = reader.uint32();
    else assert.fail(`field ${number} has wire type ${type}`);
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

function messages(message: Fields, field: number): Fields[] {
  return (message.get(field) ?? []).map((bytes) => fieldsOf(bytes as Uint8Array));
}

function text(message: Fields, field: number): string {
  const bytes = message.get(field)?.[0] as Uint8Array | undefined;
  return bytes === undefined ? "" : Buffer.from(bytes).toString();
}

/** Fixed 64-bit values, packed. */
function packed(message: Fields, field: number): bigint[] {
  return (message.get(field) ?? []).flatMap((bytes) => {
    const { buffer, byteOffset, byteLength } = bytes as Uint8Array;
    const view = new DataView(buffer, byteOffset, byteLength);
    return Array.from({ length: byteLength / 8 }, (_, at) => view.getBigUint64(at * 8, true));
  });
}

function doubleOf(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}
