// What somebody without a key gets to see, in the form of each protocol: whatever the body holds, and before it is there.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { Health } from "@fila/sdk/gen/grpc";
import { ruleOf } from "./authorization-table.ts";
import { admit } from "./caller.ts";
import { unauthenticated } from "./refusals.ts";
import { startGuarded } from "./testing/guarded-server.ts";

const garbage = Buffer.from([0, 0, 0, 0, 9, 255, 255, 255, 123]);
const noKey = () => unauthenticated("no key; send authorization: Bearer <key>");

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("error", () => {});
  stream.on("response", (got) => (headers = got));
  stream.on("trailers", (got: IncomingHttpHeaders) => (trailers = got));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return { headers, trailers, body: Buffer.concat(chunks) };
}

function open(t: TestContext, url: string) {
  const session = connect(url);
  session.on("error", () => {});
  t.after(() => session.destroy());
  return (path: string, contentType: string, method = "POST"): ClientHttp2Stream =>
    session.request({ ":method": method, ":path": path, "content-type": contentType }, { endStream: false });
}

/** The error of a Connect answer. */
function assertConnectError(json: Buffer, name: string): void {
  const { code, message, details } = JSON.parse(json.toString()) as {
    readonly code: string;
    readonly message: string;
    readonly details: readonly { readonly type: string; readonly value: string }[];
  };
  assert.equal(code, "unauthenticated", name);
  assert.match(message, /Bearer/, name);
  assert.equal(details[0]?.type, "google.rpc.ErrorInfo", name);
  assert.match(Buffer.from(details[0].value, "base64").toString("latin1"), /UNAUTHENTICATED.*fila/s, name);
}

function assertRefused(contentType: string, { headers, trailers, body }: Answer, name: string): void {
  if (contentType.startsWith("application/grpc")) {
    assert.equal(headers[":status"], 200, name);
    const { "grpc-status": status, "grpc-status-details-bin": details } = { ...headers, ...trailers };
    assert.equal(status, "16", name);
    assert.match(Buffer.from(String(details), "base64").toString("latin1"), /UNAUTHENTICATED.*fila/s, name);
    assert.equal(body.length, 0, name);
  } else if (contentType.startsWith("application/connect+")) {
    assert.equal(headers[":status"], 200, name);
    assert.equal(headers["content-type"], contentType, name);
    assert.equal(body[0], 2, `${name}: the end of the stream`);
    assert.equal(body.readUInt32BE(1), body.length - 5, name);
    const { error } = JSON.parse(body.subarray(5).toString()) as { error: unknown };
    assertConnectError(Buffer.from(JSON.stringify(error)), name);
  } else {
    assert.equal(headers[":status"], 401, name);
    assert.equal(headers["content-type"], "application/json", name);
    assertConnectError(body, name);
  }
}

const grpcTypes = [
  "application/grpc",
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpc-web+proto",
  "application/grpc-web-text",
];
const unaryTypes = ["application/proto", "application/json", "text/plain", ""];
const streamTypes = ["application/connect+proto", "application/connect+json"];

for (const service of [FilaService, FilaAdmin]) {
  describe(service.typeName, () => {
    for (const method of service.methods) {
      test(`${method.name} with a body that cannot be read, in every protocol`, async (t) => {
        const { url, asked } = await startGuarded(t, noKey);
        const request = open(t, url);
        const path = `/${service.typeName}/${method.name}`;
        const unary = method.methodKind === "unary";
        for (const contentType of [...grpcTypes, ...(unary ? unaryTypes : streamTypes)]) {
          const stream = request(path, contentType);
          stream.end(garbage);
          assertRefused(contentType, await answerOf(stream), `${path} ${contentType}`);
        }
        // What would be refused for another reason is not looked at either.
        const read = request(path, "", "GET");
        read.end();
        assertRefused("", await answerOf(read), `GET ${path}`);
        const response = await fetch(url + path, { method: "POST", body: garbage });
        assert.equal(response.status, 401);
        assertConnectError(Buffer.from(await response.arrayBuffer()), `${path} over HTTP/1.1`);
        assert.deepEqual(asked, []);
      });
    }
  });
}

test("the answer waits for no body, and a body without end is not waited for", async (t) => {
  const { url } = await startGuarded(t, noKey);
  const request = open(t, url);
  const refused = async (contentType: string): Promise<void> => {
    const stream = request("/fila.v1.FilaService/StreamEnqueue", contentType);
    stream.write(garbage);
    // Only the server can close it: this side never ends.
    const closed = once(stream, "close");
    assertRefused(contentType, await answerOf(stream), contentType);
    await closed;
  };
  await Promise.all(["application/grpc", "application/grpc-web+proto", "application/connect+json"].map(refused));
});

test("probes are not asked who they are, everybody else is", () => {
  const asked: string[] = [];
  const caller = (path: string) =>
    admit(
      ruleOf(path)!,
      () => {
        asked.push(path);
        return noKey();
      },
      {},
      1,
    );
  for (const { name } of Health.methods) assert.ok("connection" in caller(`/grpc.health.v1.Health/${name}`), name);
  assert.ok("connection" in caller("/healthz"));
  assert.ok("connection" in caller("/readyz"));
  assert.deepEqual(asked, []);
  const guarded = ["v1", "v1alpha"].map((v) => `/grpc.reflection.${v}.ServerReflection/ServerReflectionInfo`);
  for (const path of [...guarded, "/metrics"]) assert.ok("reason" in caller(path), path);
  assert.deepEqual(asked, [...guarded, "/metrics"]);
});
