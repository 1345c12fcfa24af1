// What a restart must not change: messages, attempts and leases, after a SIGTERM as after a kill -9.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Lease, connect } from "@fila/sdk";
import { ServerProcess } from "./server-process.ts";
import { WorkerStream } from "./worker-stream.ts";

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

describe("over a restart", () => {
  for (const [how, end] of [
    ["SIGTERM", (server: ServerProcess) => server.stop()],
    ["kill -9", (server: ServerProcess) => server.kill()],
  ] as const) {
    test(`by ${how} messages, attempts and leases stand`, async (t) => {
      const server = await ServerProcess.start(t, { env: { FILA_SERVER_DRAIN_DEADLINE_MS: "0" } });
      const before = server.clients("grpc");
      await before.admin.createQueue({ name: "orders", config: { visibilityTimeoutMs: 60_000n } });
      const request = { queue: "orders", headers: { tenant: "a", empty: "" }, fairnessKey: "a", weight: 3, cost: 2 };
      const ids: string[] = [];
      for (const payload of ["acked", "nacked", "held", "untouched"]) {
        const { messageId } = await before.service.enqueue({ ...request, payload: Buffer.from(payload) });
        ids.push(messageId);
      }
      const { messages } = await before.service.lease({ queue: "orders", maxMessages: 3 });
      assert.deepEqual(
        messages.map(({ message }) => text(message?.payload)),
        ["acked", "nacked", "held"],
      );
      const [acked, nacked, held] = messages.map(({ message, leaseToken }) => ({
        queue: "orders",
        messageId: message?.id ?? "",
        leaseToken,
      }));
      await before.service.ack(acked!);
      await before.service.nack(nacked!);

      await end(server);
      await server.restart();

      const { service } = server.clients("grpc");
      assert.deepEqual(await server.stats("orders"), { depth: 3, inFlight: 1, activeConsumers: 0 });
      // The lease of the long poll stands: nobody else gets the message, and its token settles it.
      const again = (await service.lease({ queue: "orders", maxMessages: 10 })).messages;
      assert.deepEqual(
        again.map(({ message }) => [text(message?.payload), message?.metadata?.attemptCount]),
        [
          ["untouched", 0],
          ["nacked", 1],
        ],
      );
      const { message } = again[0]!;
      assert.equal(message?.id, ids[3]);
      assert.deepEqual(message?.headers, { tenant: "a", empty: "" });
      assert.deepEqual(
        { key: message?.metadata?.fairnessKey, weight: message?.metadata?.weight, queue: message?.metadata?.queueId },
        { key: "a", weight: 3, queue: "orders" },
      );
      await service.ack(held!);
      // An ack whose answer was lost may be sent again, whatever happened in between.
      await service.ack(acked!);
      assert.deepEqual(await server.stats("orders"), { depth: 2, inFlight: 2, activeConsumers: 0 });
    });
  }

  test("a StreamLease that names its session takes its leases up again", async (t) => {
    const server = await ServerProcess.start(t);
    const before = server.clients("connect");
    await before.admin.createQueue({ name: "orders" });
    for (let at = 0; at < 6; at++) await before.service.enqueue({ queue: "orders", payload: Buffer.from([at]) });
    const subscribe = { queue: "orders", session: "worker 7, 128 random bits" };
    const stream = new WorkerStream(before.service, subscribe, 4);
    const nameless = new WorkerStream(before.service, { queue: "orders" }, 2);
    // Who gets which is a matter of turns; four and two by credit.
    const mine = [...(await stream.holds(4))];
    const theirs = [...(await nameless.holds(2))];
    assert.deepEqual(await stream.settle("NACK", mine.slice(0, 1)), []);

    await server.kill();
    assert.equal((await stream.ended)?.code !== undefined, true);
    await server.restart();

    const { service } = server.clients("connect");
    const taken = new WorkerStream(service, subscribe, 0);
    await taken.until(() => taken.adopted !== undefined);
    const tokens = (leases: readonly { leaseToken: Uint8Array }[]): string[] =>
      leases.map(({ leaseToken }) => Buffer.from(leaseToken).toString("hex")).sort();
    assert.deepEqual(tokens(taken.adopted ?? []), tokens(mine.slice(1)));
    // Tokens from before the kill settle, over the stream and without it.
    assert.deepEqual(await taken.settle("ACK", mine.slice(1, 2)), []);
    assert.deepEqual(await taken.settle("EXTEND", mine.slice(2, 3)), []);
    const { id = "" } = mine[2]?.message ?? {};
    await service.ack({ queue: "orders", messageId: id, leaseToken: mine[2]!.leaseToken });
    assert.deepEqual(await taken.settle("NACK", mine.slice(3)), []);

    // The nameless stream cannot come back: after 5 s its leases count as those of a stream that ended.
    taken.send({ credit: 10 });
    await taken.holds(4);
    const seen = new Map(taken.messages.map(({ message }) => [message?.id, message?.metadata?.attemptCount]));
    assert.deepEqual(
      seen,
      new Map([mine[0], mine[3], ...theirs].map((lease) => [lease?.message?.id, 1])),
      "each ended one attempt",
    );
    const [refused] = await taken.settle("ACK", theirs);
    assert.equal(refused?.error?.reason, "LEASE_LOST");
    await taken.cancel();
  });

  test("leases() of the SDK that reconnect keep what was read and what was waiting, without an attempt", async (t) => {
    const server = await ServerProcess.start(t);
    const fila = connect(server.url);
    t.after(() => fila.close());
    await fila.admin.createQueue("orders");
    for (let at = 0; at < 12; at++) await fila.enqueue("orders", String(at));
    const leases = fila.leases("orders", { reconnect: true, prefetch: 8 });
    const take = async (count: number): Promise<Lease[]> => {
      const taken: Lease[] = [];
      while (taken.length < count) {
        const { value } = await leases.next();
        if (value !== undefined) taken.push(value);
      }
      return taken;
    };
    const begun: Lease[] = [];
    // Over two crashes: what was begun before the first is still there after the second.
    for (const before of [0, 2]) {
      begun.push(...(await take(2)));
      await server.until(
        () => server.stats("orders"),
        ({ inFlight }) => inFlight >= before + 8,
      );
      await server.kill();
      await server.restart();
    }
    const rest = await take(8);
    await leases.return();
    for (const lease of [...begun, ...rest]) await lease.ack();
    assert.deepEqual(
      [...begun, ...rest].map(({ payload, attempt }) => [Number(text(payload)), attempt]).sort(([a], [b]) => a! - b!),
      Array.from({ length: 12 }, (_, at) => [at, 0]),
    );
    assert.equal((await server.stats("orders")).depth, 0);
  });
});
