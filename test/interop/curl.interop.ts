// Plain curl: JSON over HTTP/1.1, and over cleartext HTTP/2.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { Readable } from "node:stream";
import { ServerProcess } from "../e2e/server-process.ts";
import { type CurlAnswer, CurlStream, again, curl, curlAll } from "./curl.ts";
import { suiteScope } from "./suite-scope.ts";

interface Delivered {
  readonly message: {
    readonly id: string;
    readonly payload: string;
    readonly metadata: { readonly attemptCount?: number };
  };
  readonly leaseToken: string;
}

const json = ["-H", "content-type: application/json"];
const hello = Buffer.from("hello").toString("base64");
const MiB = 1024 * 1024;

function refused({ status, headers, body }: CurlAnswer): {
  status: number;
  code: string;
  reason?: unknown;
  message: string;
} {
  assert.deepEqual(headers["content-type"], ["application/json"], body);
  const { code, message, details } = JSON.parse(body) as {
    code: string;
    message: string;
    details: { type: string; debug: { reason?: unknown } }[];
  };
  return { status, code, message, reason: details.find(({ type }) => type === "google.rpc.ErrorInfo")?.debug.reason };
}

for (const [name, version, options] of [
  ["HTTP/1.1", "1.1", ["--http1.1"]],
  ["cleartext HTTP/2", "2", ["--http2-prior-knowledge"]],
] as const) {
  describe(`curl over ${name}`, () => {
    const scope = suiteScope();
    let server: ServerProcess;
    const url = (procedure: string): string => `${server.url}/fila.v1.${procedure}`;
    const call = (procedure: string, request: unknown): Promise<CurlAnswer> =>
      curl([...options, ...json, "-d", JSON.stringify(request), url(procedure)]);
    const ok = async (procedure: string, request: unknown): Promise<Record<string, unknown>> => {
      const answer = await call(procedure, request);
      assert.equal(answer.status, 200, answer.body);
      assert.equal(answer.httpVersion, version);
      return JSON.parse(answer.body) as Record<string, unknown>;
    };
    before(async () => {
      server = await ServerProcess.start(scope);
    });

    test("creates a queue, enqueues, leases and settles", async () => {
      assert.deepEqual(await ok("FilaAdmin/CreateQueue", { name: "unary" }), { queueId: "unary" });
      const { messageId } = await ok("FilaService/Enqueue", { queue: "unary", payload: hello, headers: { a: "b" } });
      const { messages } = await ok("FilaService/Lease", { queue: "unary" });
      const [{ message, leaseToken }] = messages as [Delivered];
      assert.deepEqual([message.id, message.payload], [messageId, hello]);
      const settlements = [{ messageId, leaseToken, action: "SETTLEMENT_ACTION_ACK" }];
      assert.deepEqual(await ok("FilaService/Settle", { queue: "unary", settlements }), { results: [{}] });
      assert.equal((await server.stats("unary")).depth, 0);
    });

    test("gets errors as JSON with status, reason and remedy", async () => {
      const unknown = refused(await call("FilaService/Enqueue", { queue: "nobody" }));
      assert.deepEqual([unknown.status, unknown.code, unknown.reason], [404, "not_found", "QUEUE_NOT_FOUND"]);
      assert.match(unknown.message, /^queue "nobody" does not exist; create it/);
      const unnamed = refused(await call("FilaAdmin/CreateQueue", {}));
      assert.deepEqual([unnamed.status, unnamed.reason], [400, "INVALID_QUEUE_NAME"]);
      const garbled = refused(await curl([...options, ...json, "-d", "{", url("FilaService/Enqueue")]));
      assert.deepEqual([garbled.status, garbled.reason], [400, "INVALID_REQUEST"]);
      // What curl sends when it is told nothing.
      const form = refused(await curl([...options, "-d", "{}", url("FilaAdmin/ListQueues")]));
      assert.deepEqual([form.status, form.reason], [415, "INVALID_REQUEST"]);
      assert.match(form.message, /content-type: application\/json/);
      const elsewhere = refused(await call("FilaService/Nothing", {}));
      assert.deepEqual([elsewhere.status, elsewhere.reason], [404, "NOT_IMPLEMENTED"]);
    });

    test("consumes a stream as application/connect+json", async (t) => {
      await ok("FilaAdmin/CreateQueue", { name: "consumed" });
      for (const attempts of [0, 1]) {
        const stream = new CurlStream(t, [...options, url("FilaService/Consume")], { queue: "consumed" });
        if (attempts === 0) {
          await server.until(
            () => server.stats("consumed"),
            ({ activeConsumers }) => activeConsumers === 1,
          );
          await ok("FilaService/Enqueue", { queue: "consumed", payload: hello });
        }
        let { json: answer } = await stream.next();
        while (answer["message"] === undefined) ({ json: answer } = await stream.next());
        const { id, payload, metadata } = answer["message"] as Delivered["message"];
        assert.deepEqual([payload, metadata.attemptCount ?? 0], [hello, attempts]);
        if (attempts === 1) await ok("FilaService/Ack", { queue: "consumed", messageId: id });
        await stream.kill();
      }
      assert.equal((await server.stats("consumed")).depth, 0);
      const stream = new CurlStream(t, [...options, url("FilaService/Consume")], { queue: "nobody" });
      const { flags, json: end } = await stream.next();
      assert.deepEqual([flags, (end["error"] as { code: string }).code], [2, "not_found"]);
    });

    test("uploads a body whose length it does not know", async () => {
      await ok("FilaAdmin/CreateQueue", { name: "uploaded" });
      const body = JSON.stringify({ queue: "uploaded", payload: Buffer.alloc(300_000, "x").toString("base64") });
      const chunks = Readable.from((body.match(/.{1,50000}/gs) ?? []).map((part) => Buffer.from(part)));
      const answer = await curl([...options, ...json, "-X", "POST", "-T", "-", url("FilaService/Enqueue")], chunks);
      assert.equal(answer.status, 200, answer.body);
      const { messages } = await ok("FilaService/Lease", { queue: "uploaded" });
      assert.equal(Buffer.from((messages as [Delivered])[0].message.payload, "base64").length, 300_000);
    });

    test("uploads 1 MiB, and is told at once that more is too much", async () => {
      await ok("FilaAdmin/CreateQueue", { name: "large" });
      const args = [
        ...options,
        ...json,
        "-H",
        "expect: 100-continue",
        "--data-binary",
        "@-",
        url("FilaService/Enqueue"),
      ];
      const upload = (bytes: number): Promise<CurlAnswer> =>
        curl(args, JSON.stringify({ queue: "large", payload: Buffer.alloc(bytes, "x").toString("base64") }));
      const taken = await upload(MiB);
      assert.equal(taken.status, 200, taken.body);
      // Over the limit of a message; over that of a request; and so much that it cannot be under way all at once.
      for (const bytes of [MiB + 1, 5 * MiB, 40 * MiB]) {
        const { status, reason } = refused(await upload(bytes));
        assert.deepEqual([status, reason], [400, "MESSAGE_TOO_LARGE"]);
      }
      assert.equal((await server.stats("large")).depth, 1);
    });

    test("HEAD is answered like GET, without a body", async () => {
      for (const [path, status] of [
        ["/", 200],
        ["/nothing", 404],
        ["/fila.v1.FilaAdmin/ListQueues", 405],
        ["/fila.v1.FilaService/Enqueue", 405],
      ] as const) {
        const head = await curl([...options, "-I", server.url + path]);
        const get = await curl([...options, server.url + path]);
        assert.deepEqual([head.status, get.status], [status, status]);
        assert.ok(get.body !== "");
        assert.deepEqual(head.headers["content-length"], get.headers["content-length"]);
      }
    });

    test("asks /healthz, /readyz, /metrics and the root what they have to say", async () => {
      const page = async (path: string): Promise<string> => {
        const { status, headers, body } = await curl([...options, server.url + path]);
        assert.equal(status, 200, body);
        assert.match(headers["content-type"]?.[0] ?? "", /^text\/plain/);
        return body;
      };
      assert.equal(await page("/healthz"), "ok\n");
      assert.equal(await page("/readyz"), "ready\n");
      assert.match(await page("/"), /Fila message broker/);
    });

    test("asks for compression in vain, and reads the answer", async () => {
      const answer = await curl([...options, ...json, "--compressed", "-d", "{}", url("FilaAdmin/ListQueues")]);
      assert.equal(answer.status, 200);
      assert.ok("queues" in (JSON.parse(answer.body) as object));
    });
  });
}

// Not over cleartext HTTP/2: curl up to 7.88 breaks a connection there that it uses again, with any server.
describe("curl over HTTP/1.1 that goes on", () => {
  test("makes many requests over one connection, refused ones and HEAD among them", async (t) => {
    const server = await ServerProcess.start(t);
    await server.ok("FilaAdmin/CreateQueue", { name: "kept" });
    const url = `${server.url}/fila.v1.FilaService/Enqueue`;
    const one = [...json, "-d", JSON.stringify({ queue: "kept" }), url];
    const missing = [...json, "-d", JSON.stringify({ queue: "nobody" }), url];
    const answers = await curlAll([...one, ...again(missing), ...again(["-I", url]), ...again(one), ...again(one)]);
    assert.deepEqual(
      answers.map(({ status, connects }) => [status, connects]),
      [
        [200, 1],
        [404, 0],
        [405, 0],
        [200, 0],
        [200, 0],
      ],
    );
    assert.equal((await server.stats("kept")).depth, 3);
  });
});

describe("curl that asks to go on in HTTP/2", () => {
  test("gets its answer in HTTP/1.1", async (t) => {
    const server = await ServerProcess.start(t);
    const answer = await curl([
      "--http2",
      ...json,
      "-d",
      '{"name":"q"}',
      `${server.url}/fila.v1.FilaAdmin/CreateQueue`,
    ]);
    assert.deepEqual([answer.status, answer.httpVersion, answer.body], [200, "1.1", '{"queueId":"q"}']);
  });
});
