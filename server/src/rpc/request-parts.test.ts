import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BatchEnqueueRequestSchema, EnqueueRequestSchema } from "@fila/sdk/gen";
import fc from "fast-check";
import { partsFailure } from "./request-parts.ts";
import { startFixture } from "./testing/rpc-fixture.ts";

const SERVICE = "/fila.v1.FilaService/";

function envelope(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** So many empty messages: two bytes each. */
function empties(count: number): Buffer {
  return Buffer.alloc(count * 2, Buffer.from([0x0a, 0]));
}

function headers(count: number): Uint8Array {
  const all = Object.fromEntries(Array.from({ length: count }, (_, at) => [String(at), ""]));
  return toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, { queue: "q", headers: all }));
}

const forms: readonly (readonly [string, (message: Uint8Array) => Buffer])[] = [
  ["application/proto", (message) => Buffer.from(message)],
  ["application/grpc-web+proto", envelope],
  ["application/grpc-web-text", (message) => Buffer.from(envelope(message).toString("base64"))],
];

describe("parts of a request in protobuf", () => {
  for (const [contentType, dress] of forms) {
    it(`are bounded as ${contentType}`, async (t) => {
      const { url, broker } = await startFixture(t);
      await broker.createQueue("q", { visibilityMs: 30_000, initialBackoffMs: 0 });
      const call = async (method: string, message: Uint8Array): Promise<string> => {
        const response = await fetch(url + SERVICE + method, {
          method: "POST",
          headers: { "content-type": contentType },
          body: new Uint8Array(dress(message)),
        });
        const text = await response.text();
        // The details of gRPC are bytes, and its message is percent-encoded; the text form is base64 on top of that.
        const plain = contentType.includes("text") ? Buffer.from(text, "base64").toString() : text;
        return decodeURIComponent(
          `${plain} ${response.headers.get("grpc-message") ?? ""}`.replaceAll(/%(?![\dA-F]{2})/g, ""),
        );
      };
      assert.match(
        await call("BatchEnqueue", empties(200_000)),
        /more than 131072 messages, headers and keys; send less/,
      );
      assert.match(await call("Enqueue", headers(140_000)), /more than 131072 messages, headers and keys; send less/);
      // What is less meets the limits of the methods.
      assert.match(await call("BatchEnqueue", empties(100_000)), /holds 100000 messages; send at most 10000/);
      assert.match(await call("Enqueue", headers(65)), /more than 64 headers/);
      assert.match(await call("Enqueue", headers(64)), /0190b5a0/);
    });
  }

  it("are counted as what the library makes of them", () => {
    const message = fc.record({
      queue: fc.string(),
      headers: fc.dictionary(fc.string(), fc.string(), { maxKeys: 5 }),
      throttleKeys: fc.array(fc.string(), { maxLength: 5 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
        const bytes = toBinary(BatchEnqueueRequestSchema, create(BatchEnqueueRequestSchema, { messages }));
        const parts = messages.reduce(
          (sum, each) => sum + 1 + Object.keys(each.headers).length + each.throttleKeys.length,
          0,
        );
        assert.equal(partsFailure(bytes, BatchEnqueueRequestSchema, parts), undefined);
        if (parts > 0) assert.match(partsFailure(bytes, BatchEnqueueRequestSchema, parts - 1)!.message, /more than/);
      }),
    );
  });

  it("pass no bytes that the library reads and the count does not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        if (partsFailure(bytes, BatchEnqueueRequestSchema, 2) !== undefined) return;
        let read;
        try {
          read = fromBinary(BatchEnqueueRequestSchema, bytes);
        } catch {
          return;
        }
        assert.ok(read.messages.length <= 2);
      }),
    );
  });
});
