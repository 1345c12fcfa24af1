// Real clients of both protocols against the hot path.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { Http2SessionManager, createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { EnqueueRequestSchema, ErrorInfoSchema, FilaService, SettlementAction } from "@fila/sdk/gen";
import type { StreamEnqueueRequestSchema, StreamLeaseRequestSchema } from "@fila/sdk/gen";
import { delivery, fakeId } from "./testing/fake-broker.ts";
import { startHotServer } from "./testing/hot-server.ts";

type EnqueueInit = MessageInitShape<typeof StreamEnqueueRequestSchema>;
type LeaseInit = MessageInitShape<typeof StreamLeaseRequestSchema>;

/** A request stream that the test feeds by hand. */
class Feed<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = [];
  #wake = Promise.withResolvers<unknown>();
  #ended = false;
  send(request: T): void {
    this.#waiting.push(request);
    this.#wake.resolve(undefined);
  }
  end(): void {
    this.#ended = true;
    this.#wake.resolve(undefined);
  }
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      while (this.#waiting.length > 0) yield this.#waiting.shift()!;
      if (this.#ended) return;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers<unknown>();
    }
  }
}

const body = (payload: string): Uint8Array => {
  const bytes = toBinary(
    EnqueueRequestSchema,
    create(EnqueueRequestSchema, { headers: { h: "v" }, payload: Buffer.from(payload) }),
  );
  return bytes;
};

/** The next response of a stream that has one. */
async function next<T>(responses: AsyncIterator<T, unknown>): Promise<T> {
  const result = await responses.next();
  assert.ok(result.done !== true, "the stream has ended");
  return result.value;
}

async function rejection(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ConnectError);
    return error;
  }
  throw new assert.AssertionError({ message: "the call succeeded" });
}

const transports = { grpc: createGrpcTransport, connect: createConnectTransport } as const;

for (const protocol of ["grpc", "connect"] as const) {
  describe(protocol, async () => {
    const server = await startHotServer();
    const sessionManager = new Http2SessionManager(server.url);
    const transport = transports[protocol]({
      baseUrl: server.url,
      httpVersion: "2",
      sessionManager,
      acceptCompression: [],
    });
    const client: Client<typeof FilaService> = createClient(FilaService, transport);
    after(async () => {
      assert.deepEqual(server.left, [], "everything went over the hot path");
      sessionManager.abort();
      await server.stop();
    });

    test("Enqueue", async () => {
      const { messageId } = await client.enqueue({ queue: "q", payload: Buffer.alloc(500_000, 1), fairnessKey: "k" });
      assert.match(messageId, /^0190163d/);
      const item = server.broker.enqueued.at(-1)!;
      assert.equal(item.fairnessKey, "k");
      assert.ok(item.body.length > 500_000);
    });

    test("failures carry code, message and details", async () => {
      const error = await rejection(client.enqueue({ queue: "missing" }));
      assert.equal(error.code, Code.NotFound);
      assert.equal(error.rawMessage, 'queue "missing" does not exist; create it: 100% needed');
      const [info] = error.findDetails(ErrorInfoSchema);
      assert.equal(info?.reason, "QUEUE_NOT_FOUND");
      assert.equal(info.domain, "fila");
      assert.equal(info.metadata["queue"], "missing");
      const bad = await rejection(client.enqueue({ queue: "q", weight: 0 }));
      assert.equal(bad.code, Code.InvalidArgument);
    });

    test("a request over the limit is refused, and the connection goes on", async () => {
      const error = await rejection(client.enqueue({ queue: "q", payload: Buffer.alloc(5 * 1024 * 1024) }));
      assert.equal(error.code, Code.InvalidArgument);
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "MESSAGE_TOO_LARGE");
      await client.enqueue({ queue: "q" });
    });

    test("BatchEnqueue answers per message", async () => {
      const messages = [{ queue: "q" }, { queue: "missing" }, { queue: "" }, { queue: "q", cost: 0 }];
      const { results } = await client.batchEnqueue({ messages });
      const shown = results.map(({ result }) => (result.case === "error" ? result.value.reason : result.case));
      assert.deepEqual(shown, ["messageId", "QUEUE_NOT_FOUND", "INVALID_QUEUE_NAME", "INVALID_FIELD"]);
    });

    test("Ack, Nack and Settle", async () => {
      const token = Buffer.from("0102030405060708", "hex");
      await client.ack({ queue: "q", messageId: fakeId(1) });
      await client.nack({ queue: "q", messageId: fakeId(1), error: "why", leaseToken: token });
      const { results } = await client.settle({
        queue: "q",
        settlements: [
          { messageId: fakeId(1), leaseToken: token, action: SettlementAction.ACK },
          { messageId: fakeId(2), leaseToken: token, action: SettlementAction.EXTEND, extendMs: 5000n },
          { messageId: fakeId(3), leaseToken: token, action: SettlementAction.EXTEND, extendMs: 1n },
          { messageId: fakeId(4), action: SettlementAction.ACK },
          { messageId: fakeId(5), leaseToken: token },
          { messageId: fakeId(6), leaseToken: Buffer.from("x"), action: SettlementAction.RELEASE },
        ],
      });
      assert.deepEqual(
        results.map((r) => r.error?.reason),
        [undefined, undefined, "INVALID_FIELD", "TOKEN_REQUIRED", "INVALID_FIELD", "INVALID_FIELD"],
      );
      assert.equal(results[1]?.leaseExpiresAt?.seconds, 1_700_000_000n);
      const [ack, nack] = server.broker.settled;
      assert.deepEqual(ack?.items[0], { id: fakeId(1), token: undefined, action: "ack", error: "", extendMs: 0 });
      assert.deepEqual(nack?.items[0]?.token, { high: 0x01020304, low: 0x05060708 });
      assert.equal(nack.items[0].error, "why");
      assert.equal((await rejection(client.ack({ queue: "missing", messageId: "x" }))).code, Code.NotFound);
    });

    test("Lease: messages, an empty answer, a refusal", async () => {
      const opened = server.broker.nextConsumer();
      const call = client.lease({ queue: "q", maxMessages: 2, waitMs: 60_000n, workerId: "w" });
      const consumer = await opened;
      assert.equal(consumer.options.kind, "poll");
      assert.equal(consumer.options.credit, 2);
      consumer.sink.deliver([delivery(1, body("one")), delivery(2, body("two"))]);
      const { messages } = await call;
      assert.deepEqual(
        messages.map((m) => Buffer.from(m.message!.payload).toString()),
        ["one", "two"],
      );
      const [first] = messages;
      assert.equal(Buffer.from(first!.leaseToken).toString("hex"), "deadbeef00000001");
      assert.equal(first!.leaseExpiresAt?.nanos, 2_000_000);
      assert.equal(first!.message?.metadata?.fairnessKey, "tenant");
      assert.deepEqual(first!.message.metadata.throttleKeys, ["a", "b"]);
      assert.equal(first!.message.timestamps?.enqueuedAt?.nanos, 1_000_000);
      assert.equal(await consumer.closed.promise, 2, "its leases stand");

      const second = server.broker.nextConsumer();
      const empty = client.lease({ queue: "q", waitMs: 0n });
      assert.equal(await (await second).closed.promise, 0);
      assert.deepEqual((await empty).messages, []);

      assert.equal((await rejection(client.lease({ queue: "missing", waitMs: 60_000n }))).code, Code.NotFound);
      for (const wrong of [{ maxMessages: 1001 }, { waitMs: 60_001n }, { visibilityTimeoutMs: 999n }]) {
        assert.equal((await rejection(client.lease({ queue: "q", ...wrong }))).code, Code.InvalidArgument);
      }
    });

    test("Lease: a client that leaves before the answer gives nothing a lease", async () => {
      const opened = server.broker.nextConsumer();
      const abort = new AbortController();
      const call = rejection(client.lease({ queue: "q", waitMs: 60_000n }, { signal: abort.signal }));
      const consumer = await opened;
      abort.abort();
      assert.equal((await call).code, Code.Canceled);
      assert.equal(await consumer.closed.promise, 0);
    });

    test("a deadline ends the call on both sides", async () => {
      const opened = server.broker.nextConsumer();
      const call = rejection(client.lease({ queue: "q", waitMs: 60_000n }, { timeoutMs: 20 }));
      assert.equal((await call).code, Code.DeadlineExceeded);
      assert.equal(await (await opened).closed.promise, 0);
    });

    test("Consume: headers at once, one message a response, close at the end", async () => {
      const opened = server.broker.nextConsumer();
      const headers = Promise.withResolvers<unknown>();
      const abort = new AbortController();
      const stream = client.consume(
        { queue: "q" },
        { signal: abort.signal, onHeader: () => headers.resolve(undefined) },
      );
      const responses = stream[Symbol.asyncIterator]();
      const first = next(responses);
      const consumer = await opened;
      await headers.promise;
      const long = "x".repeat(200_000);
      consumer.sink.deliver([delivery(1, body("one")), delivery(2, body(long), { attempts: 3 })]);
      consumer.sink.deliver([delivery(3, body("three"))]);
      const got = [await first, await next(responses), await next(responses)];
      assert.equal(got[0]?.message?.id, fakeId(1));
      assert.equal(got[1]?.message?.payload.length, 200_000);
      assert.equal(got[1].message.metadata?.attemptCount, 3);
      assert.deepEqual({ ...got[2]?.message?.headers }, { h: "v" });
      await consumer.until(() => consumer.writtenOrdinal === 3);
      abort.abort();
      await rejection(responses.next());
      assert.equal(await consumer.closed.promise, 3);
    });

    test("Consume of a missing queue fails, and the broker can end it", async () => {
      const missing = client.consume({ queue: "missing" })[Symbol.asyncIterator]().next();
      assert.equal((await rejection(missing)).code, Code.NotFound);
      const opened = server.broker.nextConsumer();
      const next = client.consume({ queue: "q" })[Symbol.asyncIterator]().next();
      const consumer = await opened;
      consumer.sink.ended({ reason: "DRAINING", message: "bye", retryAfterMs: 10 });
      const error = await rejection(next);
      assert.equal(error.code, Code.Unavailable);
      assert.equal(error.rawMessage, "bye");
    });

    test("StreamEnqueue: many frames, results in order, errors per message", async () => {
      const feed = new Feed<EnqueueInit>();
      const responses = client.streamEnqueue(feed)[Symbol.asyncIterator]();
      server.broker.held = [];
      for (let frame = 1; frame <= 3; frame++) {
        feed.send({
          frame: BigInt(frame),
          queue: "q",
          messages: [{ payload: Buffer.from("x") }, { queue: "missing" }],
        });
      }
      feed.send({ frame: 2n ** 60n, messages: [{ queue: "" }] });
      const waiting = next(responses);
      while (server.broker.held.length < 3) await new Promise((resolve) => setImmediate(resolve));
      const held = server.broker.held;
      server.broker.held = undefined;
      for (const answer of held.reverse()) answer();
      const got = [await waiting, await next(responses), await next(responses)];
      assert.deepEqual(
        got.map((r) => r?.frame),
        [1n, 2n, 3n],
      );
      assert.deepEqual(
        got[2]?.results.map((r) => r.result.case),
        ["messageId", "error"],
      );
      const last = await next(responses);
      assert.equal(last?.frame, 2n ** 60n);
      assert.equal(last.results[0]?.result.case, "error");
      feed.end();
      assert.equal((await responses.next()).done, true);
    });

    test("StreamLease: subscribe, deliveries, settlements, lost, draining, end", async () => {
      const feed = new Feed<LeaseInit>();
      const opened = server.broker.nextConsumer();
      const responses = client.streamLease(feed)[Symbol.asyncIterator]();
      feed.send({ subscribe: { queue: "q", session: "s", workerId: "w" }, credit: 2 });
      const first = await next(responses);
      assert.equal(first?.subscribed?.visibilityTimeoutMs, 30_000n);
      const consumer = await opened;
      assert.equal(consumer.options.session, "s");
      assert.equal(consumer.credits, 2);
      consumer.sink.deliver([delivery(1, body("one")), delivery(2, body("two"))]);
      const { messages } = await next(responses);
      assert.deepEqual(
        messages.map((m) => m.message?.id),
        [fakeId(1), fakeId(2)],
      );
      await consumer.until(() => consumer.writtenOrdinal === 2);
      const settlements = messages.map((m, i) => ({
        messageId: m.message!.id,
        leaseToken: m.leaseToken,
        action: i === 0 ? SettlementAction.ACK : SettlementAction.EXTEND,
      }));
      feed.send({ credit: 5, settlementFrame: 9n, settlements: [...settlements, { messageId: "x" }] });
      const settled = (await next(responses)).settled[0]!;
      assert.equal(settled.settlementFrame, 9n);
      assert.deepEqual(
        settled.failures.map((f) => [f.index, f.error?.reason]),
        [[2, "TOKEN_REQUIRED"]],
      );
      assert.deepEqual(
        settled.extended.map((e) => e.index),
        [1],
      );
      assert.equal(consumer.credits, 7);
      feed.send({ credit: 3 });
      feed.send({ stop: true });
      await consumer.until(() => consumer.stops === 1);
      consumer.sink.stopped?.();
      assert.equal((await next(responses)).stopped, true);
      consumer.sink.lost([{ id: fakeId(2), token: { high: 0xdeadbeef, low: 2 } }]);
      consumer.sink.draining();
      const told = await next(responses);
      assert.equal(told.lost[0]?.messageId, fakeId(2));
      assert.equal(told.draining, true);
      feed.send({ settlementFrame: 10n, settlements });
      feed.end();
      assert.equal((await next(responses))?.settled[0]?.settlementFrame, 10n);
      assert.equal((await responses.next()).done, true);
      assert.equal(consumer.closedWith, 2);
    });

    test("StreamLease: what breaks its protocol ends it", async () => {
      const cases: LeaseInit[][] = [
        [{ credit: 1 }],
        [{ subscribe: { queue: "q" } }, { subscribe: { queue: "q" } }],
        [{ subscribe: { queue: "q", session: "s".repeat(65) } }],
        [{ subscribe: { queue: "q", workerId: "w".repeat(257) } }],
        [{ subscribe: { queue: "q", visibilityTimeoutMs: 1n } }],
        [{ subscribe: { queue: "" } }],
        [],
      ];
      for (const requests of cases) {
        const feed = new Feed<LeaseInit>();
        for (const request of requests) feed.send(request);
        if (requests.length === 0) feed.end();
        const drained = (async () => {
          for await (const _ of client.streamLease(feed));
        })();
        assert.equal(
          (await rejection(drained)).code,
          Code.InvalidArgument,
          JSON.stringify(requests, (_, v) => String(v)),
        );
        feed.end();
      }
    });

    test("a worker that leaves: what was written counts, the rest does not", async () => {
      const feed = new Feed<LeaseInit>();
      const opened = server.broker.nextConsumer();
      const abort = new AbortController();
      const responses = client.streamLease(feed, { signal: abort.signal })[Symbol.asyncIterator]();
      feed.send({ subscribe: { queue: "q" }, credit: 1 });
      await responses.next();
      const consumer = await opened;
      consumer.sink.deliver([delivery(1, body("one"))]);
      await responses.next();
      await consumer.until(() => consumer.writtenOrdinal === 1);
      abort.abort();
      await rejection(responses.next());
      assert.equal(await consumer.closed.promise, 1);
      consumer.sink.deliver([delivery(2, body("two"))]);
    });
  });
}
