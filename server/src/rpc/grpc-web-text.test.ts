import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { EnqueueRequestSchema, EnqueueResponseSchema, ListQueuesResponseSchema } from "@fila/sdk/gen";
import fc from "fast-check";
import { withGrpcWebText } from "./grpc-web-text.ts";
import { startFixture } from "./testing/rpc-fixture.ts";

const ENQUEUE = "/fila.v1.FilaService/Enqueue";

function envelope(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

async function call(url: string, body: string, contentType = "application/grpc-web-text") {
  const response = await fetch(url, { method: "POST", headers: { "content-type": contentType }, body });
  const text = await response.text();
  const bytes = Buffer.concat((text.match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, "base64")));
  return { status: response.status, contentType: response.headers.get("content-type"), bytes, text };
}

describe("gRPC-Web as text", () => {
  it("carries calls and errors", async (t) => {
    const { url, broker } = await startFixture(t);
    await broker.createQueue("q", {});
    const body = (queue: string): string =>
      envelope(toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, { queue }))).toString("base64");
    for (const contentType of ["application/grpc-web-text", "application/grpc-web-text+proto"]) {
      const answer = await call(url + ENQUEUE, body("q"), contentType);
      assert.equal(answer.status, 200);
      assert.equal(answer.contentType, "application/grpc-web-text+proto");
      const end = 5 + answer.bytes.readUInt32BE(1);
      assert.match(fromBinary(EnqueueResponseSchema, answer.bytes.subarray(5, end)).messageId, /^[0-9a-f-]{36}$/);
      assert.match(answer.bytes.subarray(end + 5).toString(), /^grpc-status: 0\r\n/);
    }
    const failed = await call(url + ENQUEUE, body("none"));
    assert.equal(failed.bytes[0], 0x80);
    assert.match(failed.bytes.toString(), /grpc-status: 5\r\n/);
    const details = /grpc-status-details-bin: (\S+)/.exec(failed.bytes.toString())?.[1] ?? "";
    assert.match(Buffer.from(details, "base64").toString(), /QUEUE_NOT_FOUND/);
  });

  it("refuses what is not base64, and what is cut", async (t) => {
    const { url, logged } = await startFixture(t);
    for (const body of ["not base64!", "AAAAAA", "A===", "AAAA=AAA"]) {
      const { bytes, status } = await call(`${url}/fila.v1.FilaAdmin/ListQueues`, body);
      assert.equal(status, 200);
      assert.match(bytes.toString(), /grpc-status: 3\r\n/, body);
      assert.match(decodeURIComponent(bytes.toString("latin1")), /not base64/);
    }
    assert.deepEqual(logged, []);
  });

  it("keeps to the limit of a request", async (t) => {
    const { url } = await startFixture(t, { readMaxBytes: 200 * 1024 });
    const { bytes } = await call(url + ENQUEUE, envelope(Buffer.alloc(200 * 1024 + 1)).toString("base64"));
    const details = /grpc-status-details-bin: (\S+)/.exec(bytes.toString())?.[1] ?? "";
    assert.match(Buffer.from(details, "base64").toString(), /MESSAGE_TOO_LARGE/);
  });

  it("has an empty request as any other", async (t) => {
    const { url } = await startFixture(t);
    const { bytes } = await call(`${url}/fila.v1.FilaAdmin/ListQueues`, envelope(new Uint8Array()).toString("base64"));
    assert.equal(fromBinary(ListQueuesResponseSchema, bytes.subarray(5, 5 + bytes.readUInt32BE(1))).totalCount, 0n);
  });

  it("gives the library the same bytes, however they are cut and padded", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 5 }),
        fc.array(fc.nat(40), { maxLength: 8 }),
        async (messages, cuts) => {
          const text = messages.map((message) => Buffer.from(message).toString("base64")).join("");
          let received = Buffer.alloc(0);
          const handler = withGrpcWebText(async (request) => {
            assert.equal(request.header.get("content-type"), "application/grpc-web+proto");
            for await (const chunk of request.body as AsyncIterable<Uint8Array>)
              received = Buffer.concat([received, chunk]);
            return { status: 200 };
          });
          async function* body(): AsyncIterable<Uint8Array> {
            let at = 0;
            for (const cut of cuts) yield Buffer.from(text.slice(at, (at += cut)));
            yield Buffer.from(text.slice(at));
          }
          await handler(
            {
              httpVersion: "1.1",
              method: "POST",
              url: "http://a/b",
              header: new Headers({ "content-type": "application/grpc-web-text+proto" }),
              signal: new AbortController().signal,
              body: body(),
            },
            () => undefined,
          );
          assert.deepEqual(received, Buffer.concat(messages));
        },
      ),
    );
  });
});
