// Every counter moves exactly as the events say, and for nothing that is not durable.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MeasuredBroker } from "./testing/measured-broker.ts";

describe("the counters of a queue", () => {
  it("move with each event, and only those of its queue", async (t) => {
    const made = await MeasuredBroker.open(t);
    for (const queue of ["q", "other"])
      await made.broker.createQueue(queue, { visibilityMs: 1_000, initialBackoffMs: 0 });
    await made.enqueue("q", ..."a b c d e f g h".split(" "));
    assert.deepEqual(await made.counts("q"), { enqueued: 8 });
    const { listener } = await made.lease("q", 4);
    assert.deepEqual(await made.counts("q"), { enqueued: 8, leased: 4 });
    const [first, second, third] = listener.deliveries;

    await made.settle("q", "ack", [first!]);
    // Again, and with a token that nobody has: neither changes anything.
    assert.deepEqual(await made.settle("q", "ack", [first!]), [undefined]);
    assert.equal(typeof (await made.settle("q", "ack", [{ ...second!, token: first!.token }]))[0], "object");
    assert.deepEqual(await made.counts("q"), { enqueued: 8, leased: 4, acked: 1 });

    await made.settle("q", "extend", [second!, third!]);
    await made.settle("q", "nack", [second!]);
    await made.settle("q", "release", [third!]);
    const settled = { enqueued: 8, leased: 4, acked: 1, extended: 2, nacked: 1, retried: 1, released: 1 };
    assert.deepEqual(await made.counts("q"), settled);

    made.clock.advance(1_001);
    await listener.until(({ lostLeases }) => lostLeases.length === 1);
    assert.deepEqual(await made.counts("q"), { ...settled, expired: 1, retried: 2 });
    assert.deepEqual(await made.counts("other"), {});
  });

  it("tell a stream that died from one that gave back what it was never sent", async (t) => {
    const made = await MeasuredBroker.open(t);
    await made.broker.createQueue("q", { visibilityMs: 1_000, initialBackoffMs: 0 });
    await made.enqueue("q", "a", "b", "c");
    const { consumer } = await made.lease("q", 3);
    consumer.close(2);
    // Written were all three, which counts more than what the close says.
    await made.enqueue("q", "d");
    assert.deepEqual(await made.counts("q"), { enqueued: 4, leased: 3, stream_died: 3, retried: 3 });
    const unwritten = await made.lease("q", 0);
    unwritten.consumer.credit(2);
    await unwritten.listener.until(({ deliveries }) => deliveries.length === 2);
    unwritten.consumer.close(0);
    await made.enqueue("q", "e");
    assert.deepEqual(await made.counts("q"), { enqueued: 5, leased: 5, stream_died: 3, retried: 3, released: 2 });
  });

  it("tell retries, dead letters, redrives, times to live and what operators removed", async (t) => {
    const made = await MeasuredBroker.open(t);
    const { operations } = made.broker;
    await made.broker.createQueue("q", { maxAttempts: 2, initialBackoffMs: 0 });
    const item = { queue: "q", fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: Buffer.from("b") };
    const enqueue = (more: object): Promise<unknown> =>
      new Promise((resolve) => made.broker.enqueue([{ ...item, ...more }], resolve));
    await made.enqueue("q", "a");
    const { listener, consumer } = await made.lease("q", 1);
    consumer.credit(1);
    await made.settle("q", "nack", listener.deliveries);
    assert.deepEqual(await made.counts("q"), { enqueued: 1, leased: 2, nacked: 1, retried: 1 });
    await listener.until(({ deliveries }) => deliveries.length === 2);
    await made.settle("q", "nack", listener.deliveries.slice(1));
    const failed = { enqueued: 1, leased: 2, nacked: 2, retried: 1, dead_lettered: 1 };
    assert.deepEqual(await made.counts("q"), failed);
    consumer.close(2);

    const all = { queue: "q.dlq", filter: {}, count: 0, dryRun: false, ratePerSecond: 0 };
    await operations.redrive(all, () => undefined, new AbortController().signal);
    assert.deepEqual(await made.counts("q"), { ...failed, redriven: 1 });
    assert.deepEqual(await made.counts("q.dlq"), {});

    await enqueue({ ttlMs: 100 });
    await enqueue({ delayMs: 60_000 });
    made.clock.advance(101);
    await operations.describeQueue("q", 1);
    const outlived = { ...failed, enqueued: 3, redriven: 1, delayed: 1, outlived: 1 };
    assert.deepEqual(await made.counts("q"), outlived);

    const id = (await enqueue({})) as readonly string[];
    assert.ok((await operations.cancelMessage("q", id[0]!)).ok);
    assert.deepEqual(await operations.purgeQueue("q"), { ok: true, value: 2 });
    assert.deepEqual(await made.counts("q"), { ...outlived, enqueued: 4, cancelled: 1, purged: 2 });
  });

  it("do not move before a commit is durable, and never for one that was rejected", async (t) => {
    const made = await MeasuredBroker.open(t);
    await made.broker.createQueue("q", { visibilityMs: 1_000, initialBackoffMs: 0 });
    made.storage.gated = true;
    const item = { queue: "q", fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: Buffer.from("b") };
    const enqueue = (): Promise<unknown> => new Promise((resolve) => made.broker.enqueue([item], resolve));
    const stored = enqueue();
    const commit = await made.storage.nextHeld();
    assert.deepEqual(await made.counts("q"), {});
    commit.allow();
    await stored;
    assert.deepEqual(await made.counts("q"), { enqueued: 1 });

    const refused = enqueue();
    (await made.storage.nextHeld()).reject("failed", false);
    await refused;
    assert.deepEqual(await made.counts("q"), { enqueued: 1 });
    const samples = await made.samples();
    assert.equal(samples.get('fila_storage_errors_total{operation="commit"}'), 1);
    assert.equal(samples.get("fila_storage_commit_duration_seconds_count"), 2);
    assert.equal(samples.get("fila_broker_serving"), 0);

    // The counters outlive the core, which is built anew.
    made.storage.gated = false;
    while (made.broker.state !== "serving") {
      made.clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await enqueue();
    assert.deepEqual(await made.counts("q"), { enqueued: 2 });
    assert.equal((await made.samples()).get("fila_broker_serving"), 1);
  });
});

describe("gauges of a queue", () => {
  it("say how it stands, and go back to zero", async (t) => {
    const made = await MeasuredBroker.open(t);
    await made.broker.createQueue("q", { visibilityMs: 60_000, initialBackoffMs: 0 });
    const gauges = async (): Promise<Record<string, number>> => {
      const all = [...(await made.samples())].map(
        ([series, value]) => [/^fila_queue_(\w+)\{queue="q"\}/.exec(series)?.[1], value] as const,
      );
      return Object.fromEntries(all.filter(([name]) => name !== undefined));
    };
    const idle = { depth: 0, in_flight: 0, consumers: 0, fairness_keys: 0, oldest_age_seconds: 0 };
    assert.deepEqual(await gauges(), idle);
    await made.enqueue("q", "a", "b", "b");
    made.clock.advance(2_500);
    await made.enqueue("q", "c");
    assert.deepEqual(await gauges(), { ...idle, depth: 4, fairness_keys: 3, oldest_age_seconds: 2.5 });
    const { listener, consumer } = await made.lease("q", 2);
    // In turn: one of a, one of b. The second of b waits as long.
    assert.deepEqual(await gauges(), {
      depth: 4,
      in_flight: 2,
      consumers: 1,
      fairness_keys: 2,
      oldest_age_seconds: 2.5,
    });
    consumer.credit(2);
    await listener.until(({ deliveries }) => deliveries.length === 4);
    await made.settle("q", "ack", listener.deliveries);
    consumer.close(4);
    await made.enqueue("q");
    assert.deepEqual(await gauges(), idle);
  });

  it("vanish with their queue, all of its series at once", async (t) => {
    const made = await MeasuredBroker.open(t);
    for (const queue of ["q", "stays"])
      await made.broker.createQueue(queue, { visibilityMs: 1_000, initialBackoffMs: 0 });
    await made.enqueue("q", "a");
    assert.equal([...(await made.samples()).keys()].filter((series) => series.includes('queue="q"')).length, 26);
    await made.broker.deleteQueue("q");
    const left = [...(await made.samples()).keys()];
    assert.deepEqual(
      left.filter((series) => series.includes('"q"') || series.includes("overflow")),
      [],
    );
    // A new queue of that name begins anew.
    await made.broker.createQueue("q", { visibilityMs: 1_000, initialBackoffMs: 0 });
    assert.deepEqual(await made.counts("q"), {});
  });

  it("are bounded in number; what has no series of its own is shown together", async (t) => {
    const made = await MeasuredBroker.open(t, { maxQueueSeries: 5 });
    for (let at = 0; at < 40; at += 1)
      await made.broker.createQueue(`q${at}`, { visibilityMs: 1_000, initialBackoffMs: 0 });
    for (let at = 0; at < 40; at += 1) await made.enqueue(`q${at}`, ...Array<string>(at).fill("k"));
    const samples = await made.samples();
    const named = [...samples.keys()].filter((series) => series.startsWith("fila_messages_enqueued_total"));
    assert.deepEqual(
      named.sort(),
      [
        ...["q35", "q36", "q37", "q38", "q39"].map((queue) => `fila_messages_enqueued_total{queue="${queue}"}`).sort(),
        'fila_messages_enqueued_total{otel_metric_overflow="true"}',
      ].sort(),
    );
    assert.equal(samples.get('fila_messages_enqueued_total{otel_metric_overflow="true"}'), (34 * 35) / 2);
    assert.equal(samples.get('fila_queue_depth{otel_metric_overflow="true"}'), (34 * 35) / 2);
    assert.equal(samples.get("fila_scheduler_drr_active_keys"), 39);
  });
});

describe("what is measured of the broker as a whole", () => {
  it("is the time from the enqueue to the first lease, not that of a retry", async (t) => {
    const made = await MeasuredBroker.open(t);
    await made.broker.createQueue("q", { visibilityMs: 60_000, initialBackoffMs: 0 });
    await made.enqueue("q", "a", "b");
    made.clock.advance(250);
    const { listener, consumer } = await made.lease("q", 2);
    const latency = (): readonly [number, number] => {
      const { count, sum } = made.read().deliveryLatency;
      return [count, sum];
    };
    assert.deepEqual(latency(), [2, 0.5]);
    await made.settle("q", "nack", listener.deliveries);
    made.clock.advance(1_000);
    consumer.credit(2);
    await listener.until(({ deliveries }) => deliveries.length === 4);
    assert.deepEqual(latency(), [2, 0.5]);
  });

  it("are the changes of each commit, and where the bytes of deliveries came from", async (t) => {
    const made = await MeasuredBroker.open(t);
    await made.broker.createQueue("q", { visibilityMs: 60_000, initialBackoffMs: 0 });
    await made.enqueue("q", "a", "b", "c");
    const { listener } = await made.lease("q", 2);
    await made.settle("q", "ack", listener.deliveries);
    const { commitMessages, broker } = made.read();
    // The queue's creation, three stored, two leased, two acked.
    assert.deepEqual([commitMessages.count, commitMessages.sum], [4, 7]);
    // Nothing is kept, so both were read back.
    assert.deepEqual([broker.payloadCacheHits, broker.payloadCacheMisses], [0, 2]);
    const direct = await made.lease("q", 1);
    direct.consumer.credit(1);
    await made.enqueue("q", "d");
    await direct.listener.until(({ deliveries }) => deliveries.length === 2);
    assert.equal(made.read().broker.payloadCacheHits, 1);
  });

  it("are calls by method and status, what is open, and the process", async (t) => {
    const made = await MeasuredBroker.open(t);
    for (const [method, code] of [
      ["Enqueue", 0],
      ["Enqueue", 0],
      ["Enqueue", 5],
      ["Ack", 99],
    ] as const) {
      made.metrics.onCall({ method, code });
    }
    made.clock.advance(4_000);
    const samples = await made.samples();
    const shown = (start: string): unknown => [...samples].filter(([series]) => series.startsWith(start));
    assert.deepEqual(shown("fila_rpc_calls"), [
      ['fila_rpc_calls_total{method="Enqueue",code="OK"}', 2],
      ['fila_rpc_calls_total{method="Enqueue",code="NOT_FOUND"}', 1],
      ['fila_rpc_calls_total{method="Ack",code="UNKNOWN"}', 1],
    ]);
    assert.deepEqual(shown("fila_rpc_con"), [["fila_rpc_connections", 3]]);
    assert.deepEqual(shown("fila_rpc_str"), [["fila_rpc_streams", 2]]);
    assert.deepEqual(shown("fila_uptime"), [["fila_uptime_seconds", 4]]);
    assert.deepEqual(shown("fila_build"), [[`fila_build_info{version="1.2.3",node="${process.versions.node}"}`, 1]]);
    assert.ok(samples.get('fila_process_memory_bytes{kind="rss"}')! > 1e7);
    assert.ok(samples.get('fila_process_cpu_time_seconds_total{mode="user"}')! > 0);
  });
});
