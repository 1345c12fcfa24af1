import assert from "node:assert/strict";
import test from "node:test";
import type { FakeBroker } from "../fake/fake-broker.ts";
import { withBroker } from "../fake/with-broker.ts";
import { SettlementAction } from "../gen/index.ts";
import { connect, json, LeaseLost, queue, type Fila, type WorkerState } from "../index.ts";

interface Email {
  readonly to: string;
}
const emails = queue("q", json<Email>());

const left = (broker: FakeBroker): number => broker.queues.get("q")?.length ?? 0;
const count = (broker: FakeBroker, action: SettlementAction): number =>
  broker.settled.filter((settled) => settled.action === action).length;
const attempts = (broker: FakeBroker): number[] => broker.queues.get("q")?.map(({ attempts: made }) => made) ?? [];
const leased = (broker: FakeBroker): number =>
  broker.queues.get("q")?.filter(({ lease }) => lease !== undefined).length ?? 0;

async function fill(fila: Fila, messages: number): Promise<void> {
  await Promise.all(Array.from({ length: messages }, (_, i) => fila.enqueue(emails, { to: `${i}` })));
}

/** Resolves when the signal aborts. */
const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });

test("returning is the ack, throwing is the nack; the message says what was sent", () =>
  withBroker(async (fila, broker) => {
    const seen: unknown[] = [];
    const errors: unknown[] = [];
    await fila.enqueue(
      emails,
      { to: "ada" },
      { headers: { a: "1" }, fairnessKey: "k", weight: 3, throttleKeys: ["t"] },
    );
    await fila.enqueue(emails, { to: "bob" });
    const worker = fila.work(
      emails,
      async ({ payload, ...rest }) => {
        seen.push([payload.to, rest.id.length]);
        if (payload.to === "bob" && seen.length === 2) throw new Error("x".repeat(5_000));
      },
      {
        concurrency: 1,
        onError: (error, { id, attempt }) => errors.push([(error as Error).message.length, id.length, attempt]),
      },
    );
    await broker.until(() => left(broker) === 0);
    assert.equal(worker.state, "running");
    await worker.stop();
    await worker.finished;
    assert.equal(worker.state, "stopped");
    assert.deepEqual(seen, [
      ["ada", 36],
      ["bob", 36],
      ["bob", 36],
    ]);
    assert.deepEqual(errors, [[5_000, 36, 0]]);
    const [nack] = broker.settled.filter(({ action }) => action === SettlementAction.NACK);
    assert.equal(nack?.error, "x".repeat(1_000));
  }));

test("the fields of a message", () =>
  withBroker(async (fila) => {
    await fila.enqueue(
      emails,
      { to: "ada" },
      { headers: { a: "1" }, fairnessKey: "k", weight: 3, throttleKeys: ["t"] },
    );
    const got = Promise.withResolvers<unknown>();
    await using _worker = fila.work(emails, (message) => {
      const { headers, fairnessKey, weight, throttleKeys, attempt, enqueuedAt, leasedAt } = message;
      const times = [enqueuedAt.getTime(), leasedAt.getTime()];
      got.resolve([message.queue, { ...headers }, fairnessKey, weight, throttleKeys, attempt, times]);
    });
    assert.deepEqual(await got.promise, ["q", { a: "1" }, "k", 3, ["t"], 0, [1_700_000_000_123, 1_700_000_001_456]]);
  }));

test("a payload that cannot be decoded is dead-lettered with the reason, and the worker goes on", () =>
  withBroker(async (fila, broker) => {
    await fila.enqueue("q", "{");
    await fila.enqueue(emails, { to: "ada" });
    const errors: unknown[] = [];
    const got = Promise.withResolvers<string>();
    const worker = fila.work(emails, ({ payload }) => got.resolve(payload.to), {
      concurrency: 1,
      onError: (error) => {
        errors.push((error as { reason?: string }).reason);
        throw new Error("a callback that throws");
      },
    });
    assert.equal(await got.promise, "ada");
    await worker.stop();
    assert.deepEqual(errors, ["INVALID_PAYLOAD"]);
    const [nack] = broker.settled.filter(({ action }) => action === SettlementAction.NACK);
    assert.match(nack?.error ?? "", /^the payload of message \S+ cannot be decoded: .*JSON/);
    assert.equal(nack?.deadLetter, true);
  }));

test("whatever a handler throws or returns is a nack or an ack, and the worker goes on", () =>
  withBroker(async (fila, broker) => {
    const odd = (property: string, value: PropertyDescriptor): object =>
      Object.defineProperty(new Error("odd"), property, value);
    const fails = (): never => {
      throw new Error("a getter that throws");
    };
    const thrown: unknown[] = [
      odd("message", { value: undefined }),
      odd("message", { value: 42 }),
      odd("message", { get: fails }),
      Object.create(null),
      Symbol("s"),
      undefined,
      new Proxy({}, { getPrototypeOf: fails }),
      new Error("\ud800"),
    ];
    const returned: unknown[] = [odd("then", { get: fails }), odd("then", { value: fails })];
    // Each once by a handler that fails at once, and once by one that fails later.
    const ways: (() => unknown)[] = thrown.flatMap((value) => [
      () => {
        throw value;
      },
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the programs meant here do
      () => Promise.reject(value),
    ]);
    ways.push(...returned.map((value) => () => value));
    const told: unknown[] = [];
    await fill(fila, ways.length);
    const worker = fila.work(
      emails,
      ({ payload, attempt }) => (attempt === 0 ? (ways[Number(payload.to)]?.() as Promise<void>) : undefined),
      {
        concurrency: 1,
        onError: (error) => told.push(error),
      },
    );
    await broker.until(() => left(broker) === 0);
    await worker.stop();
    assert.equal(told.length, ways.length);
    for (const value of thrown) assert.equal(told.filter((one) => Object.is(one, value)).length, 2);
    assert.equal(count(broker, SettlementAction.NACK), ways.length);
    assert.equal(count(broker, SettlementAction.ACK), ways.length);
  }));

test("what cannot pass fails the worker; nobody need look", () =>
  withBroker(async (fila) => {
    const states: unknown[] = [];
    const worker = fila.work("missing", () => undefined, {
      onStateChange: (state, cause) => states.push([state, (cause as { reason?: string } | undefined)?.reason]),
    });
    await assert.rejects(worker.finished, { code: "not_found", reason: "QUEUE_NOT_FOUND" });
    await worker.stop();
    assert.deepEqual(states, [["failed", "QUEUE_NOT_FOUND"]]);
    fila.work("missing", () => undefined);
    const other = fila.work("missing", () => undefined);
    await assert.rejects(other.finished, { reason: "QUEUE_NOT_FOUND" });
    assert.equal(other.state, "failed");
    for (const bad of [
      () => fila.work("", () => undefined),
      () => fila.work("q", 5 as unknown as () => void),
      () => fila.work("q", () => undefined, { concurrency: 0 }),
      () => fila.work("q", () => undefined, { concurrency: 10_001 }),
      () => fila.work("q", () => undefined, { prefetch: -1 }),
      () => fila.work("q", () => undefined, { visibilityTimeout: "13h" }),
      () => fila.work("q", () => undefined, { visibilityTimeout: "999ms" }),
      () => fila.work("q", () => undefined, { extend: { maximum: "soon" as "1s" } }),
    ]) {
      assert.throws(bad, { code: "invalid_argument" });
    }
    const good = fila.work("q", () => undefined);
    await assert.rejects(good.stop({ drain: "now" as "nack" }), { code: "invalid_argument" });
    await assert.rejects(good.stop({ drainTimeout: -1 }), { code: "invalid_argument" });
    await good.stop();
  }));

test("stop: what no handler has begun goes back at once, without an attempt; what runs comes to its end", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 10);
    const begun = Promise.withResolvers<undefined>();
    const go = Promise.withResolvers<undefined>();
    const worker = fila.work(
      emails,
      async () => {
        if (worker.inFlight === 2) begun.resolve(undefined);
        await go.promise;
      },
      { concurrency: 2, prefetch: 4 },
    );
    await begun.promise;
    await broker.until(() => leased(broker) === 6);
    const stopped = worker.stop();
    assert.equal(worker.state, "stopping");
    await broker.until(() => leased(broker) === 2);
    assert.equal(count(broker, SettlementAction.RELEASE), 4);
    assert.equal(worker.inFlight, 2);
    go.resolve(undefined);
    await stopped;
    assert.equal(left(broker), 8);
    assert.deepEqual(attempts(broker), Array(8).fill(0));
    await broker.until(() => broker.leaseStreamsEnded === 1);
  }));

for (const drain of ["nack", "abandon"] as const) {
  test(`stop with drain "${drain}": signals abort, and the handlers are not waited for`, () =>
    withBroker(async (fila, broker) => {
      await fill(fila, 3);
      const reasons: Promise<unknown>[] = [];
      const begun = Promise.withResolvers<undefined>();
      const worker = fila.work(
        emails,
        async (_, { signal }) => {
          reasons.push(aborted(signal));
          if (reasons.length === 2) begun.resolve(undefined);
          await new Promise(() => undefined);
        },
        { concurrency: 2, prefetch: 1 },
      );
      await begun.promise;
      await broker.until(() => leased(broker) === 3);
      await worker.stop({ drain });
      for (const reason of await Promise.all(reasons)) {
        assert.equal((reason as { reason: string }).reason, "WORKER_STOPPED");
      }
      await broker.until(() => broker.leaseStreamsEnded === 1);
      assert.equal(count(broker, SettlementAction.NACK), drain === "nack" ? 2 : 0);
      assert.deepEqual(attempts(broker), [1, 1, 0]);
      assert.equal(leased(broker), 0);
    }));
}

test("a signal stops the worker; one that is aborted already starts nothing", () =>
  withBroker(async (fila, broker) => {
    const abort = new AbortController();
    const states: WorkerState[] = [];
    const worker = fila.work("q", () => undefined, {
      signal: abort.signal,
      onStateChange: (state) => {
        states.push(state);
        if (state === "running") abort.abort();
      },
    });
    await worker.finished;
    assert.deepEqual(states, ["running", "stopping", "stopped"]);
    const none = fila.work("q", () => undefined, { signal: abort.signal });
    await none.finished;
    assert.equal(none.state, "stopped");
    assert.equal(broker.sessions.length, 1);
  }));

test("a lost lease aborts the signal, nothing is settled for it, and the worker goes on", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 1);
    const errors: unknown[] = [];
    const reasons: unknown[] = [];
    const again = Promise.withResolvers<number>();
    const worker = fila.work(
      emails,
      async ({ id, attempt }, { signal }) => {
        if (attempt > 0) return again.resolve(attempt);
        const lost = aborted(signal);
        broker.expire(id);
        reasons.push(await lost);
      },
      { onError: (error) => errors.push(error) },
    );
    assert.equal(await again.promise, 1);
    await broker.until(() => left(broker) === 0);
    await worker.stop();
    assert.ok(reasons.length === 1 && reasons[0] instanceof LeaseLost);
    assert.deepEqual(errors, reasons);
    assert.equal(count(broker, SettlementAction.ACK), 1);
  }));

test("an ack that is refused is told, once", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 1);
    const told = Promise.withResolvers<unknown>();
    const errors: unknown[] = [];
    const worker = fila.work(
      emails,
      ({ attempt }) => {
        const [message] = broker.queues.get("q") ?? [];
        // Taken away without a word.
        if (attempt === 0 && message !== undefined) message.lease = undefined;
        if (message !== undefined) message.attempts = 1;
      },
      { onError: (error) => told.resolve(errors.push(error)) },
    );
    await told.promise;
    await broker.until(() => left(broker) === 0);
    await worker.stop();
    assert.ok(errors.length === 1 && errors[0] instanceof LeaseLost);
  }));

test("over a restart handlers go on, their leases stand, and an ack without an answer is sent again", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 5);
    const begun = Promise.withResolvers<undefined>();
    const go = Promise.withResolvers<undefined>();
    const errors: unknown[] = [];
    const states: WorkerState[] = [];
    let handled = 0;
    const worker = fila.work(
      emails,
      async ({ payload }) => {
        handled++;
        if (payload.to === "0") return;
        if (worker.inFlight === 2) begun.resolve(undefined);
        await go.promise;
      },
      {
        concurrency: 2,
        prefetch: 2,
        onError: (error) => errors.push(error),
        onStateChange: (state) => states.push(state),
      },
    );
    broker.answers = false;
    await begun.promise;
    await broker.until(() => broker.settled.length === 1);
    broker.keepLeases = true;
    broker.answers = true;
    broker.dropConnections();
    await broker.until(() => broker.sessions.length === 2);
    go.resolve(undefined);
    await broker.until(() => left(broker) === 0);
    await worker.stop();
    assert.deepEqual(states, ["running", "reconnecting", "running", "stopping", "stopped"]);
    assert.equal(handled, 5);
    assert.deepEqual(errors, []);
    assert.equal(count(broker, SettlementAction.ACK), 6);
    assert.ok(broker.settled.every(({ ok }) => ok));
  }));

test("a draining broker gets back what is not begun; the worker comes back for what runs", () =>
  withBroker(async (fila, broker) => {
    await fill(fila, 4);
    const begun = Promise.withResolvers<undefined>();
    const go = Promise.withResolvers<undefined>();
    const worker = fila.work(
      emails,
      async () => {
        begun.resolve(undefined);
        await go.promise;
      },
      { concurrency: 1, prefetch: 2 },
    );
    await begun.promise;
    await broker.until(() => leased(broker) === 3);
    broker.drain();
    await broker.until(() => leased(broker) === 1);
    broker.keepLeases = true;
    broker.dropConnections();
    await broker.until(() => broker.sessions.length === 2);
    go.resolve(undefined);
    await broker.until(() => left(broker) === 0);
    await worker.stop();
    assert.equal(count(broker, SettlementAction.NACK), 0);
    assert.equal(count(broker, SettlementAction.ACK), 4);
  }));

test("a client that closes stops its workers", () =>
  withBroker(async (_, broker, url) => {
    const fila = connect(url);
    await fill(fila, 1);
    const begun = Promise.withResolvers<undefined>();
    const worker = fila.work(emails, async (_message, { signal }) => {
      begun.resolve(undefined);
      await new Promise<void>((resolve) => setImmediate(resolve));
      assert.equal(signal.aborted, false);
    });
    await begun.promise;
    await fila.close();
    await worker.finished;
    assert.equal(left(broker), 0);
    assert.throws(() => fila.work("q", () => undefined), { reason: "CLIENT_CLOSED" });
  }));
