import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { defaultServerLimits } from "./server-limits.ts";
import { readToEnd, startFixture } from "./testing/rpc-fixture.ts";
import type { RpcFixture } from "./testing/rpc-fixture.ts";

const LIST = "/fila.v1.FilaAdmin/ListQueues";
const jsonRequest = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: fila\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n` +
  `connection: close\r\n\r\n${body}`;

function http2Session(t: TestContext, { url }: RpcFixture): ClientHttp2Session {
  const session = connectHttp2(url);
  session.on("error", () => {});
  t.after(() => session.destroy());
  return session;
}

/** Also by a reset: that is what a peer sees whose last bytes were not read any more. */
function closed(connection: ClientHttp2Session | Socket): Promise<unknown> {
  return new Promise((resolve) => connection.once("close", resolve));
}

/** Resolves when the broker has been told of so many open connections. */
function connectionsReach({ broker }: RpcFixture, wanted: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (open: number): void => {
      if (open === wanted) resolve();
    };
    broker.onConnections = look;
    look(broker.connections.size);
  });
}

async function stillServes(fixture: RpcFixture): Promise<void> {
  const response = await fetch(fixture.url + LIST, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  assert.equal(response.status, 200);
}

describe("listener: one port for every protocol", () => {
  it("serves HTTP/1.1 and HTTP/2", async (t) => {
    const fixture = await startFixture(t);
    await stillServes(fixture);
    const session = http2Session(t, fixture);
    const stream = session.request({ ":method": "POST", ":path": LIST, "content-type": "application/json" });
    stream.end("{}");
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    assert.equal(headers[":status"], 200);
  });

  it("decides when the first bytes come one by one", async (t) => {
    const fixture = await startFixture(t);
    const request = jsonRequest(LIST, "{}");
    for (const first of [1, 2, 3]) {
      const socket = await fixture.open();
      socket.setNoDelay();
      const answer = readToEnd(socket);
      for (const byte of request.slice(0, first)) await write(socket, byte);
      socket.write(request.slice(first));
      assert.match(await answer, /^HTTP\/1\.1 200 /);
    }
    const socket = await fixture.open();
    socket.setNoDelay();
    for (const byte of "PRI ") await write(socket, byte);
    socket.write("* HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // An empty SETTINGS frame; the server answers with its own.
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    const [frame] = (await once(socket, "data")) as [Buffer];
    assert.equal(frame[3], 4);
  });

  it("gives each connection a number and tells when it is gone", async (t) => {
    const fixture = await startFixture(t);
    const session = http2Session(t, fixture);
    await once(session, "connect");
    await connectionsReach(fixture, 1);
    const socket = await fixture.open();
    socket.write("GET ");
    await connectionsReach(fixture, 2);
    socket.destroy();
    await connectionsReach(fixture, 1);
    session.destroy();
    await connectionsReach(fixture, 0);
  });
});

/** Writes and lets the other side have a turn, so that chunks stay apart. */
async function write(socket: Socket, text: string): Promise<void> {
  await new Promise((resolve) => socket.write(text, resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

describe("listener: what is not a request", () => {
  for (const [name, bytes, expected] of [
    ["garbage", "\x00\x01\x02garbage\r\n\r\n", /^HTTP\/1\.1 400 Bad Request[^]*this is not HTTP/],
    ["TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", /^HTTP\/1\.1 400 [^]*this is TLS/],
    ["almost a preface", "PRIVATE stuff\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["huge headers", `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ["two lengths", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", /^HTTP\/1\.1 400 /],
  ] as const) {
    it(`answers ${name} with a clear refusal, and logs one line`, async (t) => {
      const fixture = await startFixture(t);
      const socket = await fixture.open();
      const answer = readToEnd(socket);
      socket.write(bytes, "latin1");
      assert.match(await answer, expected);
      assert.equal(fixture.logged.length, 1, fixture.logged.join(""));
      await stillServes(fixture);
    });
  }

  it("cannot be made to fill the log", async (t) => {
    // The second in which lines are left out never ends.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const fixture = await startFixture(t);
    for (const bytes of ["\x00garbage\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\xff".repeat(100)]) {
      for (let i = 0; i < 20; i++) {
        const socket = await fixture.open();
        const answer = readToEnd(socket);
        socket.write(bytes, "latin1");
        await answer;
      }
    }
    assert.equal(fixture.logged.length, 1);
    assert.match(fixture.logged[0]!, /refused what is not a request/);
    t.mock.timers.tick(1000);
    assert.equal(fixture.logged.length, 2);
    assert.match(fixture.logged[1]!, /http2 connection failed.*left_out=38/);
  });

  it("survives a broken HTTP/2 connection", async (t) => {
    const fixture = await startFixture(t);
    const socket = await fixture.open();
    const answer = readToEnd(socket);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\xff".repeat(100), "latin1");
    await answer;
    assert.equal(fixture.logged.length, 1, fixture.logged.join(""));
    await stillServes(fixture);
  });

  it("survives resets, and connections that say nothing", async (t) => {
    const fixture = await startFixture(t);
    for (const text of [
      "",
      "P",
      "POST / HT",
      jsonRequest(LIST, "{}").slice(0, -1),
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]) {
      const socket = await fixture.open();
      if (text !== "") await write(socket, text);
      socket.resetAndDestroy();
    }
    await stillServes(fixture);
    for (const text of ["", "P"]) {
      const socket = await fixture.open();
      const answer = readToEnd(socket);
      socket.end(text);
      assert.equal(await answer, "");
    }
    await stillServes(fixture);
  });

  it("survives a host that makes no URL", async (t) => {
    const fixture = await startFixture(t);
    const socket = await fixture.open();
    const answer = readToEnd(socket);
    socket.write(jsonRequest(LIST, "{}").replace("host: fila", "host: [//"));
    assert.match(await answer, /^HTTP\/1\.1 200 /);
  });
});

describe("listener: time limits", () => {
  // Not firstBytesTimeoutMs: on a loaded machine first bytes are late as well, and would be what is given up on.
  const quick = { ...defaultServerLimits, bodyTimeoutMs: 5, pingAfterMs: 5, pingTimeoutMs: 5 };

  it("gives up on a connection that does not say what it speaks", async (t) => {
    const fixture = await startFixture(t, { limits: { ...defaultServerLimits, firstBytesTimeoutMs: 5 } });
    const socket = await fixture.open();
    const answer = readToEnd(socket);
    socket.write("P");
    assert.equal(await answer, "");
  });

  it("gives up on half-sent requests of HTTP/1", async (t) => {
    const fixture = await startFixture(t, { limits: quick });
    const halves: [string, RegExp][] = [
      ["POST / HTTP/1.1\r\nhost: ", /^HTTP\/1\.1 408 /],
      // Its answer may have begun, and a second one would be read as a part of it.
      [jsonRequest(LIST, "{}").slice(0, -1), /^$/],
    ];
    for (const [half, expected] of halves) {
      const socket = await fixture.open();
      const answer = readToEnd(socket);
      socket.write(half);
      assert.match(await answer, expected);
    }
  });

  it("gives up on half-sent bodies of HTTP/2, and keeps the connection", async (t) => {
    const fixture = await startFixture(t, { limits: { ...quick, pingAfterMs: 60_000 } });
    const session = http2Session(t, fixture);
    const stream = session.request({ ":method": "POST", ":path": LIST, "content-type": "application/json" });
    stream.on("error", () => {});
    stream.write("{");
    await once(stream, "close");
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
    assert.equal(session.destroyed, false);
  });

  it("gives up on HTTP/2 clients that go on sending after their answer, and keeps the connection", async (t) => {
    const fixture = await startFixture(t, { limits: { ...defaultServerLimits, lateBodyMs: 5 } });
    const session = http2Session(t, fixture);
    const stream = session.request({
      ":method": "POST",
      ":path": "/fila.v1.FilaService/StreamEnqueue",
      "content-type": "application/connect+json",
    });
    let answer = "";
    stream.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    stream.write("\0\0\0\0\x01{");
    await once(stream, "close");
    assert.match(answer, /INVALID_REQUEST|invalid_argument/);
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    assert.equal(session.destroyed, false);
  });

  it("ends HTTP/2 connections whose peer gives no sign of life", async (t) => {
    const fixture = await startFixture(t, { limits: quick });
    const socket = await fixture.open();
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // It reads and never answers: neither SETTINGS nor PING.
    socket.resume();
    await closed(socket);
  });

  it("keeps quiet HTTP/2 connections whose peer answers", async (t) => {
    const fixture = await startFixture(t, { limits: { ...quick, pingTimeoutMs: 60_000 } });
    const session = http2Session(t, fixture);
    for (let i = 0; i < 3; i++) await once(session, "ping");
    assert.equal(session.destroyed, false);
  });

  it("closes HTTP/2 connections without a stream for long", async (t) => {
    const fixture = await startFixture(t, { limits: { ...quick, pingTimeoutMs: 60_000, idleSessionMs: 5 } });
    const session = http2Session(t, fixture);
    await closed(session);
  });
});

describe("listener: the end", () => {
  it("rejects when the port is taken", async (t) => {
    const other = createServer();
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    t.after(() => other.close());
    const { port } = other.address() as { port: number };
    await assert.rejects(startFixture(t, { port }), { code: "EADDRINUSE" });
  });

  it("closes a connection of HTTP/1 with the answer that was under way", async (t) => {
    // Longer than any test may take: the connection must not wait for a next request.
    const fixture = await startFixture(t, { limits: { ...defaultServerLimits, keepAliveMs: 3_600_000 } });
    const socket = await fixture.open();
    socket.write(
      jsonRequest("/grpc.health.v1.Health/Watch", "\0\0\0\0\x02{}")
        .replace("application/json", "application/connect+json")
        .replace("connection: close\r\n", ""),
    );
    await once(socket, "data");
    const rest = readToEnd(socket);
    const serverClosed = fixture.rpc.close(3_600_000);
    assert.match(await rest, /NOT_SERVING[^]*"unavailable"[^]*\r\n0\r\n\r\n$/);
    await serverClosed;
  });

  it("closes idle connections gracefully and stuck ones by force", async (t) => {
    const fixture = await startFixture(t);
    const idle = http2Session(t, fixture);
    await once(idle, "connect");
    const stuck = http2Session(t, fixture);
    const stream = stuck.request({ ":method": "POST", ":path": LIST, "content-type": "application/json" });
    stream.on("error", () => {});
    stream.write("{");
    await connectionsReach(fixture, 2);
    const undecided = await fixture.open();
    const kept = await fixture.open();
    kept.write(jsonRequest(LIST, "{}").replace("connection: close\r\n", ""));
    await once(kept, "data");
    const serverClosed = fixture.rpc.close(20);
    await Promise.all([closed(idle), closed(undecided), closed(kept), closed(stuck), serverClosed]);
    await assert.rejects(fetch(fixture.url + LIST));
  });
});
