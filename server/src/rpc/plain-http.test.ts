// What somebody with curl, or a client of another language with a mistake in it, gets to see.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { requestThenReset } from "./testing/raw-frames.ts";
import { readToEnd, startFixture } from "./testing/rpc-fixture.ts";

const CREATE = "/fila.v1.FilaAdmin/CreateQueue";
const LIST = "/fila.v1.FilaAdmin/ListQueues";
const ENQUEUE = "/fila.v1.FilaService/Enqueue";
const BATCH = "/fila.v1.FilaService/BatchEnqueue";

interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly debug: Record<string, unknown> }[];
}

interface Answer {
  readonly status: number;
  readonly error: ErrorBody;
  readonly reason: unknown;
}

async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
    ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
  });
  return answerOf(response);
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  assert.equal(response.headers.get("content-type"), "application/json", text);
  const error = JSON.parse(text) as ErrorBody;
  return { status: response.status, error, reason: error.details[0]?.debug["reason"] };
}

/** One request over HTTP/2: what came in headers and trailers, and the body. */
async function http2(t: TestContext, url: string, headers: OutgoingHttpHeaders, body: string | Buffer) {
  const session = connectHttp2(url);
  t.after(() => session.destroy());
  const stream = session.request({ ":method": "POST", ...headers });
  const received: IncomingHttpHeaders = {};
  stream.on("response", (head) => Object.assign(received, head));
  stream.on("trailers", (trailers) => Object.assign(received, trailers));
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.end(body);
  await once(stream, "close");
  return { headers: received, body: Buffer.concat(chunks) };
}

describe("plain JSON", () => {
  it("creates a queue, enqueues and leases", async (t) => {
    const { url } = await startFixture(t);
    const call = async (procedure: string, body: unknown): Promise<unknown> => {
      const response = await fetch(`${url}/fila.v1.${procedure}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      assert.equal(response.status, 200);
      return response.json();
    };
    assert.deepEqual(await call("FilaAdmin/CreateQueue", { name: "orders" }), { queueId: "orders" });
    const enqueued = await call("FilaService/Enqueue", { queue: "orders", payload: "aGVsbG8=", headers: { a: "b" } });
    const { messages } = (await call("FilaService/Lease", { queue: "orders" })) as {
      messages: { message: { id: string; payload: string; headers: unknown } }[];
    };
    assert.equal(messages[0]?.message.payload, "aGVsbG8=");
    assert.deepEqual({ messageId: messages[0].message.id }, enqueued);
    assert.deepEqual(messages[0].message.headers, { a: "b" });
  });

  it("says what is wrong with JSON that does not parse", async (t) => {
    const { url } = await startFixture(t);
    for (const [body, message] of [
      ["{", /JSON/],
      ["[]", /CreateQueueRequest/],
      ['{"name": 5}', /name/],
      ['{"config":{"visibilityTimeoutMs":"soon"}}', /visibility_timeout_ms|visibilityTimeoutMs/],
    ] as const) {
      const { status, error, reason } = await post(url + CREATE, body);
      assert.equal(status, 400);
      assert.equal(error.code, "invalid_argument");
      assert.equal(reason, "INVALID_REQUEST");
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /node_modules|\n/);
    }
  });

  it("names a field that does not exist, and those that do", async (t) => {
    const { url, broker } = await startFixture(t);
    await broker.createQueue("q", {});
    for (const [path, body, field, message] of [
      [
        CREATE,
        '{"nmae":"q"}',
        "nmae",
        /^fila\.v1\.CreateQueueRequest has no field "nmae"; its fields are name, config$/,
      ],
      [CREATE, '{"name":"a","config":{"visibility":1}}', "visibility", /QueueConfig .*visibilityTimeoutMs/],
      [LIST, '{"queue":"q"}', "queue", /ListQueuesRequest has no field "queue"/],
      [ENQUEUE, '{"queue":"q","fairnesKey":"a"}', "fairnesKey", /fairnessKey/],
      ["/grpc.health.v1.Health/List", '{"a":1}', "a", /it has none/],
    ] as const) {
      const { status, error, reason } = await post(url + path, body);
      assert.equal(status, 400);
      assert.equal(reason, "INVALID_REQUEST");
      assert.match(error.message, message);
      assert.match(JSON.stringify(error.details[1]?.debug), new RegExp(`"field":"${field}"`));
    }
    assert.equal(broker.queues.size, 1);
    assert.equal(broker.queues.get("q")?.waiting.length, 0);
    const long = await post(url + LIST, `{"${"x".repeat(1_000_000)}":1}`);
    assert.ok(long.error.message.length < 1000);
    const quoted = await post(url + CREATE, `{"name":["${"x".repeat(1_000_000)}"]}`);
    assert.equal(quoted.reason, "INVALID_REQUEST");
    assert.ok(quoted.error.message.length < 1000, quoted.error.message.slice(0, 1000));
  });

  it("takes the names of fields in both spellings, and null for what is not set", async (t) => {
    const { url, broker } = await startFixture(t);
    await broker.createQueue("q", {});
    for (const body of ['{"queue":"q","fairness_key":"a"}', '{"queue":"q","fairnessKey":"a","weight":null}']) {
      const response = await fetch(url + ENQUEUE, {
        method: "POST",
        headers: { "content-type": "application/json; charset=utf-8" },
        body,
      });
      assert.equal(response.status, 200, await response.text());
    }
    assert.deepEqual(
      broker.queues.get("q")?.waiting.map(({ item }) => item.fairnessKey),
      ["a", "a"],
    );
  });

  it("holds a message of the largest size and no more than a batch", async (t) => {
    const { url, broker } = await startFixture(t);
    await broker.createQueue("q", {});
    const payload = Buffer.alloc(1024 * 1024).toString("base64");
    const headers = Object.fromEntries(
      Array.from({ length: 64 }, (_, i) => [`${i}`.padStart(64, "{"), "\u0001".repeat(64)]),
    );
    const largest = await fetch(url + ENQUEUE, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ queue: "q", payload, headers }),
    });
    assert.equal(largest.status, 200, await largest.text());
    const batch = JSON.stringify({
      messages: Array(10_000).fill({ queue: "q", headers: { a: "b" }, throttleKeys: ["t"] }),
    });
    const full = await fetch(url + BATCH, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: batch,
    });
    assert.equal(full.status, 200);
    await full.arrayBuffer();
    assert.equal(broker.queues.get("q")?.waiting.length, 10_001);
    for (const [body, expected, message] of [
      [`{"messages":[${"{},".repeat(70_000)}{}]}`, "INVALID_REQUEST", /70003 objects and lists .*65536; send less/],
      ["[".repeat(100_000), "INVALID_REQUEST", /100000 objects and lists/],
      [" ".repeat(2.5 * 1024 * 1024), "MESSAGE_TOO_LARGE", /2621440 bytes of JSON, .*2446680; send less/],
    ] as const) {
      const { reason, error } = await post(url + BATCH, body);
      assert.equal(reason, expected);
      assert.match(error.message, message);
    }
  });

  it("is valid UTF-8", async (t) => {
    const { url } = await startFixture(t);
    const { status, error } = await post(url + CREATE, Buffer.from('{"name":"\xff"}', "latin1"));
    assert.equal(status, 400);
    assert.match(error.message, /not valid UTF-8/);
  });

  it("shows its details in plain text", async (t) => {
    const { url } = await startFixture(t);
    const { error } = await post(url + CREATE, '{"name":""}');
    assert.equal(error.code, "invalid_argument");
    const [info, badRequest] = error.details;
    assert.deepEqual(info?.debug, { reason: "INVALID_QUEUE_NAME", domain: "fila" });
    assert.equal(badRequest?.type, "google.rpc.BadRequest");
    assert.match(JSON.stringify(badRequest.debug), /"field":"name"/);
  });

  it("refuses half of a surrogate pair as a name", async (t) => {
    const { url } = await startFixture(t);
    const { status, reason } = await post(url + CREATE, '{"name":"\\ud800"}');
    assert.equal(status, 400);
    assert.match(String(reason), /^INVALID_/);
  });

  it("explains what it does not serve", async (t) => {
    const { url } = await startFixture(t);
    const unknown = await post(`${url}/fila.v1.FilaAdmin/Nothing?a=b`, "{}");
    assert.equal(unknown.status, 404);
    assert.equal(unknown.error.code, "unimplemented");
    assert.equal(unknown.reason, "NOT_IMPLEMENTED");
    assert.match(unknown.error.message, /FilaAdmin\/Nothing/);
    const root = await post(`${url}/`, "{}");
    assert.equal(root.status, 404);
    assert.equal(root.reason, "NOT_IMPLEMENTED");
    const form = await post(url + LIST, "a=b", { "content-type": "application/x-www-form-urlencoded" });
    assert.equal(form.status, 415);
    assert.match(form.error.message, /content-type: application\/json/);
    const plain = await post(`${url}/fila.v1.FilaService/Consume`, "{}");
    assert.equal(plain.status, 415);
    assert.match(plain.error.message, /by Consume; for JSON send "content-type: application\/connect\+json"/);
    const get = await answerOf(await fetch(url + LIST));
    assert.equal(get.status, 405);
    assert.match(get.error.message, /POST/);
    const bidi = await post(`${url}/fila.v1.FilaService/StreamLease`, "{}", {
      "content-type": "application/connect+json",
    });
    assert.equal(bidi.status, 505);
    assert.match(bidi.error.message, /HTTP\/2/);
  });

  it("answers HEAD over HTTP/2 with headers, and resets nothing", async (t) => {
    const { url } = await startFixture(t);
    const session = connectHttp2(url);
    t.after(() => session.destroy());
    for (const [path, status] of [
      ["/", 200],
      ["/nothing", 404],
      [LIST, 405],
    ] as const) {
      // Many at once: what is reset may lose its headers, or not.
      const answers = Array.from({ length: 100 }, async () => {
        const stream = session.request({ ":method": "HEAD", ":path": path });
        let answered: unknown;
        stream.on("response", (headers) => (answered = headers[":status"]));
        stream.on("error", () => {});
        stream.resume();
        await once(stream, "close");
        return [answered, stream.rstCode];
      });
      for (const answer of await Promise.all(answers)) assert.deepEqual(answer, [status, 0]);
    }
  });

  it("refuses compression, and never inflates", async (t) => {
    const { url } = await startFixture(t);
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const { status, reason, error } = await post(url + CREATE, bomb, { "content-encoding": "gzip" });
    assert.equal(status, 501);
    assert.equal(reason, "NOT_IMPLEMENTED");
    assert.match(error.message, /^unknown compression "gzip": .* send requests uncompressed$/);
  });

  it("refuses what is too large before it has all of it, announced or not", async (t) => {
    const { url } = await startFixture(t, { readMaxBytes: 1024 });
    for (const body of ["x".repeat(2000), new Blob(["x".repeat(2000)]).stream()]) {
      const { reason, error } = await post(url + CREATE, body);
      assert.equal(reason, "MESSAGE_TOO_LARGE");
      assert.match(error.message, /1024/);
    }
  });

  it("streams Consume over HTTP/1.1", async (t) => {
    const { url, broker } = await startFixture(t);
    await broker.createQueue("q", {});
    const request = Buffer.from('{"queue":"q"}');
    const head = Buffer.alloc(5);
    head.writeUInt32BE(request.length, 1);
    const response = await fetch(`${url}/fila.v1.FilaService/Consume`, {
      method: "POST",
      headers: { "content-type": "application/connect+json" },
      body: Buffer.concat([head, request]),
    });
    assert.equal(response.status, 200);
    const reader = response.body!.getReader();
    // The empty response that opens the stream.
    assert.deepEqual(
      Buffer.from((await reader.read()).value)
        .subarray(5)
        .toString(),
      "{}",
    );
    await fetch(`${url}/fila.v1.FilaService/Enqueue`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"queue":"q","payload":"aGVsbG8="}',
    });
    assert.match(Buffer.from((await reader.read()).value).toString(), /"payload":"aGVsbG8="/);
    await reader.cancel();
  });
});

describe("mistakes over gRPC", () => {
  const grpc = (path: string): OutgoingHttpHeaders => ({
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const envelope = (message: string): Buffer => {
    const bytes = Buffer.from(message, "latin1");
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };
  const reason = (headers: IncomingHttpHeaders): string =>
    Buffer.from(String(headers["grpc-status-details-bin"]), "base64").toString("latin1");

  it("answers an unknown procedure with UNIMPLEMENTED", async (t) => {
    const { url } = await startFixture(t);
    const { headers } = await http2(t, url, grpc("/fila.v2.Fila/X"), envelope(""));
    assert.equal(headers[":status"], 200);
    assert.equal(headers["grpc-status"], "12");
    assert.match(reason(headers), /NOT_IMPLEMENTED/);
  });

  it("answers bytes that are no message with INVALID_ARGUMENT", async (t) => {
    const { url } = await startFixture(t);
    for (const path of [CREATE, "/fila.v1.FilaService/Enqueue"]) {
      const { headers } = await http2(t, url, grpc(path), envelope("\x0a\xff\xff\xff\xff\x0f"));
      assert.equal(headers["grpc-status"], "3", String(headers["grpc-message"]));
      assert.match(reason(headers), /INVALID_REQUEST/);
    }
  });

  it("answers a compression that it does not know with UNIMPLEMENTED", async (t) => {
    const { url } = await startFixture(t);
    const { headers } = await http2(t, url, { ...grpc(CREATE), "grpc-encoding": "gzip" }, envelope(""));
    assert.equal(headers["grpc-status"], "12");
    assert.match(reason(headers), /NOT_IMPLEMENTED/);
  });

  it("knows what is no message from what it does not have, and keeps it out of its log", async (t) => {
    const { url, logged } = await startFixture(t);
    for (const body of [Buffer.alloc(0), Buffer.from([1, 0, 0, 0, 0])]) {
      const { headers } = await http2(t, url, grpc(CREATE), body);
      assert.equal(headers["grpc-status"], "3", String(headers["grpc-message"]));
      assert.match(reason(headers), /INVALID_REQUEST/);
    }
    assert.deepEqual(logged, []);
  });

  it("takes the longest time limit that can be written", async (t) => {
    const { url } = await startFixture(t);
    const { headers } = await http2(t, url, { ...grpc(LIST), "grpc-timeout": "99999999H" }, envelope(""));
    assert.equal(headers["grpc-status"], "0", String(headers["grpc-message"]));
  });

  it("survives a stream that is reset in the middle of a request", async (t) => {
    const fixture = await startFixture(t);
    const session = connectHttp2(fixture.url);
    t.after(() => session.destroy());
    for (let i = 0; i < 20; i++) {
      const stream = session.request({
        ":method": "POST",
        ...grpc(i % 2 === 0 ? CREATE : "/fila.v1.FilaService/Enqueue"),
      });
      stream.on("error", () => {});
      stream.write("\0\0\0");
      stream.close(8);
      await once(stream, "close");
    }
    const { headers } = await http2(t, fixture.url, grpc(LIST), envelope(""));
    assert.equal(headers["grpc-status"], "0");
    assert.deepEqual(fixture.logged, []);
  });
});

describe("clients that leave", () => {
  it("are not taken at half their word", async (t) => {
    const { url, broker, open } = await startFixture(t);
    await broker.createQueue("kept", {});
    const gone = new Promise<void>((resolve) => {
      broker.onConnections = (count) => count === 0 && resolve();
    });
    for (const [path, part] of [
      // What has been sent is a whole message, but perhaps not the one that was meant: the rest was to come.
      [CREATE, "\x0a\x01q"],
      ["/fila.v1.FilaAdmin/DeleteQueue", "\x0a\x04kept"],
      ["/fila.v1.FilaService/Enqueue", "\x0a\x04kept"],
    ] as const) {
      const socket = await open();
      socket.write(requestThenReset(path, "application/proto", Buffer.from(part, "latin1")));
      // The settings of the server, then its answer to ours: by then it has read what came with them.
      await once(socket, "data");
      socket.end();
    }
    await gone;
    const response = await fetch(`${url}${LIST}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    const { queues } = (await response.json()) as { queues: { name: string }[] };
    assert.deepEqual(
      queues.map(({ name }) => name),
      ["kept"],
    );
    assert.equal(broker.queues.get("kept")?.waiting.length, 0);
  });

  it("leave nothing in the log, whatever they call and however they reset it", async (t) => {
    const fixture = await startFixture(t);
    await fixture.broker.createQueue("q", {});
    const session = connectHttp2(fixture.url);
    t.after(() => session.destroy());
    // A ping before that is cancelled at once, and tells nothing.
    await once(session, "connect");
    const lease = '{"queue":"q","waitMs":"60000"}';
    const envelope = (json: string): string => `\0\0\0\0${String.fromCharCode(json.length)}${json}`;
    for (const [method, type, body] of [
      ["Lease", "application/json", lease],
      ["Lease", "application/grpc+json", envelope(lease)],
      ["Consume", "application/connect+json", envelope('{"queue":"q"}')],
      ["StreamEnqueue", "application/connect+json", envelope('{"queue":"q"}')],
      ["StreamLease", "application/connect+json", envelope('{"subscribe":{"queue":"q"}}')],
      ["StreamLease", "application/grpc+json", envelope('{"subscribe":{"queue":"q"}}')],
    ] as const) {
      for (const [code, sent] of [0, 1, 2, 8].flatMap((each) =>
        [body, body.slice(0, 7)].map((x) => [each, x] as const),
      )) {
        const stream = session.request({
          ":method": "POST",
          ":path": `/fila.v1.FilaService/${method}`,
          "content-type": type,
        });
        stream.on("error", () => {});
        stream.write(sent);
        // By the answer the server has read what was sent before.
        await new Promise((resolve) => session.ping(resolve));
        stream.close(code);
        if (!stream.closed) await once(stream, "close");
      }
    }
    const gone = new Promise<void>((resolve) => {
      fixture.broker.onConnections = (count) => count === 0 && resolve();
    });
    session.destroy();
    await gone;
    await post(fixture.url + LIST, "{");
    assert.deepEqual(fixture.logged, []);
  });

  it("leave nothing in the log when they were refused and keep the rest to themselves", async (t) => {
    const { url, open, logged } = await startFixture(t, { readMaxBytes: 1024 });
    const socket = await open();
    socket.write(
      `POST ${CREATE} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{`,
    );
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /MESSAGE_TOO_LARGE/);
    socket.end();
    assert.equal(await readToEnd(socket), "");
    // By the answer to another the server has seen the end of the first.
    await post(url + LIST, "{}x");
    assert.deepEqual(logged, []);
  });

  it("cost nothing when they leave in the middle of an answer", async (t) => {
    const fixture = await startFixture(t);
    await fixture.broker.createQueue("q", {});
    const body = '{"queue":"q","waitMs":"60000"}';
    const gone = new Promise<void>((resolve) => {
      fixture.broker.onConnections = (open) => open === 0 && resolve();
    });
    const socket = await fixture.open();
    socket.write(
      `POST /fila.v1.FilaService/Lease HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`,
    );
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (fixture.broker.queues.get("q")?.consumers.size === 1) resolve();
        else setImmediate(look);
      };
      look();
    });
    socket.resetAndDestroy();
    await readToEnd(socket);
    await gone;
    assert.equal(fixture.broker.queues.get("q")?.consumers.size, 0);
    assert.deepEqual(fixture.logged, []);
  });
});
