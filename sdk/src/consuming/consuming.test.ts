import assert from "node:assert/strict";
import test from "node:test";
import type { FakeBroker } from "../fake/fake-broker.ts";
import { withBroker } from "../fake/with-broker.ts";
import { SettlementAction } from "../gen/index.ts";
import { DeadLetter, FilaError, LeaseLost, type Fila, type Lease } from "../index.ts";

const text = (lease: Lease): string => Buffer.from(lease.payload).toString();

const leasedNow = (broker: FakeBroker): number =>
  broker.queues.get("q")?.filter(({ lease }) => lease !== undefined).length ?? 0;

async function fill(fila: Fila, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => fila.enqueue("q", `m${i}`)));
}

test("lease, extend, ack; a second ack is the first; another settlement is refused", () =>
  withBroker(async (fila, broker) => {
    await fila.enqueue("q", "hi", { headers: { a: "1" }, fairnessKey: "k", weight: 7, throttleKeys: ["t"] });
    const [lease] = await fila.lease("q", { maxMessages: 10 });
    assert.ok(lease);
    assert.equal(text(lease), "hi");
    assert.deepEqual({ ...lease.headers }, { a: "1" });
    assert.deepEqual([lease.fairnessKey, lease.weight, lease.throttleKeys, lease.attempt], ["k", 7, ["t"], 0]);
    assert.equal(lease.enqueuedAt.getTime(), 1_700_000_000_123);
    assert.equal(lease.leasedAt.getTime(), 1_700_000_001_456);
    assert.equal(lease.expiresAt.getTime(), 1_700_000_031_456);
    assert.equal((await lease.extend("5s")).getTime(), 1_005_000);
    assert.equal(lease.expiresAt.getTime(), 1_005_000);
    await Promise.all([lease.ack(), lease.ack()]);
    await assert.rejects(lease.nack(), { reason: "ALREADY_SETTLED" });
    assert.equal(broker.settled.filter(({ action }) => action === SettlementAction.ACK).length, 1);
    assert.equal(broker.queues.get("q")?.length, 0);
    assert.deepEqual(await fila.lease("q"), []);
  }));

test("lease: waits, and its signal's reason passes untouched", () =>
  withBroker(async (fila) => {
    const waiting = fila.lease("q", { wait: "30s" });
    await fila.enqueue("q", "late");
    assert.equal((await waiting).length, 1);
    const abort = new AbortController();
    const aborted = fila.lease("q", { wait: "30s", signal: abort.signal });
    abort.abort();
    await assert.rejects(aborted, { name: "AbortError" });
    await assert.rejects(fila.lease("missing"), { code: "not_found", reason: "QUEUE_NOT_FOUND" });
    await assert.rejects(fila.lease("q", { wait: "61s" }), { code: "invalid_argument" });
    await assert.rejects(fila.lease("q", { maxMessages: 0 }), { code: "invalid_argument" });
  }));

test("unary calls whose server dies are unavailable, not canceled by somebody", () =>
  withBroker(async (fila, broker) => {
    const waiting = fila.lease("q", { wait: "30s" });
    // One connection: by its answer the broker has the call before it.
    await fila.admin.stats("q");
    broker.dropConnections();
    await assert.rejects(waiting, { code: "unavailable", reason: "CONNECTION_LOST", retryable: true });
  }));

test("settle: one result each, by name", () =>
  withBroker(async (fila) => {
    await fill(fila, 2);
    const [one, two] = await fila.lease("q", { maxMessages: 2 });
    assert.ok(one && two);
    const results = await fila.settle("q", [
      { id: one.id, token: one.token, action: "nack", error: "no" },
      { id: two.id, token: new Uint8Array(8), action: "ack" },
    ]);
    assert.equal(results[0]?.ok, true);
    assert.ok(results[1]?.ok === false && results[1].error instanceof LeaseLost);
    assert.equal((await fila.lease("q"))[0]?.attempt, 1);
  }));

test("leases: all of them in order; settlements share requests", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 500);
    const seen: string[] = [];
    const acks: Promise<void>[] = [];
    for await (const lease of fila.leases("q", { prefetch: 50 })) {
      seen.push(text(lease));
      acks.push(lease.ack());
      if (seen.length === 500) break;
    }
    await Promise.all(acks);
    assert.deepEqual(
      seen,
      Array.from({ length: 500 }, (_, i) => `m${i}`),
    );
    assert.equal(broker.queues.get("q")?.length, 0);
  }));

test("leaving the loop releases what was not yielded, without an attempt; a yielded lease can still be acked", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 100);
    let held: Lease | undefined;
    for await (const lease of fila.leases("q", { prefetch: 20 })) {
      held = lease;
      break;
    }
    assert.ok(held);
    const leased = broker.queues.get("q")?.filter(({ lease }) => lease !== undefined);
    assert.deepEqual(
      leased?.map(({ id }) => id),
      [held.id],
    );
    assert.equal(
      broker.queues.get("q")?.every(({ attempts }) => attempts === 0),
      true,
    );
    await held.ack();
    await broker.until(() => broker.leaseStreamsEnded === 1);
    assert.equal(broker.queues.get("q")?.length, 99);
    assert.ok(
      broker.settled.every(({ action }) => action === SettlementAction.RELEASE || action === SettlementAction.ACK),
    );
  }));

test("leases ends on its signal, also while it waits", () =>
  withBroker(async (fila, broker) => {
    const abort = new AbortController();
    const leases = fila.leases("q", { signal: abort.signal });
    const next = leases.next();
    const second = leases.next();
    abort.abort();
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.deepEqual(await second, { done: true, value: undefined });
    assert.deepEqual(await leases.next(), { done: true, value: undefined });
    await broker.until(() => broker.leaseStreamsEnded === 1);
  }));

test("a lost lease aborts its signal with LeaseLost, and its ack is refused", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 1);
    const leases = fila.leases("q", { prefetch: 1 });
    const { value: lease } = await leases.next();
    assert.ok(lease);
    const lost = new Promise<unknown>((resolve) => {
      lease.signal.addEventListener("abort", () => resolve(lease.signal.reason));
    });
    broker.expire(lease.id);
    assert.ok((await lost) instanceof LeaseLost);
    await assert.rejects(lease.ack(), LeaseLost);
    const { value: again } = await leases.next();
    assert.deepEqual([again?.id, again?.attempt], [lease.id, 1]);
    await again?.ack();
    await leases.return();
  }));

test("a broken stream rejects next, aborts held leases, and later settlements are answered by the broker", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 1);
    const leases = fila.leases("q");
    const { value: lease } = await leases.next();
    assert.ok(lease);
    const next = leases.next();
    broker.dropConnections();
    await assert.rejects(next, (error) => error instanceof FilaError && error.code === "unavailable");
    assert.ok(lease.signal.aborted && lease.signal.reason instanceof LeaseLost);
    await broker.until(() => broker.leaseStreamsEnded === 1);
    await assert.rejects(lease.ack(), LeaseLost);
    const [again] = await fila.lease("q");
    assert.equal(again?.attempt, 1);
  }));

test("leases of a missing queue: not_found, at once", () =>
  withBroker(async (fila) => {
    await assert.rejects(fila.leases("missing").next(), { code: "not_found", reason: "QUEUE_NOT_FOUND" });
  }));

test("nack with an error, release, and extend over the stream", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 2);
    const leases = fila.leases("q", { prefetch: 2 });
    const one = (await leases.next()).value;
    const two = (await leases.next()).value;
    assert.ok(one && two);
    assert.equal((await one.extend(3000)).getTime(), 1_003_000);
    await one.nack(new Error("broken"));
    await two.release();
    await leases.return();
    const nack = broker.settled.find(({ action }) => action === SettlementAction.NACK);
    assert.equal(nack?.error, "broken");
  }));

test("a nack says when the message comes again, or that it is a dead letter, by stream and by call", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 7);
    const [five, six] = await fila.lease("q", { maxMessages: 2 });
    const leases = fila.leases("q", { prefetch: 4 });
    const streamed = await Promise.all([leases.next(), leases.next(), leases.next(), leases.next()]);
    const [one, two, three, four] = streamed.map(({ value }) => value!);
    await assert.rejects(one!.nack("no", { delay: "366d" }), { code: "invalid_argument", reason: "INVALID_DURATION" });
    await one!.nack("later", { delay: "1m" });
    await two!.nack("now", { delay: 0 });
    await three!.nack(new Error("never"), { deadLetter: true });
    await four!.nack(new DeadLetter("never, said deeper down"));
    await five!.nack("later", { delay: 7 });
    const { id, token } = six!;
    const settlement = { id, token, action: "nack", error: "never", deadLetter: true } as const;
    assert.deepEqual(await fila.settle("q", [settlement]), [{ ok: true, expiresAt: undefined }]);
    await leases.return();
    const nacks = broker.settled.filter(({ action }) => action === SettlementAction.NACK);
    assert.deepEqual(
      nacks.map(({ error, retryDelayMs, deadLetter }) => [error, retryDelayMs, deadLetter]),
      [
        ["later", 60_000, false],
        ["now", 0, false],
        ["never", undefined, true],
        ["never, said deeper down", undefined, true],
        ["later", 7, false],
        ["never", undefined, true],
      ],
    );
  }));

test("never more leases ahead than prefetch", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 30);
    const leases = fila.leases("q", { prefetch: 4 });
    for (let taken = 1; taken <= 30; taken++) {
      const { value } = await leases.next();
      const leased = broker.queues.get("q")?.filter(({ lease }) => lease !== undefined).length ?? 0;
      assert.ok(leased <= 1 + 4, `${leased} leased`);
      await value?.ack();
    }
    await leases.return();
  }));

test("leases that reconnect: what was read and what waits is taken up again; the iteration goes on", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 4);
    const leases = fila.leases("q", { reconnect: true, prefetch: 2 });
    const first = (await leases.next()).value;
    assert.ok(first);
    await broker.until(() => leasedNow(broker) === 3);
    broker.keepLeases = true;
    broker.dropConnections();
    await broker.until(() => broker.sessions.length === 2);
    assert.ok(broker.sessions[0] !== "" && broker.sessions[0] === broker.sessions[1]);
    const rest: Lease[] = [];
    for await (const lease of leases) {
      rest.push(lease);
      if (rest.length === 3) break;
    }
    assert.equal(first.signal.aborted, false);
    await Promise.all([first, ...rest].map((lease) => lease.ack()));
    // One may have been on its way when the connection broke: it went back, not begun, and came again.
    assert.deepEqual([first, ...rest].map(text).toSorted(), ["m0", "m1", "m2", "m3"]);
    assert.ok(rest.every(({ attempt }) => attempt === 0));
    assert.equal(broker.queues.get("q")?.length, 0);
  }));

test("leases that reconnect: a stream that merely broke has lost them, and an ack without an answer is sent again", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 2);
    const leases = fila.leases("q", { reconnect: true, prefetch: 2 });
    const acked = (await leases.next()).value;
    const lost = (await leases.next()).value;
    assert.ok(acked && lost);
    broker.answers = false;
    const ack = acked.ack();
    await broker.until(() => broker.settled.length === 1);
    const signal = Promise.withResolvers<unknown>();
    lost.signal.addEventListener("abort", () => signal.resolve(lost.signal.reason));
    broker.answers = true;
    broker.dropConnections();
    await ack;
    assert.ok((await signal.promise) instanceof LeaseLost);
    const again = (await leases.next()).value;
    assert.deepEqual([again?.id, again?.attempt], [lost.id, 1]);
    await again?.ack();
    await leases.return();
    assert.equal(broker.queues.get("q")?.length, 0);
  }));

test("what is released does not come again: credit is taken back first", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 5);
    for await (const lease of fila.leases("q", { prefetch: 20 })) {
      await lease.ack();
      break;
    }
    await broker.until(() => broker.leaseStreamsEnded === 1);
    const left = broker.queues.get("q") ?? [];
    assert.deepEqual(
      left.map(({ attempts, lease }) => [attempts, lease]),
      Array.from({ length: 4 }, () => [0, undefined]),
    );
  }));

test("a settlement without an answer is rejected when the stream breaks", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 1);
    const { value: lease } = await fila.leases("q").next();
    assert.ok(lease);
    const acked = assert.rejects(lease.ack(), { code: "unavailable" });
    broker.dropConnections();
    await acked;
  }));

test("news of an older lease of the same message changes nothing", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 1);
    const leases = fila.leases("q");
    const { value: lease } = await leases.next();
    assert.ok(lease);
    broker.tellLost(lease.id, new Uint8Array(8));
    await lease.extend();
    assert.equal(lease.signal.aborted, false);
    await lease.ack();
    await leases.return();
  }));
