// What the port tells of the calls that it served: reports for who counts, and audit lines.
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { createClient } from "@connectrpc/connect";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { failure } from "../core/errors.ts";
import { createLog } from "../telemetry/log.ts";
import type { LogLevel } from "../telemetry/log.ts";
import { anonymous } from "./access/principal.ts";
import type { CallReport } from "./hot/hot-path.ts";
import type { RpcOptions } from "./rpc-server.ts";
import { startFixture } from "./testing/rpc-fixture.ts";
import type { RpcFixture } from "./testing/rpc-fixture.ts";
import { transports } from "./testing/transports.ts";

interface Counted extends RpcFixture {
  /** Resolves with the next reports, method and code of each, in any order. */
  readonly next: (count: number) => Promise<string[]>;
}

async function startCounted(t: TestContext, options: Partial<RpcOptions> = {}): Promise<Counted> {
  const reports: string[] = [];
  let wake = (): void => undefined;
  const onCall = ({ method, code, durationMs }: CallReport): void => {
    assert.ok(durationMs >= 0);
    reports.push(`${method} ${code}`);
    wake();
  };
  const fixture = await startFixture(t, { ...options, onCall });
  const next = async (count: number): Promise<string[]> => {
    while (reports.length < count) await new Promise<void>((resolve) => (wake = resolve));
    return reports.splice(0, count).sort();
  };
  return { ...fixture, next };
}

async function failed(call: Promise<unknown> | AsyncIterable<unknown>): Promise<void> {
  await assert.rejects(async () => {
    if (call instanceof Promise) await call;
    else for await (const _ of call);
  });
}

for (const [name, connect] of Object.entries(transports)) {
  describe(`calls over ${name}`, () => {
    it("are reported once, with their status", async (t) => {
      const { url, next, broker } = await startCounted(t);
      const admin = createClient(FilaAdmin, connect(url));
      const fila = createClient(FilaService, connect(url));
      await admin.createQueue({ name: "orders" });
      await failed(admin.createQueue({ name: "orders" }));
      await fila.enqueue({ queue: "orders" });
      await failed(fila.enqueue({ queue: "none" }));
      await failed(fila.consume({ queue: "none" }));
      await failed(admin.redrive({}));
      assert.deepEqual(await next(6), [
        "Consume 5",
        "CreateQueue 0",
        "CreateQueue 6",
        "Enqueue 0",
        "Enqueue 5",
        "Redrive 3",
      ]);
      const leaving = new AbortController();
      const stream = fila.consume({ queue: "orders" }, { signal: leaving.signal });
      const gone = failed(stream);
      while (broker.queues.get("orders")!.consumers.size === 0) await new Promise((resolve) => setImmediate(resolve));
      leaving.abort();
      await gone;
      assert.deepEqual(await next(1), ["Consume 1"]);
    });
  });
}

describe("reports", () => {
  it("come for what is no call of the contract, and for callers that are not admitted", async (t) => {
    const authenticate: RpcOptions["authenticate"] = (headers) =>
      headers.authorization === "let me in" ? anonymous : failure("UNAUTHENTICATED", "who are you?");
    const { url, next } = await startCounted(t, { authenticate });
    const post = (path: string, type: string): Promise<Response> =>
      fetch(url + path, { method: "POST", headers: { "content-type": type, authorization: "let me in" }, body: "{}" });
    await post("/fila.v1.FilaAdmin/Nonsense", "application/json");
    await post("/fila.v1.FilaAdmin/ListQueues", "text/plain");
    await post("/fila.v1.FilaAdmin/ListQueues", "application/json");
    assert.deepEqual(await next(3), ["ListQueues 0", "ListQueues 3", "unknown 12"]);
    const fila = createClient(FilaService, transports["gRPC"]!(url));
    await failed(fila.enqueue({ queue: "orders" }));
    await failed(createClient(FilaAdmin, transports["gRPC"]!(url)).listQueues({}));
    assert.deepEqual(await next(2), ["Enqueue 16", "ListQueues 16"]);
  });

  it("and counts of what is open go down again", async (t) => {
    const { rpc, open, url } = await startCounted(t);
    assert.deepEqual(rpc.open(), { connections: 0, streams: 0 });
    const fila = createClient(FilaService, transports["gRPC"]!(url));
    const leaving = new AbortController();
    await createClient(FilaAdmin, transports["Connect over HTTP/1.1"]!(url)).createQueue({ name: "orders" });
    const stream = fila.consume({ queue: "orders" }, { signal: leaving.signal });
    const gone = failed(stream);
    while (rpc.open().streams === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(rpc.open().connections >= 1);
    leaving.abort();
    await gone;
    while (rpc.open().streams > 0) await new Promise((resolve) => setImmediate(resolve));
    const before = rpc.open().connections;
    const socket = await open();
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(socket, "data");
    assert.equal(rpc.open().connections, before + 1);
    socket.destroy();
    while (rpc.open().connections > before) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("the audit log", () => {
  async function startAudited(t: TestContext, level: LogLevel, options: Partial<RpcOptions> = {}) {
    const lines: Record<string, unknown>[] = [];
    const log = createLog({ level, write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
    const { url } = await startFixture(t, { ...options, log });
    const said = (): unknown[] => lines.splice(0).map(({ time: _, ...rest }) => rest);
    return { admin: createClient(FilaAdmin, transports["Connect over HTTP/2"]!(url)), said };
  }

  it("has one line per admin call: who, what, on what, with which result; no values", async (t) => {
    const { admin, said } = await startAudited(t, "info");
    const config = { onEnqueueScript: "s3cret script" };
    await admin.createQueue({ name: "orders" });
    await failed(admin.createQueue({ name: "orders" }));
    await failed(admin.createQueue({ name: "scripted", config }));
    await admin.setConfig({ key: "a.b", value: "s3cret" });
    for await (const _ of admin.redriveMessages({ dlqQueue: "orders.dlq", dryRun: true }));
    await admin.getStats({ queue: "orders" });
    await admin.deleteQueue({ queue: "orders" });
    const call = { level: "info", principal: "anonymous", msg: "admin call" };
    const lines = said();
    assert.deepEqual(lines, [
      { ...call, method: "CreateQueue", queue: "orders", result: "ok" },
      { ...call, method: "CreateQueue", queue: "orders", result: "QUEUE_EXISTS" },
      { ...call, method: "CreateQueue", queue: "scripted", result: "SCRIPT_INVALID" },
      { ...call, method: "SetConfig", config_key: "a.b", result: "ok" },
      { ...call, method: "RedriveMessages", queue: "orders.dlq", count: 0, dry_run: true, result: "ok" },
      { ...call, method: "DeleteQueue", queue: "orders", result: "ok" },
    ]);
    assert.doesNotMatch(JSON.stringify(lines), /s3cret/);
  });

  it("has those that only read at the level debug, and those denied at warn, with their principal", async (t) => {
    const open = await startAudited(t, "debug");
    await open.admin.listQueues({});
    assert.deepEqual(open.said(), [
      { level: "debug", principal: "anonymous", msg: "admin call", method: "ListQueues", result: "ok" },
    ]);
    const nobody = { ...anonymous, id: "key-1", unrestricted: false, allows: () => false, holds: () => false };
    const closed = await startAudited(t, "info", { authenticate: () => nobody });
    await failed(closed.admin.getStats({ queue: "orders" }));
    const denied = { level: "warn", principal: "key-1", msg: "admin call denied", method: "GetStats" };
    assert.deepEqual(closed.said(), [{ ...denied, queue: "orders", result: "PERMISSION_DENIED" }]);
  });
});
