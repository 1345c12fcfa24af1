// SIGTERM: workers are told, may settle what they hold, and are let go; nobody can hold the broker up beyond its deadline.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@fila/sdk/gen";
import { type Scope, ServerProcess } from "./server-process.ts";
import { WorkerStream } from "./worker-stream.ts";

const QUEUE = "jobs";
/** Far beyond the test's own limit: who waits for it fails. */
const NEVER = { FILA_SERVER_DRAIN_DEADLINE_MS: "600000" };

async function withMessages(scope: Scope, count: number, env: Record<string, string>): Promise<ServerProcess> {
  const server = await ServerProcess.start(scope, { env });
  await server.ok("FilaAdmin/CreateQueue", { name: QUEUE });
  for (let at = 0; at < count; at++) await server.ok("FilaService/Enqueue", { queue: QUEUE, payload: "aGVsbG8=" });
  return server;
}

function reasonOf(error: unknown): string | undefined {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason;
}

async function rejection(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => assert.fail("it was answered OK"),
    (error: unknown) => error,
  );
}

describe("graceful shutdown", () => {
  for (const protocol of ["grpc", "connect"] as const) {
    test(`tells workers, takes their settlements, and ends their streams when they hold nothing (${protocol})`, async (t) => {
      const server = await withMessages(t, 5, NEVER);
      const { service } = server.clients(protocol);
      const worker = new WorkerStream(service, { queue: QUEUE }, 2);
      const [first, second] = await worker.holds(2);
      const polled = await service.lease({ queue: QUEUE, maxMessages: 1 });
      server.run.child.kill("SIGTERM");
      await worker.until(() => worker.draining);

      // Nothing new, on connections that are open; settlements of all kinds go on.
      worker.send({ credit: 10 });
      const refused = await rejection(service.enqueue({ queue: QUEUE }));
      assert.deepEqual([ConnectError.from(refused).code, reasonOf(refused)], [Code.Unavailable, "DRAINING"]);
      const noLease = await rejection(service.lease({ queue: QUEUE }));
      assert.deepEqual([ConnectError.from(noLease).code, reasonOf(noLease)], [Code.Unavailable, "DRAINING"]);
      assert.deepEqual(await worker.settle("EXTEND", [second!]), []);
      assert.deepEqual(await worker.settle("ACK", [first!]), []);
      const [byPoll] = polled.messages;
      await service.ack({ queue: QUEUE, messageId: byPoll?.message?.id ?? "", leaseToken: byPoll!.leaseToken });
      assert.deepEqual(await worker.settle("NACK", [second!]), []);

      const end = await worker.ended;
      assert.deepEqual([end?.code, reasonOf(end)], [Code.Unavailable, "DRAINING"]);
      assert.equal(await server.run.ended, 0);
      assert.equal(worker.messages.length, 2);

      await server.restart();
      assert.deepEqual(await server.stats(QUEUE), { depth: 3, inFlight: 0, activeConsumers: 0 });
      const { messages } = await server.clients(protocol).service.lease({ queue: QUEUE, maxMessages: 10 });
      assert.deepEqual(
        messages.map(({ message }) => message?.metadata?.attemptCount),
        [0, 0, 1],
      );
    });
  }

  test("ends whoever holds nothing at once: Consume, a stream without messages, a long poll", async (t) => {
    const server = await withMessages(t, 0, NEVER);
    const { service } = server.clients("grpc");
    const consuming = rejection(
      (async () => {
        for await (const response of service.consume({ queue: QUEUE })) assert.equal(response.message, undefined);
      })(),
    );
    const polling = rejection(service.lease({ queue: QUEUE, waitMs: 60_000n }));
    const worker = new WorkerStream(service, { queue: QUEUE }, 1);
    await server.until(
      () => server.stats(QUEUE),
      ({ activeConsumers }) => activeConsumers === 3,
    );
    assert.equal(await server.stop(), 0);
    for (const error of [await consuming, await polling, await worker.ended]) {
      assert.deepEqual([ConnectError.from(error).code, reasonOf(error)], [Code.Unavailable, "DRAINING"]);
    }
  });

  test("is over at its deadline, and then the leases of those who would not settle stand", async (t) => {
    const server = await withMessages(t, 2, { FILA_SERVER_DRAIN_DEADLINE_MS: "200" });
    const { service } = server.clients("grpc");
    const subscribe = { queue: QUEUE, session: "one that comes back" };
    const worker = new WorkerStream(service, subscribe, 2);
    await worker.holds(2);
    assert.equal(await server.stop(), 0);
    const end = await worker.ended;
    assert.deepEqual([end?.code, reasonOf(end)], [Code.Unavailable, "DRAINING"]);

    await server.restart();
    assert.equal((await server.stats(QUEUE)).inFlight, 2);
    const again = new WorkerStream(server.clients("grpc").service, subscribe, 0);
    await again.until(() => again.adopted?.length === 2);
    assert.deepEqual(await again.settle("ACK", worker.messages), []);
    assert.equal((await server.stats(QUEUE)).depth, 0);
    await again.cancel();
  });
});
