// What a change of permissions does to the streams that are open then.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, FilaService, SettlementAction } from "@fila/sdk/gen";
import type { StreamEnqueueRequestSchema, StreamLeaseRequestSchema } from "@fila/sdk/gen";
import { GrantedPrincipal } from "./granted-principal.ts";
import type { Grant } from "./pattern.ts";
import { byKey, startGuarded } from "./testing/guarded-server.ts";

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "by hand": (baseUrl) => createGrpcTransport({ baseUrl, acceptCompression: [] }),
  "by the library": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
};

const granted: readonly Grant[] = [
  { kind: "consume", pattern: "q" },
  { kind: "produce", pattern: "q" },
];

/** A request stream that the test feeds by hand; it never ends. */
class Feed<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = [];
  #wake = Promise.withResolvers<unknown>();
  send(request: T): void {
    this.#waiting.push(request);
    this.#wake.resolve(undefined);
  }
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      while (this.#waiting.length > 0) yield this.#waiting.shift()!;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers<unknown>();
    }
  }
}

async function reasonOf(answer: Promise<unknown>): Promise<string | undefined> {
  try {
    await answer;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error.findDetails(ErrorInfoSchema)[0]?.reason;
  }
  return assert.fail("goes on");
}

async function next<T>(responses: AsyncIterator<T, unknown>): Promise<T> {
  const result = await responses.next();
  assert.ok(result.done !== true, "the stream has ended");
  return result.value;
}

/** The next response that is not the empty one by which the library sends its headers. */
async function nextOf<T>(responses: AsyncIterator<T, unknown>, whole: (response: T) => boolean): Promise<T> {
  for (;;) {
    const response = await next(responses);
    if (whole(response)) return response;
  }
}

async function start(t: TestContext, connect: (baseUrl: string) => Transport) {
  const principal = new GrantedPrincipal("p", granted);
  const { url, broker, asked } = await startGuarded(t, byKey(new Map([["k", principal]])));
  await broker.createQueue("q", {});
  const client = createClient(FilaService, connect(url));
  const options = { headers: { authorization: "Bearer k" } };
  const consumers = (): number => broker.queues.get("q")!.consumers.size;
  return { principal, broker, asked, client, options, consumers };
}

for (const [name, connect] of Object.entries(transports)) {
  describe(name, () => {
    for (const [change, reason] of [
      ["the grant is taken away", "PERMISSION_DENIED"],
      ["the key is revoked", "UNAUTHENTICATED"],
    ] as const) {
      const lose = (principal: GrantedPrincipal): void =>
        reason === "UNAUTHENTICATED"
          ? principal.revoke()
          : principal.replaceGrants([{ kind: "consume", pattern: "other" }]);

      test(`a Consume that waits ends when ${change}`, async (t) => {
        const { client, options, broker, principal, consumers } = await start(t, connect);
        const stream = client.consume({ queue: "q" }, options)[Symbol.asyncIterator]();
        await client.enqueue({ queue: "q" }, options);
        await nextOf(stream, ({ message }) => message !== undefined);
        const end = reasonOf(next(stream));
        lose(principal);
        assert.equal(await end, reason);
        assert.equal(consumers(), 0, "the broker delivers to it no more");
        broker.enqueue(
          [{ queue: "q", fairnessKey: "", weight: 0, cost: 1, throttleKeys: [], body: Buffer.alloc(0) }],
          () => {},
        );
        assert.equal(broker.queues.get("q")!.waiting.length, 1);
      });

      test(`a StreamLease that waits ends when ${change}`, async (t) => {
        const { client, options, principal, consumers } = await start(t, connect);
        const requests = new Feed<MessageInitShape<typeof StreamLeaseRequestSchema>>();
        const stream = client.streamLease(requests, options)[Symbol.asyncIterator]();
        requests.send({ subscribe: { queue: "q" }, credit: 10 });
        await nextOf(stream, ({ subscribed }) => subscribed !== undefined);
        const end = reasonOf(next(stream));
        lose(principal);
        assert.equal(await end, reason);
        assert.equal(consumers(), 0);
      });

      test(`a Lease that waits is answered when ${change}`, async (t) => {
        const { client, options, principal, consumers, asked } = await start(t, connect);
        const waiting = reasonOf(client.lease({ queue: "q", waitMs: 60_000n }, options));
        while (!asked.includes("openConsumer")) await new Promise((resolve) => setImmediate(resolve));
        lose(principal);
        assert.equal(await waiting, reason);
        assert.equal(consumers(), 0);
      });
    }

    test("a StreamLease that has not subscribed yet ends with its key", async (t) => {
      const { client, options, principal, asked } = await start(t, connect);
      const requests = new Feed<MessageInitShape<typeof StreamLeaseRequestSchema>>();
      const watched = Promise.withResolvers<unknown>();
      t.mock.method(principal, "watch", (changed: () => void) => {
        watched.resolve(undefined);
        return GrantedPrincipal.prototype.watch.call(principal, changed);
      });
      const end = reasonOf(next(client.streamLease(requests, options)[Symbol.asyncIterator]()));
      await watched.promise;
      principal.revoke();
      assert.equal(await end, "UNAUTHENTICATED");
      assert.deepEqual(asked, []);
    });

    test("a StreamEnqueue goes on without its grant, message by message, and ends with its key", async (t) => {
      const { client, options, principal, asked } = await start(t, connect);
      const requests = new Feed<MessageInitShape<typeof StreamEnqueueRequestSchema>>();
      const stream = client.streamEnqueue(requests, options)[Symbol.asyncIterator]();
      const results = async (frame: bigint): Promise<readonly string[]> => {
        requests.send({ frame, queue: "q", messages: [{}, { queue: "other" }] });
        const response = await next(stream);
        assert.equal(response.frame, frame);
        return response.results.map(({ result }) =>
          result.case === "error" ? result.value.reason : String(result.case),
        );
      };
      assert.deepEqual(await results(1n), ["messageId", "PERMISSION_DENIED"]);
      principal.replaceGrants([{ kind: "produce", pattern: "other" }]);
      assert.deepEqual(await results(2n), ["PERMISSION_DENIED", "QUEUE_NOT_FOUND"]);
      principal.replaceGrants([]);
      asked.length = 0;
      assert.deepEqual(await results(3n), ["PERMISSION_DENIED", "PERMISSION_DENIED"]);
      assert.deepEqual(asked, []);
      principal.replaceGrants(granted);
      assert.deepEqual(await results(4n), ["messageId", "PERMISSION_DENIED"]);
      const end = reasonOf(next(stream));
      principal.revoke();
      assert.equal(await end, "UNAUTHENTICATED");
    });

    test("streams that keep their permission go on, settling included", async (t) => {
      const { client, options, principal, broker } = await start(t, connect);
      const requests = new Feed<MessageInitShape<typeof StreamLeaseRequestSchema>>();
      const stream = client.streamLease(requests, options)[Symbol.asyncIterator]();
      requests.send({ subscribe: { queue: "q" }, credit: 10 });
      await nextOf(stream, ({ subscribed }) => subscribed !== undefined);
      principal.replaceGrants([...granted, { kind: "admin", pattern: "*" }]);
      await client.enqueue({ queue: "q" }, options);
      const [leased] = (await nextOf(stream, ({ messages }) => messages.length > 0)).messages;
      requests.send({
        settlementFrame: 1n,
        settlements: [
          {
            messageId: leased?.message?.id ?? "",
            leaseToken: leased?.leaseToken ?? Buffer.alloc(0),
            action: SettlementAction.ACK,
          },
        ],
      });
      const { settled } = await nextOf(stream, (response) => response.settled.length > 0);
      assert.deepEqual(settled[0]?.failures, []);
      assert.equal(broker.queues.get("q")!.leased.size, 0);
      principal.revoke();
      assert.equal(await reasonOf(next(stream)), "UNAUTHENTICATED");
    });

    test("who has ended watches no more", async (t) => {
      const { client, options, principal } = await start(t, connect);
      let watching = 0;
      t.mock.method(principal, "watch", (changed: () => void) => {
        watching += 1;
        const stop = GrantedPrincipal.prototype.watch.call(principal, changed);
        return () => {
          watching -= 1;
          stop();
        };
      });
      await client.enqueue({ queue: "q" }, options);
      await client.lease({ queue: "q" }, options);
      assert.equal(await reasonOf(client.lease({ queue: "none", waitMs: 60_000n }, options)), "PERMISSION_DENIED");
      assert.equal(watching, 0);
      const abort = new AbortController();
      const stream = client.consume({ queue: "q" }, { ...options, signal: abort.signal })[Symbol.asyncIterator]();
      await client.enqueue({ queue: "q" }, options);
      await nextOf(stream, ({ message }) => message !== undefined);
      assert.equal(watching, 1);
      abort.abort();
      while (watching > 0) await new Promise((resolve) => setImmediate(resolve));
    });
  });
}
