import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { describe, it } from "node:test";
import { startFixture } from "./testing/rpc-fixture.ts";

const APP = "https://app.example.com";
const LIST = "/fila.v1.FilaAdmin/ListQueues";
const ENQUEUE = "/fila.v1.FilaService/Enqueue";
const CONSUME = "/fila.v1.FilaService/Consume";

function preflight(url: string, origin: string): Promise<Response> {
  return fetch(url, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,authorization,x-grpc-web",
    },
  });
}

const corsHeaders = (headers: Headers): string[] =>
  [...headers.keys()].filter((name) => name.startsWith("access-control-") || name === "vary");

const listed = (headers: Headers, name: string): string[] => (headers.get(name) ?? "").toLowerCase().split(", ").sort();

describe("pages of other origins", () => {
  it("are kept away by browsers unless their origin is configured", async (t) => {
    const { url } = await startFixture(t);
    for (const path of [LIST, ENQUEUE, CONSUME, "/healthz", "/"]) {
      const asked = await preflight(url + path, APP);
      assert.ok(!asked.ok, `${path}: ${asked.status}`);
      assert.deepEqual(corsHeaders(asked.headers), []);
      await asked.arrayBuffer();
    }
    const called = await fetch(url + LIST, {
      method: "POST",
      headers: { origin: APP, "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(called.status, 200);
    assert.deepEqual(corsHeaders(called.headers), []);
  });

  it("may ask before they call, for every path", async (t) => {
    const { url } = await startFixture(t, { corsOrigins: ["http://localhost:3000", APP] });
    for (const path of [LIST, ENQUEUE, CONSUME, "/grpc.health.v1.Health/Watch", "/healthz"]) {
      const { status, headers } = await preflight(url + path, APP);
      assert.equal(status, 204, path);
      assert.equal(headers.get("access-control-allow-origin"), APP);
      assert.equal(headers.get("vary"), "Origin");
      assert.equal(headers.get("access-control-allow-credentials"), null);
      assert.deepEqual(listed(headers, "access-control-allow-methods"), ["get", "head", "post"]);
      const allowed = listed(headers, "access-control-allow-headers");
      for (const name of [
        "content-type",
        "authorization",
        "connect-protocol-version",
        "connect-timeout-ms",
        "x-grpc-web",
        "x-user-agent",
        "grpc-timeout",
      ]) {
        assert.ok(allowed.includes(name), `${name} in ${allowed.join(" ")}`);
      }
    }
  });

  it("see of answers what the protocols need, errors and streams included", async (t) => {
    const { url, broker } = await startFixture(t, { corsOrigins: [APP] });
    await broker.createQueue("q", {});
    const frame = (json: string): string => `\0\0\0\0${String.fromCharCode(json.length)}${json}`;
    for (const [path, type, body, status] of [
      [LIST, "application/json", "{}", 200],
      [LIST, "application/json", "{", 400],
      [LIST, "text/plain", "", 415],
      [ENQUEUE, "application/json", '{"queue":"none"}', 404],
      [ENQUEUE, "application/proto", "", 400],
      [LIST, "application/grpc-web+proto", "\0\0\0\0\0", 200],
      [CONSUME, "application/connect+json", frame('{"queue":"q"}'), 200],
      ["/fila.v1.FilaService/None", "application/json", "{}", 404],
    ] as const) {
      const abort = new AbortController();
      const response = await fetch(url + path, {
        method: "POST",
        headers: { origin: APP, "content-type": type },
        body,
        signal: abort.signal,
      });
      assert.equal(response.status, status, `${path} ${type}`);
      assert.equal(response.headers.get("access-control-allow-origin"), APP);
      assert.equal(response.headers.get("vary"), "Origin");
      const exposed = listed(response.headers, "access-control-expose-headers");
      for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin"]) assert.ok(exposed.includes(name));
      abort.abort();
    }
    const ready = await fetch(`${url}/readyz`, { headers: { origin: APP } });
    assert.equal(ready.headers.get("access-control-allow-origin"), APP);
  });

  it("of other origins than the configured ones get nothing, and the operator a hint", async (t) => {
    const { url } = await startFixture(t, { corsOrigins: [APP] });
    for (const origin of ["https://app.example.com.evil.example", "http://app.example.com", "null", `${APP}:8443`]) {
      const asked = await preflight(url + ENQUEUE, origin);
      assert.equal(asked.status, 403);
      assert.deepEqual(corsHeaders(asked.headers), ["vary"]);
      assert.match(await asked.text(), /server\.cors_origins/);
    }
    // Caches learn that the answer depends on the origin even when none was sent.
    assert.equal((await fetch(`${url}/healthz`)).headers.get("vary"), "Origin");
  });

  it("are all welcome where all origins are configured", async (t) => {
    const { url } = await startFixture(t, { corsOrigins: ["*"] });
    for (const origin of [APP, "null"]) {
      const { status, headers } = await preflight(url + ENQUEUE, origin);
      assert.equal(status, 204);
      assert.equal(headers.get("access-control-allow-origin"), "*");
      assert.equal(headers.get("vary"), null);
    }
  });

  it("are answered by the hot methods over HTTP/2 too", async (t) => {
    const { url, broker } = await startFixture(t, { corsOrigins: [APP] });
    await broker.createQueue("q", {});
    const session = connectHttp2(url);
    t.after(() => session.destroy());
    const ask = async (headers: Record<string, string>, body: string): Promise<IncomingHttpHeaders> => {
      const stream = session.request({ ":path": ENQUEUE, origin: APP, ...headers });
      stream.end(body);
      const [received] = (await once(stream, "response")) as [IncomingHttpHeaders];
      stream.resume();
      if (!stream.closed) await once(stream, "close");
      return received;
    };
    const asked = await ask({ ":method": "OPTIONS", "access-control-request-method": "POST" }, "");
    assert.equal(asked[":status"], 204);
    assert.equal(asked["access-control-allow-origin"], APP);
    // Field 1 = "q".
    const called = await ask({ ":method": "POST", "content-type": "application/proto" }, "\x0a\x01q");
    assert.equal(called[":status"], 200);
    assert.equal(called["access-control-allow-origin"], APP);
    assert.equal(broker.queues.get("q")?.waiting.length, 1);
  });
});
