// Consume, Ack and Nack of the fixed wire, as clients of any language that know no tokens use them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Message } from "@fila/sdk/gen";
import { type Scope, ServerProcess } from "./server-process.ts";

const QUEUE = "orders";

type Clients = ReturnType<ServerProcess["clients"]>;

class Subscription {
  /** Resolves when the response headers are there. */
  readonly headers: Promise<Headers>;
  readonly #responses: AsyncIterator<{ message?: Message | undefined }>;
  #next: Promise<Message>;

  constructor(scope: Scope, { service }: Clients, queue = QUEUE) {
    const headers = Promise.withResolvers<Headers>();
    const abort = new AbortController();
    const options = { signal: abort.signal, onHeader: (received: Headers) => headers.resolve(received) };
    this.#responses = service.consume({ queue }, options)[Symbol.asyncIterator]();
    this.headers = headers.promise;
    // Asked for at once: the call begins with it.
    this.#next = this.#read();
    this.#next.catch(() => undefined);
    scope.after(async () => abort.abort());
  }

  /** The next message; rejects with the stream's error. */
  async next(): Promise<Message> {
    const message = await this.#next;
    this.#next = this.#read();
    this.#next.catch(() => undefined);
    return message;
  }

  /** The error that the stream ends with, when nothing more is delivered. */
  async end(): Promise<ConnectError> {
    return this.#next.then(
      (message) => assert.fail(`message ${message.id} came`),
      (error: unknown) => ConnectError.from(error),
    );
  }

  async #read(): Promise<Message> {
    for (;;) {
      const { done, value } = await this.#responses.next();
      if (done === true) throw new Error("the stream ended without an error");
      // Responses without a message carry no delivery.
      if (value.message !== undefined) return value.message;
    }
  }
}

for (const protocol of ["grpc", "connect"] as const) {
  describe(`Consume over ${protocol}`, () => {
    test("sends its headers at subscription, and a nacked message again on the same stream", async (t) => {
      const server = await ServerProcess.start(t);
      const clients = server.clients(protocol);
      await clients.admin.createQueue({ name: QUEUE });
      const stream = new Subscription(t, clients);
      assert.match((await stream.headers).get("content-type") ?? "", new RegExp(protocol));
      const { messageId } = await clients.service.enqueue({ queue: QUEUE, payload: Buffer.from("a") });
      const first = await stream.next();
      assert.equal(first.id, messageId);
      assert.deepEqual([first.metadata?.attemptCount, first.metadata?.queueId], [0, QUEUE]);
      assert.ok(first.timestamps?.enqueuedAt !== undefined && first.timestamps.leasedAt !== undefined);
      await clients.service.nack({ queue: QUEUE, messageId, error: "not now" });
      const second = await stream.next();
      assert.deepEqual([second.id, second.metadata?.attemptCount], [messageId, 1]);
      await clients.service.ack({ queue: QUEUE, messageId });
      assert.deepEqual(await server.stats(QUEUE), { depth: 0, inFlight: 0, activeConsumers: 1 });
      await assert.rejects(clients.service.ack({ queue: QUEUE, messageId }), { code: Code.NotFound });
      await assert.rejects(clients.service.nack({ queue: QUEUE, messageId }), { code: Code.NotFound });
    });

    test("fails at once on an unknown queue, and with the queue when that is deleted", async (t) => {
      const server = await ServerProcess.start(t);
      const clients = server.clients(protocol);
      assert.equal((await new Subscription(t, clients, "nobody").end()).code, Code.NotFound);
      await clients.admin.createQueue({ name: QUEUE });
      const stream = new Subscription(t, clients);
      await stream.headers;
      await clients.admin.deleteQueue({ queue: QUEUE });
      assert.equal((await stream.end()).code, Code.NotFound);
    });

    test("lets a client hold 100 messages before its first ack, and no more than 128", async (t) => {
      const server = await ServerProcess.start(t);
      const clients = server.clients(protocol);
      await clients.admin.createQueue({ name: QUEUE });
      const messages = Array.from({ length: 200 }, (_, at) => ({ queue: QUEUE, payload: Buffer.from([at]) }));
      await clients.service.batchEnqueue({ messages });
      const stream = new Subscription(t, clients);
      const held: Message[] = [];
      while (held.length < 100) held.push(await stream.next());
      while (held.length < 128) held.push(await stream.next());
      assert.deepEqual(await server.stats(QUEUE), { depth: 200, inFlight: 128, activeConsumers: 1 });
      for (const { id } of held.splice(0)) await clients.service.ack({ queue: QUEUE, messageId: id });
      while (held.length < 72) held.push(await stream.next());
      assert.deepEqual(
        held.map(({ payload }) => payload[0]),
        Array.from({ length: 72 }, (_, at) => at + 128),
      );
    });
  });
}
