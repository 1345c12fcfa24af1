// Streams of the server over plain HTTP/1.1: what a client without HTTP/2 has of Consume.
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import { describe, test } from "node:test";
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import { ConsumeRequestSchema, ConsumeResponseSchema } from "@fila/sdk/gen";
import type { ConsumeResponse } from "@fila/sdk/gen";
import { type Scope, ServerProcess } from "./server-process.ts";

const QUEUE = "orders";
const MiB = 1024 * 1024;

interface Format {
  readonly contentType: string;
  readonly encode: (queue: string) => Uint8Array;
  readonly decode: (bytes: Buffer) => ConsumeResponse;
  /** What the flags of the last envelope have set; it holds the status. */
  readonly endFlag: number;
  /** The bodies are base64; each chunk of the answer stands on its own. */
  readonly base64?: boolean;
}

const request = (queue: string) => create(ConsumeRequestSchema, { queue });
const binary = {
  encode: (queue: string) => toBinary(ConsumeRequestSchema, request(queue)),
  decode: (bytes: Buffer) => fromBinary(ConsumeResponseSchema, bytes),
};
const json = {
  encode: (queue: string) => Buffer.from(toJsonString(ConsumeRequestSchema, request(queue))),
  decode: (bytes: Buffer) => fromJsonString(ConsumeResponseSchema, bytes.toString()),
};
const formats: readonly Format[] = [
  { contentType: "application/connect+json", ...json, endFlag: 2 },
  { contentType: "application/connect+proto", ...binary, endFlag: 2 },
  { contentType: "application/grpc-web+proto", ...binary, endFlag: 0x80 },
  { contentType: "application/grpc-web+json", ...json, endFlag: 0x80 },
  { contentType: "application/grpc-web-text+proto", ...binary, endFlag: 0x80, base64: true },
];

/** One Consume over a connection of its own. */
class Stream {
  readonly response: IncomingMessage;
  readonly #format: Format;
  readonly #chunks: AsyncIterator<Buffer>;
  #read: Buffer = Buffer.alloc(0);

  private constructor(response: IncomingMessage, format: Format) {
    this.response = response;
    this.#format = format;
    this.#chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Resolves when the response headers are there. */
  static async open(scope: Scope, { url }: ServerProcess, format: Format, queue = QUEUE): Promise<Stream> {
    const message = format.encode(queue);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const call = httpRequest(`${url}/fila.v1.FilaService/Consume`, {
      method: "POST",
      agent: false,
      headers: { "content-type": format.contentType },
    });
    call.on("error", () => undefined);
    scope.after(async () => void call.destroy());
    const body = Buffer.concat([head, message]);
    call.end(format.base64 === true ? body.toString("base64") : body);
    const [response] = (await once(call, "response")) as [IncomingMessage];
    response.on("error", () => undefined);
    return new Stream(response, format);
  }

  async next(): Promise<ConsumeResponse> {
    const { flags, data } = await this.#envelope();
    assert.equal(flags, 0, data.toString());
    return this.#format.decode(data);
  }

  /** The status that ends the stream, as text. */
  async end(): Promise<string> {
    const { flags, data } = await this.#envelope();
    assert.equal(flags, this.#format.endFlag, data.toString());
    assert.equal((await this.#chunks.next()).done, true);
    return data.toString();
  }

  leave(): void {
    this.response.destroy();
  }

  async #envelope(): Promise<{ flags: number; data: Buffer }> {
    const head = await this.#bytes(5);
    return { flags: head[0]!, data: await this.#bytes(head.readUInt32BE(1)) };
  }

  async #bytes(count: number): Promise<Buffer> {
    const parts = [this.#read];
    for (let have = this.#read.length; have < count;) {
      const { done, value } = await this.#chunks.next();
      assert.ok(done !== true, "the stream ended without a status");
      const bytes = this.#format.base64 === true ? fromBase64(value.toString()) : value;
      parts.push(bytes);
      have += bytes.length;
    }
    const all = Buffer.concat(parts);
    this.#read = all.subarray(count);
    return all.subarray(0, count);
  }
}

/** Of one or more messages, each with its padding. */
function fromBase64(text: string): Buffer {
  return Buffer.concat((text.match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, "base64")));
}

for (const format of formats) {
  describe(`Consume over HTTP/1.1 as ${format.contentType}`, () => {
    test("answers at subscription, delivers, and redelivers what was nacked", async (t) => {
      const server = await ServerProcess.start(t);
      await server.ok("FilaAdmin/CreateQueue", { name: QUEUE });
      const stream = await Stream.open(t, server, format);
      assert.equal(stream.response.statusCode, 200);
      assert.equal(stream.response.httpVersion, "1.1");
      assert.equal(stream.response.headers["content-type"], format.contentType);
      assert.equal((await stream.next()).message, undefined);
      const { messageId } = await server.ok("FilaService/Enqueue", { queue: QUEUE, payload: "aGVsbG8=" });
      const { message } = await stream.next();
      assert.equal(message?.id, messageId);
      assert.equal(Buffer.from(message?.payload ?? []).toString(), "hello");
      await server.ok("FilaService/Nack", { queue: QUEUE, messageId, error: "again" });
      assert.equal((await stream.next()).message?.metadata?.attemptCount, 1);
      await server.ok("FilaService/Ack", { queue: QUEUE, messageId });
      assert.equal((await server.stats(QUEUE)).depth, 0);
    });

    test("ends with the reason: no such queue, a deleted queue, a broker that stops", async (t) => {
      const server = await ServerProcess.start(t);
      assert.match(await (await Stream.open(t, server, format, "none")).end(), notFound(format));
      await server.ok("FilaAdmin/CreateQueue", { name: QUEUE });
      const deleted = await Stream.open(t, server, format);
      await deleted.next();
      await server.ok("FilaAdmin/DeleteQueue", { queue: QUEUE });
      assert.match(await deleted.end(), notFound(format));
      await server.ok("FilaAdmin/CreateQueue", { name: QUEUE });
      const stopped = await Stream.open(t, server, format);
      await stopped.next();
      const exit = server.stop();
      assert.match(await stopped.end(), /unavailable|grpc-status: 14/);
      assert.equal(await exit, 0);
    });
  });
}

function notFound({ endFlag }: Format): RegExp {
  return endFlag === 2 ? /"not_found".*QUEUE_NOT_FOUND/s : /grpc-status: 5\r\n/;
}

describe("a client of HTTP/1.1 that goes away", () => {
  const format = formats[1]!;

  test("gives back at once, without an attempt, what was not written to it", async (t) => {
    // Far more than the buffers of a connection hold: whoever does not read keeps it from being written.
    const env = { FILA_LIMITS_MAX_MESSAGE_BYTES: String(16 * MiB), FILA_LIMITS_READ_MAX_BYTES: String(20 * MiB) };
    const server = await ServerProcess.start(t, { env });
    await server.ok("FilaAdmin/CreateQueue", { name: QUEUE });
    const gone = await Stream.open(t, server, format);
    await gone.next();
    const payload = new Uint8Array(16 * MiB).fill(7);
    await server.clients("grpc").service.enqueue({ queue: QUEUE, payload });
    await server.until(
      () => server.stats(QUEUE),
      ({ inFlight }) => inFlight === 1,
    );
    const next = await Stream.open(t, server, format);
    await next.next();
    gone.leave();
    const { message } = await next.next();
    assert.equal(message?.payload.length, payload.length);
    assert.equal(message?.metadata?.attemptCount, 0);
  });

  test("takes an attempt of what it has read", async (t) => {
    const server = await ServerProcess.start(t);
    await server.ok("FilaAdmin/CreateQueue", { name: QUEUE });
    const gone = await Stream.open(t, server, format);
    await gone.next();
    const { messageId } = await server.ok("FilaService/Enqueue", { queue: QUEUE, payload: "aGVsbG8=" });
    assert.equal((await gone.next()).message?.id, messageId);
    const next = await Stream.open(t, server, format);
    await next.next();
    gone.leave();
    const { message } = await next.next();
    assert.equal(message?.id, messageId);
    assert.equal(message?.metadata?.attemptCount, 1);
  });
});
