import assert from "node:assert/strict";
import test from "node:test";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { withBroker } from "../fake/with-broker.ts";
import { connect, FilaError, type EnqueueOptions } from "../index.ts";

test("calls of one tick share a frame, in order", () =>
  withBroker(async (fila, broker) => {
    const ids = await Promise.all(Array.from({ length: 100 }, (_, i) => fila.enqueue("q", `m${i}`)));
    assert.deepEqual(broker.frames, [100]);
    assert.deepEqual(
      broker.queues.get("q")?.map(({ id }) => id),
      ids,
    );
  }));

test("what is called while frames are under way shares the next ones", () =>
  withBroker(async (fila, broker) => {
    const gate = Promise.withResolvers<undefined>();
    broker.gate = gate.promise;
    const first = fila.enqueue("q", "first");
    await broker.until(() => broker.frames.length === 1);
    const rest: Promise<string>[] = [];
    for (let i = 0; i < 50; i++) {
      rest.push(fila.enqueue("q", `m${i}`));
      await new Promise((resolve) => setImmediate(resolve));
    }
    gate.resolve(undefined);
    await Promise.all([first, ...rest]);
    assert.equal(
      broker.frames.reduce((sum, n) => sum + n),
      51,
    );
    assert.ok(broker.frames.length <= 6, `${broker.frames.length} frames`);
    assert.equal(broker.streamsOpened, 1);
  }));

test("calls of one tick share a frame also while another one is under way", () =>
  withBroker(async (fila, broker) => {
    const gate = Promise.withResolvers<undefined>();
    broker.gate = gate.promise;
    const first = fila.enqueue("q", "first");
    await broker.until(() => broker.frames.length === 1);
    const rest = Array.from({ length: 50 }, (_, i) => fila.enqueue("q", `m${i}`));
    gate.resolve(undefined);
    await Promise.all([first, ...rest]);
    assert.deepEqual(broker.frames, [1, 50]);
  }));

test("one refused message harms no other of its frame, and the stream lives on", () =>
  withBroker(async (fila, broker) => {
    broker.refuses = ({ payload }) => Buffer.from(payload).toString() === "b";
    const results = await Promise.allSettled(["a", "b", "c"].map((payload) => fila.enqueue("q", payload)));
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(broker.frames, [3]);
    await fila.enqueue("q", "d");
    assert.equal(broker.streamsOpened, 1);
    assert.equal(broker.queues.get("q")?.length, 3);
  }));

test("results that do not come yet hold up their own queue only", () =>
  withBroker(async (fila, broker) => {
    broker.createQueue("slow");
    const gate = Promise.withResolvers<undefined>();
    broker.gate = gate.promise;
    const waiting = fila.enqueue("slow", "a");
    await broker.until(() => broker.frames.length === 1);
    broker.gate = Promise.resolve();
    await fila.enqueue("q", "b");
    assert.deepEqual([broker.queues.get("q")?.length, broker.queues.get("slow")?.length], [1, 0]);
    gate.resolve(undefined);
    await waiting;
  }));

test("a client has at most 16 streams for all the queues that it produces to", () =>
  withBroker(async (fila, broker) => {
    const names = Array.from({ length: 40 }, (_, at) => `queue-${at}`);
    for (const name of names) broker.createQueue(name);
    for (const round of ["first", "second"]) await Promise.all(names.map((name) => fila.enqueue(name, round)));
    assert.equal(broker.streamsOpened, 16);
    for (const name of names) assert.equal(broker.queues.get(name)?.length, 2);
  }));

test("a broken connection rejects what has no result; the next call opens a new stream", () =>
  withBroker(async (fila, broker) => {
    const gate = Promise.withResolvers<undefined>();
    broker.gate = gate.promise;
    const pending = Promise.allSettled([fila.enqueue("q", "a"), fila.enqueue("q", "b")]);
    await broker.until(() => broker.frames.length === 1);
    broker.dropConnections();
    for (const result of await pending) {
      assert.ok(result.status === "rejected" && result.reason instanceof FilaError);
      assert.equal(result.reason.code, "unavailable");
      assert.equal(result.reason.retryable, true);
    }
    gate.resolve(undefined);
    await fila.enqueue("q", "c");
    assert.equal(broker.streamsOpened, 2);
  }));

test("no server: unavailable CONNECTION_FAILED with the address, for every kind of call", async () => {
  await using fila = connect("127.0.0.1:1");
  const wanted = {
    code: "unavailable",
    reason: "CONNECTION_FAILED",
    message: /cannot reach a Fila server at http:\/\/127\.0\.0\.1:1/,
  };
  await assert.rejects(fila.enqueue("q", "x"), wanted);
  await assert.rejects(fila.lease("q"), wanted);
  await assert.rejects(fila.leases("q").next(), wanted);
  await assert.rejects(fila.admin.stats("q"), wanted);
  const [settled] = await fila.settle("q", [{ id: "1", token: new Uint8Array(8), action: "ack" }]);
  assert.ok(settled?.ok === false && settled.error.code === "unavailable");
});

test("what the broker would refuse is refused before it is sent", () =>
  withBroker(async (fila, broker) => {
    const refused = (
      queue: string,
      payload: string | Uint8Array,
      options: EnqueueOptions,
      reason: string,
    ): Promise<void> => assert.rejects(fila.enqueue(queue, payload, options), { code: "invalid_argument", reason });
    await refused("", "x", {}, "INVALID_QUEUE_NAME");
    await refused("a".repeat(256), "x", {}, "INVALID_QUEUE_NAME");
    await refused("a\nb", "x", {}, "INVALID_QUEUE_NAME");
    await refused("q", new Uint8Array(1_048_577), {}, "MESSAGE_TOO_LARGE");
    await refused("q", "x", { weight: 0 }, "INVALID_FIELD");
    await refused("q", "x", { weight: 1001 }, "INVALID_FIELD");
    await refused("q", "x", { cost: 1.5 }, "INVALID_FIELD");
    await refused("q", "x", { fairnessKey: "k".repeat(257) }, "INVALID_FIELD");
    await refused("q", "x", { throttleKeys: ["k".repeat(248)] }, "INVALID_FIELD");
    await refused("q", "x", { throttleKeys: Array.from({ length: 17 }, String) }, "INVALID_FIELD");
    await refused(
      "q",
      "x",
      { headers: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`h${i}`, ""])) },
      "TOO_MANY_HEADERS",
    );
    await refused("q", "x", { headers: { a: "x".repeat(8192) } }, "TOO_MANY_HEADERS");
    // Half of a surrogate pair would arrive as another text.
    await refused("q\ud800", "x", {}, "INVALID_QUEUE_NAME");
    await refused("q", "x", { fairnessKey: "\ud800" }, "INVALID_FIELD");
    await refused("q", "x", { throttleKeys: ["\udc00"] }, "INVALID_FIELD");
    await refused("q", "x", { headers: { a: "\ud800" } }, "INVALID_FIELD");
    await refused("q", "x", { headers: { "\ud800": "a" } }, "INVALID_FIELD");
    // What no type lets through, and what would leave half a message in the frame of others.
    for (const payload of [5, null, [1], new Uint16Array(1)]) {
      await refused("q", payload as unknown as string, {}, "INVALID_FIELD");
    }
    await refused("q", "x", { fairnessKey: 5 as unknown as string }, "INVALID_FIELD");
    assert.equal(broker.frames.length, 0);
    await fila.enqueue("q", new Uint8Array(1_048_576));
  }));

test("what waits for results is bounded", () =>
  withBroker(
    async (fila, broker) => {
      const gate = Promise.withResolvers<undefined>();
      broker.gate = gate.promise;
      const calls = Array.from({ length: 20 }, () => fila.enqueue("q", new Uint8Array(100)));
      const settled = Promise.allSettled(calls);
      await broker.until(() => broker.frames.length > 0);
      gate.resolve(undefined);
      const rejected = (await settled).filter((one) => one.status === "rejected");
      assert.ok(rejected.length > 0 && rejected.length < 20);
      for (const one of rejected) assert.equal((one.reason as FilaError).reason, "BUFFER_FULL");
      await fila.enqueue("q", "room again");
    },
    { maximumPendingBytes: 2000 },
  ));

test("enqueueMany: one result per message in order, errors as values, many frames", () =>
  withBroker(async (fila, broker) => {
    const count = 25_000;
    function* source() {
      for (let i = 0; i < count; i++) yield i === 5000 ? { payload: "bad", weight: 0 } : { payload: `m${i}` };
    }
    const ids: string[] = [];
    let failed = 0;
    let place = 0;
    for await (const result of fila.enqueueMany("q", source())) {
      if (result.ok) ids.push(result.id);
      else assert.equal((failed++, place), 5000);
      place++;
    }
    assert.equal(place, count);
    assert.equal(failed, 1);
    assert.deepEqual(
      broker.queues.get("q")?.map(({ id }) => id),
      ids,
    );
    assert.ok(Math.max(...broker.frames) <= 1000);
  }));

test("enqueueMany takes no more from the source than its bound while nothing is answered", () =>
  withBroker(async (fila, broker) => {
    const gate = Promise.withResolvers<undefined>();
    broker.gate = gate.promise;
    let taken = 0;
    async function* endless() {
      for (;;) {
        taken++;
        yield { payload: new Uint8Array(1000) };
      }
    }
    const results = fila.enqueueMany("q", endless());
    const first = results.next();
    await broker.until(() => broker.frames.length > 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(taken <= 4300, `${taken} taken`);
    gate.resolve(undefined);
    assert.equal((await first).done, false);
    await results.return();
  }));

test("an error of the source is thrown after the results of what came before it", () =>
  withBroker(async (fila) => {
    async function* source() {
      yield { payload: "a" };
      yield { payload: "b" };
      throw new Error("torn");
    }
    let results = 0;
    await assert.rejects(async () => {
      for await (const result of fila.enqueueMany("q", source())) if (result.ok) results++;
    }, /torn/);
    assert.equal(results, 2);
  }));

test("after close every call is refused; close waits for what is under way", () =>
  withBroker(async (fila, broker) => {
    const under = fila.enqueue("q", "x");
    await fila.close();
    await under;
    assert.equal(broker.queues.get("q")?.length, 1);
    await assert.rejects(fila.enqueue("q", "y"), { reason: "CLIENT_CLOSED" });
    await assert.rejects(fila.lease("q"), { reason: "CLIENT_CLOSED" });
    await assert.rejects(fila.leases("q").next(), { reason: "CLIENT_CLOSED" });
  }));

test("a message is sent with its times, or refused with the field named", () =>
  withBroker(async (fila, broker) => {
    const deliverAt = new Date("2031-02-03T04:05:06.789Z");
    await fila.enqueue("q", "a", { delay: "1h", ttl: "1d" });
    await fila.enqueue("q", "b", { deliverAt });
    await fila.enqueue("q", "c", { deliverAt: new Date("1969-01-01") });
    const requests = broker.queues.get("q")?.map(({ request }) => request) ?? [];
    const [a, b, c] = requests.map((request) => ({
      ...request,
      at: request.deliverAt && timestampDate(request.deliverAt),
    }));
    assert.deepEqual([a?.delayMs, a?.ttlMs, a?.at], [3_600_000n, 86_400_000n, undefined]);
    assert.deepEqual([b?.delayMs, b?.ttlMs, b?.at], [0n, 0n, deliverAt]);
    assert.deepEqual(c?.at, new Date(0), "the past is now");

    const refused: readonly [options: EnqueueOptions, reason: string, message: RegExp][] = [
      [{ delay: "1s", deliverAt }, "INVALID_FIELD", /^delay stands beside deliverAt/],
      [{ delay: "366d" }, "INVALID_DURATION", /^delay is 31622400000 ms; at most 31536000000/],
      [{ delay: -1 }, "INVALID_DURATION", /^delay is -1/],
      [{ ttl: "366d" }, "INVALID_DURATION", /^ttl is/],
      [{ ttl: 0 }, "INVALID_DURATION", /^ttl is 0 ms; at least 1 ms/],
      [{ deliverAt: new Date(NaN) }, "INVALID_FIELD", /^deliverAt is no valid Date/],
      [{ idempotencyKey: "" }, "INVALID_FIELD", /^idempotencyKey is empty/],
      [{ idempotencyKey: "\u00e9".repeat(129) }, "INVALID_FIELD", /^idempotencyKey has 258 bytes; at most 256/],
    ];
    for (const [options, reason, message] of refused) {
      await assert.rejects(fila.enqueue("q", "x", options), { code: "invalid_argument", reason, message });
    }
    assert.equal(broker.queues.get("q")?.length, 3);
  }));

test("a second message with an idempotency key is the first one, and told to be", () =>
  withBroker(async (fila, broker) => {
    const first = await fila.enqueueOnce("q", "a", { idempotencyKey: "k" });
    assert.equal(first.duplicate, false);
    assert.deepEqual(await fila.enqueueOnce("q", "b", { idempotencyKey: "k" }), { ...first, duplicate: true });
    assert.equal(await fila.enqueue("q", "c", { idempotencyKey: "k" }), first.id);
    const keyless = { idempotencyKey: undefined as unknown as string };
    await assert.rejects(fila.enqueueOnce("q", "e", keyless), { reason: "INVALID_FIELD", message: /is missing/ });
    const many = ["k", undefined, "l"].map((idempotencyKey) => ({ payload: "d", idempotencyKey }));
    const results = await Array.fromAsync(fila.enqueueMany("q", many));
    assert.deepEqual(
      results.map((result) => result.ok && result.duplicate),
      [true, false, false],
    );
    assert.equal(broker.queues.get("q")?.length, 3);
  }));

test("with an idempotency key, what has no answer is sent again as it was; without one it is not", () =>
  withBroker(async (fila, broker) => {
    const gate = Promise.withResolvers<undefined>();
    broker.gate = gate.promise;
    const payload = Buffer.from("as it was");
    const headers = { kind: "as it was" };
    const keyed = fila.enqueueOnce("q", payload, { idempotencyKey: "k", headers });
    const plain = fila.enqueue("q", "plain");
    payload.fill(0);
    headers.kind = "changed";
    await broker.until(() => broker.frames.length === 1);
    broker.dropConnections();
    await assert.rejects(plain, { code: "unavailable", reason: "CONNECTION_LOST" });
    gate.resolve(undefined);
    const { id } = await keyed;
    assert.deepEqual(broker.frames, [2, 1]);
    const kept = broker.queues.get("q")?.find((stored) => stored.id === id)?.request;
    assert.deepEqual(
      [Buffer.from(kept?.payload ?? []).toString(), { ...kept?.headers }],
      ["as it was", { kind: "as it was" }],
    );
    assert.equal(broker.queues.get("q")?.filter(({ request }) => request.idempotencyKey === "k").length, 1);
  }));
