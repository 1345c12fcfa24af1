// What a whole server shows of itself: /metrics, the export, the log.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import type { TestContext } from "node:test";
import { startServer } from "./index.ts";
import type { Config, Log } from "./index.ts";
import { createLog, silentLog } from "./telemetry/log.ts";
import { OtlpCollector } from "./telemetry/testing/otlp-collector.ts";
import { parsePrometheus } from "./telemetry/testing/prometheus-parser.ts";

const scratch = mkdtempSync(path.join(tmpdir(), "fila-measurement-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

type Call = (procedure: string, request: object, headers?: Record<string, string>) => Promise<Record<string, unknown>>;

async function start(
  t: TestContext,
  settings: Partial<Config>,
  log: Log = silentLog,
): Promise<{ url: string; call: Call }> {
  const server = await startServer(
    { "server.listen_addr": "127.0.0.1:0", "server.drain_deadline_ms": 0, ...settings },
    { log, storage: "memory" },
  );
  t.after(() => server.stop());
  const call: Call = async (procedure, request, headers = {}) => {
    const response = await fetch(`${server.url}/fila.v1.${procedure}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(request),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  return { url: server.url, call };
}

describe("GET /metrics", () => {
  it("shows what the server did, in the format that Prometheus reads", async (t) => {
    const { url, call } = await start(t, {});
    await call("FilaAdmin/CreateQueue", { name: "orders" });
    await call("FilaService/Enqueue", { queue: "orders" });
    await call("FilaService/Enqueue", { queue: "none" });
    const response = await fetch(`${url}/metrics`);
    assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    const families = parsePrometheus(await response.text());
    const sample = (name: string, labels: string): number | undefined => families.get(name)?.samples.get(name + labels);
    assert.equal(sample("fila_messages_enqueued_total", '{queue="orders"}'), 1);
    assert.equal(sample("fila_rpc_calls_total", '{method="Enqueue",code="OK"}'), 1);
    assert.equal(sample("fila_rpc_calls_total", '{method="Enqueue",code="NOT_FOUND"}'), 1);
    assert.equal(sample("fila_broker_serving", ""), 1);
    assert.ok(sample("fila_rpc_connections", "")! >= 1);
  });

  it("is not there when metrics are off, and nothing is exported then", async (t) => {
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line) });
    const collector = await OtlpCollector.start(t);
    const { url } = await start(t, { "telemetry.metrics": false, "telemetry.otlp_endpoint": collector.url }, log);
    assert.equal((await fetch(`${url}/metrics`)).status, 404);
    assert.equal(lines.filter((line) => line.includes("nothing is exported")).length, 1);
  });
});

describe("the export", () => {
  it("begins with the server where an endpoint is set, under the name that is set", async (t) => {
    const collector = await OtlpCollector.start(t);
    const { call } = await start(t, {
      "telemetry.otlp_endpoint": collector.url,
      "telemetry.service_name": "orders-broker",
      "telemetry.metrics_interval_ms": 100,
    });
    await call("FilaAdmin/CreateQueue", { name: "orders" });
    await call("FilaService/Enqueue", { queue: "orders" });
    for (;;) {
      const { resource, metrics } = await collector.next();
      assert.equal(resource["service.name"], "orders-broker");
      const [point] = metrics.get("fila.messages.enqueued")!.points;
      if (point?.value === 1) break;
    }
  });

  for (const [endpoint, loaded] of [
    ["", false],
    ["http://127.0.0.1:9", true],
  ] as const) {
    it(`loads OpenTelemetry only where an endpoint is set: ${JSON.stringify(endpoint)}`, async (t) => {
      const preload = `import { registerHooks } from "node:module";
        registerHooks({ load(url, context, next) {
          if (url.includes("/@opentelemetry/")) process.stderr.write("LOADED\\n");
          return next(url, context);
        } });`;
      const main = path.join(import.meta.dirname, "main.ts");
      const hook = `--import=data:text/javascript,${encodeURIComponent(preload)}`;
      const child = spawn(process.execPath, ["--conditions=@fila/source", hook, main, "--json"], {
        cwd: mkdtempSync(path.join(scratch, "run-")),
        stdio: ["ignore", "pipe", "pipe"],
        env: { FILA_SERVER_LISTEN_ADDR: "127.0.0.1:0", OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
      });
      t.after(() => child.kill("SIGKILL"));
      let errors = "";
      child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
      const ended = once(child, "close");
      const [greeting] = (await once(child.stdout, "data")) as [Buffer];
      const { url } = JSON.parse(greeting.toString()) as { url: string };
      assert.equal((await fetch(`${url}/metrics`)).status, 200);
      child.kill("SIGKILL");
      await ended;
      assert.equal(errors.includes("LOADED"), loaded);
    });
  }
});

describe("the log of a server", () => {
  it("holds nothing of what messages and headers carry, at the most verbose level", async (t) => {
    const mark = "S3CRET";
    let logged = "";
    const log = createLog({ level: "debug", write: (line) => (logged += line) });
    const { call } = await start(t, {}, log);
    const message = {
      queue: "orders",
      headers: { [`header-${mark}`]: `value-${mark}` },
      payload: Buffer.from(mark.repeat(10)).toString("base64"),
      fairnessKey: `key-${mark}`,
    };
    const credentials = { authorization: `Bearer ${mark}`, "x-api-key": mark, cookie: mark };
    await call("FilaAdmin/CreateQueue", { name: "orders" }, credentials);
    await call("FilaService/Enqueue", message, credentials);
    await call("FilaService/BatchEnqueue", { messages: [message, { ...message, queue: "none" }] }, credentials);
    await call("FilaService/Enqueue", { ...message, weight: 1e6 }, credentials);
    await call("FilaService/Enqueue", { ...message, [mark]: mark }, credentials);
    const { messages } = (await call("FilaService/Lease", { queue: "orders", workerId: mark }, credentials)) as {
      messages: { message: { id: string }; leaseToken: string }[];
    };
    const { message: leased, leaseToken } = messages[0]!;
    await call("FilaService/Nack", { queue: "orders", messageId: leased.id, leaseToken, error: mark }, credentials);
    await call("FilaAdmin/SetConfig", { key: "a", value: mark }, credentials);
    await call("FilaAdmin/CreateQueue", { name: "x", config: { onEnqueueScript: mark } }, credentials);
    await call("FilaAdmin/GetStats", { queue: "orders" }, credentials);
    await call("FilaAdmin/DeleteQueue", { queue: "orders" }, credentials);
    assert.match(logged, /"msg":"the broker serves"/);
    assert.equal(logged.match(/"msg":"admin call"/g)?.length, 5);
    for (const secret of [mark, Buffer.from(mark.repeat(2)).toString("base64").slice(0, 8), leaseToken]) {
      assert.ok(!logged.includes(secret), logged);
    }
    // None per message either.
    assert.doesNotMatch(logged, /Enqueue|Lease|Nack/);
  });
});
