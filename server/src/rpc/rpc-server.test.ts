import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  FilaAdmin,
  FilaService,
  RetryInfoSchema,
  SettlementAction,
} from "@fila/sdk/gen";
import type { StreamLeaseRequest } from "@fila/sdk/gen";
import { create } from "@bufbuild/protobuf";
import { StreamEnqueueRequestSchema, StreamLeaseRequestSchema } from "@fila/sdk/gen";
import { startFixture } from "./testing/rpc-fixture.ts";
import { transports } from "./testing/transports.ts";

async function failureOf(call: Promise<unknown> | AsyncIterable<unknown>): Promise<ConnectError> {
  try {
    if (call instanceof Promise) await call;
    else for await (const _ of call);
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  return assert.fail("succeeded");
}

function reasonOf(error: ConnectError): string | undefined {
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.equal(info?.domain, "fila", `no ErrorInfo in ${error.message}`);
  return info?.reason;
}

async function* requests<T>(...all: T[]): AsyncIterable<T> {
  yield* all;
}

for (const [name, connect] of Object.entries(transports)) {
  describe(name, () => {
    it("runs a queue from its creation to its end", async (t) => {
      const { url } = await startFixture(t);
      const admin = createClient(FilaAdmin, connect(url));
      const fila = createClient(FilaService, connect(url));
      assert.equal((await admin.createQueue({ name: "orders" })).queueId, "orders");
      const headers = { kind: "ü" };
      const payload = Buffer.from("hello");
      const { messageId } = await fila.enqueue({ queue: "orders", headers, payload, fairnessKey: "a" });
      const batch = await fila.batchEnqueue({ messages: [{ queue: "orders", payload }, { queue: "none" }] });
      assert.deepEqual(
        batch.results.map(({ result }) => result.case),
        ["messageId", "error"],
      );
      assert.equal(
        batch.results[1]?.result.case === "error" && batch.results[1].result.value.reason,
        "QUEUE_NOT_FOUND",
      );

      const { messages } = await fila.lease({ queue: "orders", maxMessages: 1 });
      assert.equal(messages[0]?.message?.id, messageId);
      assert.deepEqual(messages[0]?.message?.headers, headers);
      assert.deepEqual(Buffer.from(messages[0]?.message?.payload ?? []), payload);
      assert.equal(messages[0]?.message?.metadata?.queueId, "orders");
      const settled = await fila.settle({
        queue: "orders",
        settlements: [{ messageId, leaseToken: messages[0].leaseToken, action: SettlementAction.ACK }],
      });
      assert.equal(settled.results[0]?.error, undefined);

      const stats = await admin.getStats({ queue: "orders" });
      assert.equal(stats.depth, 1n);
      assert.equal(stats.visibilityTimeoutMs, 30_000n);
      assert.deepEqual(
        (await admin.listQueues({})).queues.map((queue) => queue.name),
        ["orders"],
      );
      await admin.deleteQueue({ queue: "orders" });
      assert.equal((await admin.listQueues({})).totalCount, 0n);
    });

    it("redelivers on the same stream of Consume what was nacked", async (t) => {
      const { url, broker } = await startFixture(t);
      const fila = createClient(FilaService, connect(url));
      await broker.createQueue("q", {});
      const { messageId } = await fila.enqueue({ queue: "q" });
      const abort = new AbortController();
      const seen: string[] = [];
      const failed = await failureOf(
        (async () => {
          for await (const { message } of fila.consume({ queue: "q" }, { signal: abort.signal })) {
            // Only the library needs an empty response to send the headers.
            if (message === undefined) continue;
            seen.push(message.id);
            if (seen.length === 1) await fila.nack({ queue: "q", messageId, error: "again" });
            if (seen.length === 2) await fila.ack({ queue: "q", messageId }).then(() => abort.abort());
          }
        })(),
      );
      assert.equal(failed.code, Code.Canceled);
      assert.deepEqual(seen, [messageId, messageId]);
    });

    it("gives every error its code, reason and place", async (t) => {
      const { url, broker } = await startFixture(t);
      const admin = createClient(FilaAdmin, connect(url));
      const fila = createClient(FilaService, connect(url));
      await broker.createQueue("q", {});
      const cases: [
        call: () => Promise<unknown> | AsyncIterable<unknown>,
        code: Code,
        reason: string,
        field?: string,
      ][] = [
        [() => admin.createQueue({ name: "" }), Code.InvalidArgument, "INVALID_QUEUE_NAME", "name"],
        [() => admin.createQueue({ name: "a\nb" }), Code.InvalidArgument, "INVALID_QUEUE_NAME", "name"],
        [() => admin.createQueue({ name: "x".repeat(256) }), Code.InvalidArgument, "INVALID_QUEUE_NAME", "name"],
        [() => admin.createQueue({ name: "q" }), Code.AlreadyExists, "QUEUE_EXISTS"],
        [
          () => admin.createQueue({ name: "s", config: { onEnqueueScript: "x" } }),
          Code.InvalidArgument,
          "SCRIPT_INVALID",
          "config.on_enqueue_script",
        ],
        [
          () => admin.createQueue({ name: "s.dlq", config: { onFailureScript: "x" } }),
          Code.InvalidArgument,
          "INVALID_FIELD",
          "config.on_failure_script",
        ],
        ...[1n, 999n, 43_200_001n, 2n ** 64n - 1n].map(
          (visibilityTimeoutMs): [() => Promise<unknown>, Code, string, string] => [
            () => admin.createQueue({ name: "v", config: { visibilityTimeoutMs } }),
            Code.InvalidArgument,
            "INVALID_FIELD",
            "config.visibility_timeout_ms",
          ],
        ),
        [() => admin.deleteQueue({ queue: "none" }), Code.NotFound, "QUEUE_NOT_FOUND"],
        [() => admin.getStats({ queue: "none" }), Code.NotFound, "QUEUE_NOT_FOUND"],
        [() => admin.getStats({ queue: "" }), Code.InvalidArgument, "INVALID_QUEUE_NAME", "queue"],
        [() => fila.enqueue({ queue: "none" }), Code.NotFound, "QUEUE_NOT_FOUND"],
        [() => fila.enqueue({ queue: "q", weight: 0 }), Code.InvalidArgument, "INVALID_FIELD", "weight"],
        [() => fila.enqueue({ queue: "q", weight: 1001 }), Code.InvalidArgument, "INVALID_FIELD", "weight"],
        [
          () => fila.enqueue({ queue: "q", payload: new Uint8Array(1024 * 1024 + 1) }),
          Code.InvalidArgument,
          "MESSAGE_TOO_LARGE",
          "payload",
        ],
        [() => fila.ack({ queue: "q", messageId: "none" }), Code.NotFound, "MESSAGE_NOT_FOUND"],
        [() => fila.lease({ queue: "none" }), Code.NotFound, "QUEUE_NOT_FOUND"],
        [() => fila.consume({ queue: "none" }), Code.NotFound, "QUEUE_NOT_FOUND"],
        [() => admin.createApiKey({}), Code.Unimplemented, "NOT_IMPLEMENTED"],
        [() => admin.revokeApiKey({}), Code.Unimplemented, "NOT_IMPLEMENTED"],
        [() => admin.listApiKeys({}), Code.Unimplemented, "NOT_IMPLEMENTED"],
        [() => admin.setAcl({}), Code.Unimplemented, "NOT_IMPLEMENTED"],
        [() => admin.getAcl({}), Code.Unimplemented, "NOT_IMPLEMENTED"],
      ];
      for (const [call, code, reason, field] of cases) {
        const error = await failureOf(call());
        assert.equal(Code[error.code], Code[code], error.message);
        assert.equal(reasonOf(error), reason);
        if (field !== undefined) {
          assert.equal(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field, field, error.message);
        }
      }
    });

    it("says when the request as a whole is too large", async (t) => {
      const { url } = await startFixture(t);
      const admin = createClient(FilaAdmin, connect(url));
      const error = await failureOf(admin.createQueue({ name: "x".repeat(4 * 1024 * 1024) }));
      assert.equal(Code[error.code], "InvalidArgument");
      assert.equal(reasonOf(error), "MESSAGE_TOO_LARGE");
    });

    it("tells nothing of what went wrong inside, and logs it", async (t) => {
      const { url, broker, logged } = await startFixture(t);
      broker.broken = new Error("secret /etc/fila/key");
      const error = await failureOf(createClient(FilaAdmin, connect(url)).createQueue({ name: "q" }));
      assert.equal(Code[error.code], "Internal");
      assert.equal(reasonOf(error), "INTERNAL");
      assert.doesNotMatch(`${error.message} ${JSON.stringify(error)}`, /secret|\.ts/);
      assert.match(logged.join(""), /secret/);
    });

    it("ends a call at its deadline", async (t) => {
      const { url, broker } = await startFixture(t);
      await broker.createQueue("q", {});
      const fila = createClient(FilaService, connect(url));
      const error = await failureOf(fila.lease({ queue: "q", waitMs: 60_000n }, { timeoutMs: 20 }));
      assert.equal(Code[error.code], "DeadlineExceeded");
    });

    it("ends what is open when the broker stops, with UNAVAILABLE", async (t) => {
      const { url, broker, rpc } = await startFixture(t);
      await broker.createQueue("q", {});
      const fila = createClient(FilaService, connect(url));
      const stream = fila.consume({ queue: "q" })[Symbol.asyncIterator]();
      const first = stream.next();
      const abandoned = failureOf(
        (async () => {
          await first;
          await stream.next();
        })(),
      );
      // gRPC answers with headers only, so `first` may settle with the end.
      await new Promise<void>((resolve) => {
        const look = (): void => (broker.queues.get("q")?.consumers.size === 1 ? resolve() : void setImmediate(look));
        look();
      });
      rpc.drain();
      await broker.stop();
      const error = await abandoned;
      assert.equal(Code[error.code], "Unavailable", error.message);
      assert.equal(reasonOf(error), "DRAINING");
      assert.equal(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds, 1n);
      await rpc.close(1000);
    });

    if (name.endsWith("1.1")) return;

    it("streams in both directions", async (t) => {
      const { url, broker } = await startFixture(t);
      await broker.createQueue("q", {});
      const fila = createClient(FilaService, connect(url));
      const frames = [1n, 2n, 3n].map((frame) =>
        create(StreamEnqueueRequestSchema, {
          frame,
          queue: "q",
          messages: [{ payload: Buffer.from("x") }, { queue: "none" }],
        }),
      );
      const results: string[] = [];
      for await (const { frame, results: list } of fila.streamEnqueue(requests(...frames))) {
        results.push(`${frame}: ${list.map(({ result }) => result.case).join(" ")}`);
      }
      assert.deepEqual(results, ["1: messageId error", "2: messageId error", "3: messageId error"]);

      const ids: string[] = [];
      const settlements = Promise.withResolvers<StreamLeaseRequest>();
      async function* worker() {
        yield create(StreamLeaseRequestSchema, { subscribe: { queue: "q" }, credit: 3 });
        yield await settlements.promise;
      }
      let settledFrame: bigint | undefined;
      for await (const response of fila.streamLease(worker())) {
        ids.push(...response.messages.map((leased) => leased.message?.id ?? ""));
        for (const { settlementFrame, failures } of response.settled) {
          settledFrame = settlementFrame;
          assert.deepEqual(failures, []);
        }
        const leased = response.messages.map(({ message, leaseToken }) => ({
          messageId: message?.id ?? "",
          leaseToken,
          action: SettlementAction.ACK,
        }));
        if (leased.length > 0) {
          settlements.resolve(create(StreamLeaseRequestSchema, { settlementFrame: 7n, settlements: leased }));
        }
      }
      assert.equal(ids.length, 3);
      assert.equal(settledFrame, 7n);
      assert.equal(broker.queues.get("q")?.leased.size, 0);
    });
  });
}
