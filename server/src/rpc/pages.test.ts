import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { failure } from "../core/errors.ts";
import { anonymous } from "./access/principal.ts";
import { defaultServerLimits } from "./server-limits.ts";
import { readToEnd, startFixture } from "./testing/rpc-fixture.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

type Ask = (
  t: TestContext,
  url: string,
  method: string,
  path: string,
  headers?: IncomingHttpHeaders,
) => Promise<Answer>;

const versions: Readonly<Record<string, Ask>> = {
  async "HTTP/1.1"(_t, url, method, path, headers = {}) {
    const request = httpRequest(url, { method, path, headers: { ...headers }, agent: false });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  },
  async "HTTP/2"(t, url, method, path, headers = {}) {
    const session = connectHttp2(url);
    t.after(() => session.destroy());
    const stream = session.request({ ":method": method, ":path": path, ...headers });
    let text = "";
    let received: IncomingHttpHeaders = {};
    stream.on("response", (head) => (received = head));
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    stream.end();
    await once(stream, "close");
    return { status: Number((received as Record<string, unknown>)[":status"]), headers: received, text };
  },
};

for (const [version, ask] of Object.entries(versions)) {
  describe(`pages over ${version}`, () => {
    it("say that the broker is alive, whatever its state", async (t) => {
      const { url, broker } = await startFixture(t);
      for (const state of ["serving", "readonly", "draining"] as const) {
        broker.become(state);
        const { status, headers, text } = await ask(t, url, "GET", "/healthz?verbose");
        assert.equal(status, 200);
        assert.equal(text, "ok\n");
        assert.match(String(headers["content-type"]), /^text\/plain/);
        assert.equal(headers["cache-control"], "no-store");
      }
    });

    it("say whether it takes calls, and why not", async (t) => {
      const { url, broker } = await startFixture(t);
      assert.equal((await ask(t, url, "GET", "/readyz")).status, 200);
      for (const state of ["starting", "readonly", "draining", "stopped"] as const) {
        broker.become(state);
        const { status, text } = await ask(t, url, "GET", "/readyz");
        assert.equal(status, 503);
        assert.match(text, new RegExp(`^${state}[^\n]*\n$`));
      }
      broker.become("serving");
      assert.equal((await ask(t, url, "GET", "/readyz")).status, 200);
    });

    it("answer HEAD like GET without the text, and nothing else", async (t) => {
      const { url } = await startFixture(t);
      const head = await ask(t, url, "HEAD", "/healthz");
      assert.equal(head.status, 200);
      assert.equal(head.headers["content-length"], "3");
      assert.equal(head.text, "");
      for (const path of ["/healthz", "/readyz", "/metrics"]) {
        for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
          const { status, headers } = await ask(t, url, method, path);
          assert.equal(status, 405, `${method} ${path}`);
          assert.equal(headers["allow"], "GET, HEAD");
        }
      }
    });

    it("tell a person what this port is", async (t) => {
      const { url, broker } = await startFixture(t);
      const root = await ask(t, url, "GET", "/");
      assert.equal(root.status, 200);
      assert.match(root.text, /Fila message broker. It is ready/);
      assert.ok(root.text.includes(`curl ${url}/fila.v1.FilaAdmin/ListQueues -H`), root.text);
      broker.become("readonly");
      assert.match((await ask(t, url, "GET", "/")).text, /It is not ready \(readonly: /);
      const elsewhere = await ask(t, url, "GET", "/favicon.ico");
      assert.equal(elsewhere.status, 404);
      assert.match(elsewhere.text, /"GET \/"/);
      // The library's answers stay for procedures, and for whatever is called.
      assert.equal((await ask(t, url, "GET", "/fila.v1.FilaAdmin/ListQueues")).status, 405);
      assert.match((await ask(t, url, "POST", "/favicon.ico")).text, /"unimplemented"/);
    });

    it("quote no host that is none", async (t) => {
      const { url } = await startFixture(t);
      const name = version === "HTTP/2" ? ":authority" : "host";
      const { text } = await ask(t, url, "GET", "/", { [name]: "a';reboot;'" });
      assert.doesNotMatch(text, /reboot/);
      assert.match(text, /curl http:\/\/127\.0\.0\.1:5555\//);
    });

    it("show metrics as they are given, with their content type", async (t) => {
      const contentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
      const { url } = await startFixture(t, { metrics: async () => ({ contentType, body: "fila_up 1\n" }) });
      const { status, headers, text } = await ask(t, url, "GET", "/metrics");
      assert.equal(status, 200);
      assert.equal(headers["content-type"], contentType);
      assert.equal(text, "fila_up 1\n");
    });

    it("say what to do when there are no metrics", async (t) => {
      const { url } = await startFixture(t);
      const { status, text } = await ask(t, url, "GET", "/metrics");
      assert.equal(status, 404);
      assert.match(text, /telemetry\.metrics = true/);
    });

    it("ask a key of who reads metrics, and of no probe", async (t) => {
      const { url } = await startFixture(t, {
        metrics: async () => ({ contentType: "text/plain", body: "secret 1\n" }),
        authenticate: ({ authorization }) =>
          authorization === "Bearer right" ? anonymous : failure("UNAUTHENTICATED", "send a key"),
      });
      const refused = await ask(t, url, "GET", "/metrics");
      assert.equal(refused.status, 401);
      assert.equal(refused.headers["www-authenticate"], "Bearer");
      assert.equal(refused.text, "send a key\n");
      const { status, text } = await ask(t, url, "GET", "/metrics", { authorization: "Bearer right" });
      assert.equal(status, 200);
      assert.equal(text, "secret 1\n");
      for (const path of ["/", "/healthz", "/readyz"]) assert.equal((await ask(t, url, "GET", path)).status, 200);
    });
  });
}

describe("metrics", () => {
  const ask = versions["HTTP/1.1"]!;

  it("are read once for all who ask meanwhile, and anew after that", async (t) => {
    const readings: PromiseWithResolvers<string>[] = [];
    const { open } = await startFixture(t, {
      async metrics() {
        const reading = Promise.withResolvers<string>();
        readings.push(reading);
        return { contentType: "text/plain", body: await reading.promise };
      },
    });
    const socket = await open();
    const answers = readToEnd(socket);
    const readingsReach = async (count: number): Promise<void> => {
      while (readings.length < count) await new Promise((resolve) => setImmediate(resolve));
    };
    // Both are read off the connection before either is answered.
    socket.write("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2));
    await readingsReach(1);
    readings[0]!.resolve("a 1\n");
    await once(socket, "data");
    socket.write("GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    await readingsReach(2);
    readings[1]!.resolve("a 2\n");
    assert.deepEqual((await answers).match(/^a \d$/gm), ["a 1", "a 1", "a 2"]);
    assert.equal(readings.length, 2);
  });

  it("that fail or never come keep nobody waiting, and tell nothing", async (t) => {
    let fail = true;
    const { url, logged } = await startFixture(t, {
      limits: { ...defaultServerLimits, bodyTimeoutMs: 20 },
      metrics: () => (fail ? Promise.reject(new Error("secret")) : new Promise(() => {})),
    });
    for (const each of [true, false]) {
      fail = each;
      const { status, text } = await ask(t, url, "GET", "/metrics");
      assert.equal(status, 500);
      assert.doesNotMatch(text, /secret/);
    }
    assert.match(logged.join(""), /metrics could not be read[^]*secret/);
  });
});
