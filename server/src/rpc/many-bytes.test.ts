// Large and hostile traffic on one connection.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { defaultServerLimits } from "./server-limits.ts";
import { readToEnd, startFixture } from "./testing/rpc-fixture.ts";

const MiB = 1024 * 1024;

it("carries many messages of 1 MiB at once, both ways", async (t) => {
  const { url, broker } = await startFixture(t);
  await broker.createQueue("q", {});
  const fila = createClient(FilaService, createGrpcTransport({ baseUrl: url }));
  const payload = Buffer.alloc(MiB, "x");
  const count = 32;
  await Promise.all(Array.from({ length: count }, () => fila.enqueue({ queue: "q", payload })));
  const abort = new AbortController();
  let received = 0;
  await assert.rejects(async () => {
    for await (const { message } of fila.consume({ queue: "q" }, { signal: abort.signal })) {
      received += message?.payload.length ?? 0;
      if (received === count * MiB) abort.abort();
    }
  });
  assert.equal(received, count * MiB);
});

it("closes a connection that opens and resets streams without end, and serves the others", async (t) => {
  const { url } = await startFixture(t);
  const hostile = connectHttp2(url);
  hostile.on("error", () => {});
  t.after(() => hostile.destroy());
  const closed = new Promise((resolve) => hostile.once("close", resolve));
  const attack = (): void => {
    for (let i = 0; i < 500 && !hostile.closed && !hostile.destroyed; i++) {
      const stream = hostile.request({
        ":method": "POST",
        ":path": "/fila.v1.FilaAdmin/ListQueues",
        "content-type": "application/grpc",
      });
      stream.on("error", () => {});
      stream.close(8);
    }
    if (!hostile.destroyed) setImmediate(attack);
  };
  attack();
  await closed;
  const admin = createClient(FilaAdmin, createGrpcTransport({ baseUrl: url }));
  assert.deepEqual((await admin.listQueues({})).queues, []);
});

it("refuses streams beyond the limit of a connection", async (t) => {
  const { url, broker } = await startFixture(t);
  await broker.createQueue("q", {});
  const session = connectHttp2(url);
  session.on("error", () => {});
  t.after(() => session.destroy());
  const [settings] = (await once(session, "remoteSettings")) as [{ maxConcurrentStreams: number }];
  assert.equal(settings.maxConcurrentStreams, 1000);
});

it("ends a connection of HTTP/1 on which more requests wait for their answers than may", async (t) => {
  const limits = { ...defaultServerLimits, maxConcurrentStreams: 3 };
  const { open, broker } = await startFixture(t, { limits });
  await broker.createQueue("q", { visibilityMs: 30_000, initialBackoffMs: 0 });
  const request = (method: string, body: string): string =>
    `POST /fila.v1.${method} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n` +
    `content-length: ${body.length}\r\n\r\n${body}`;
  const polite = await open();
  const answers = readToEnd(polite);
  polite.write(
    request("FilaAdmin/ListQueues", "{}").repeat(2) +
      request("FilaAdmin/ListQueues", "{}").replace("\r\n", "\r\nconnection: close\r\n"),
  );
  assert.equal((await answers).match(/HTTP\/1\.1 200 /g)?.length, 3);
  const greedy = await open();
  const answer = readToEnd(greedy);
  greedy.write(request("FilaService/Lease", '{"queue":"q","waitMs":"60000"}').repeat(4));
  assert.equal(await answer, "");
});
