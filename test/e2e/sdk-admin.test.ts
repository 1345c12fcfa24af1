// The admin client of the SDK against the real broker, over a store in memory and a clock that the test moves.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { connect, type Fila } from "@fila/sdk";
import { connectAdmin, type Admin, type ConfigChange, type MessageFilter } from "@fila/sdk/admin";
import { startLive, type LiveServer } from "../../server/src/rpc/testing/live-server.ts";

interface Operated {
  readonly live: LiveServer;
  readonly fila: Fila;
  readonly admin: Admin;
}

async function operated(t: TestContext): Promise<Operated> {
  const live = await startLive(t);
  const fila = connect(live.url);
  t.after(() => fila.close());
  return { live, fila, admin: fila.admin };
}

/** Enqueues payloads, each with a key of the same name. */
async function fill({ fila }: Operated, queue: string, ...payloads: string[]): Promise<string[]> {
  return Promise.all(payloads.map((payload) => fila.enqueue(queue, payload, { fairnessKey: payload })));
}

async function listed(admin: Admin, queue: string, filter?: MessageFilter): Promise<string[]> {
  const messages = await Array.fromAsync(admin.listMessages(queue, { filter, withPayload: true }));
  return messages.map(({ payload }) => Buffer.from(payload).toString());
}

describe("admin: queues", () => {
  test("settings are given, changed and described", async (t) => {
    const { admin } = await operated(t);
    await admin.createQueue("q", {
      visibilityTimeout: "1m",
      maxAttempts: 3,
      initialBackoff: "1s",
      maxBackoff: "1h",
      expiredMessages: "dead_letter",
      idempotencyWindow: "1d",
    });
    const created = {
      name: "q",
      visibilityTimeoutMs: 60_000,
      maxAttempts: 3,
      initialBackoffMs: 1_000,
      maxBackoffMs: 3_600_000,
      expiredMessages: "dead_letter",
      idempotencyWindowMs: 86_400_000,
      retentionMs: 14 * 86_400_000,
      paused: false,
      deadLetterQueue: "q.dlq",
      keys: [],
      onEnqueue: undefined,
      onFailure: undefined,
      onHookError: "default",
      hooksSeePayload: false,
      maxInFlight: 0,
      maxInFlightPerKey: 0,
    } as const;
    assert.deepEqual(await admin.describeQueue("q"), created);
    await admin.updateQueue("q", { maxAttempts: 0, expiredMessages: "drop" });
    assert.deepEqual(await admin.describeQueue("q"), { ...created, maxAttempts: 0, expiredMessages: "drop" });
    await admin.updateQueue("q.dlq", { retention: "30d" });
    const deadLetters = await admin.describeQueue("q.dlq");
    assert.equal(deadLetters.retentionMs, 30 * 86_400_000);
    assert.equal(deadLetters.deadLetterQueue, undefined);
  });

  test("what cannot be meant is refused before it is sent", async () => {
    await using admin = connectAdmin("127.0.0.1:1");
    await assert.rejects(admin.createQueue("q", { maxAttempts: -1 }), { reason: "INVALID_FIELD" });
    await assert.rejects(admin.createQueue("q", { maxBackoff: "8d" }), { reason: "INVALID_DURATION" });
    await assert.rejects(admin.updateQueue("q", { expiredMessages: "keep" as "drop" }), { reason: "INVALID_FIELD" });
    await assert.rejects(admin.setKey("q", "k", { weight: 1001 }), { reason: "INVALID_FIELD" });
    await assert.rejects(admin.setKey("q", "k", { maxInFlight: 1_000_001 }), { reason: "INVALID_FIELD" });
    await assert.rejects(admin.createQueue("q", { maxInFlightPerKey: -1 }), { reason: "INVALID_FIELD" });
    await assert.rejects(admin.createQueue("q", { onEnqueue: "-".repeat(65_537) }), /65537 bytes long; at most 65536/);
    await assert.rejects(admin.updateQueue("q", { onHookError: "retry" as "reject" }), { reason: "INVALID_FIELD" });
    await assert.rejects(admin.testHook("on_enqueue", {}), /give a script, or the queue/);
    await assert.rejects(admin.testHook("on_ack" as "on_enqueue", { script: "" }), /"on_enqueue" or "on_failure"/);
    await assert.rejects(admin.peek("q", 0), { reason: "INVALID_FIELD" });
    const emptyFilters: MessageFilter[] = [{ ids: [] }, { fairnessKey: "" }, { states: [] }, { header: { name: "" } }];
    for (const filter of [...emptyFilters, { enqueuedAfter: new Date(NaN) }, { states: ["lost" as "ready"] }]) {
      await assert.rejects(admin.listMessages("q", { filter }).next(), { reason: "INVALID_FIELD" });
      await assert.rejects(admin.redrive("q.dlq", { filter }).next(), { reason: "INVALID_FIELD" });
    }
    assert.deepEqual(await admin.getMessages("q", []), []);
  });

  test("scripts are set, described, tried, and what fails of them is told", async (t) => {
    const { admin, fila } = await operated(t);
    const onEnqueue = `function on_enqueue(msg)
      if msg.headers.bad then error("bad header") end
      return { fairness_key = msg.headers.tenant, weight = 3, throttle_keys = {}, cost = "dear" }
    end`;
    const onFailure = `function on_failure(msg) return { action = "retry", delay_ms = msg.requested_delay_ms } end`;
    await admin.createQueue("q", { onEnqueue, onHookError: "reject" });
    await admin.updateQueue("q", { onFailure, hooksSeePayload: true });
    const headers = { tenant: "acme" };
    const id = await fila.enqueue("q", "x", { headers, throttleKeys: ["not asked"], cost: 2 });
    const { fairnessKey, weight, cost, throttleKeys } = await admin.getMessage("q", id);
    assert.deepEqual([fairnessKey, weight, cost, throttleKeys], ["acme", 3, 2, []]);
    await assert.rejects(fila.enqueue("q", "x", { headers: { bad: "yes" } }), {
      code: "failed_precondition",
      reason: "HOOK_FAILED",
    });

    const described = await admin.describeQueue("q");
    assert.equal(described.onEnqueue?.source, onEnqueue);
    const { breaker, calls, failures, warnings } = described.onEnqueue;
    assert.deepEqual([breaker, calls, failures, warnings], ["closed", 2, 1, 1]);
    assert.deepEqual([described.onHookError, described.hooksSeePayload], ["reject", true]);
    const [failure, ...others] = await admin.hookErrors("q");
    assert.deepEqual([others, failure?.hook, failure?.reason, failure?.line], [[], "on_enqueue", "error", 2]);
    assert.equal(failure?.sha256, described.onEnqueue.sha256);
    assert.ok(failure.at instanceof Date);

    const decided = await admin.testHook("on_enqueue", { queue: "q", headers });
    assert.ok(!("failure" in decided) && decided.hook === "on_enqueue");
    const own = { fairnessKey: "acme", weight: 3, cost: undefined, throttleKeys: [], delayMs: undefined };
    assert.deepEqual(decided.decision, own);
    assert.equal(decided.warnings.length, 1);
    assert.ok(decided.steps > 0 && decided.steps < decided.stepBudget && decided.bytes < decided.byteBudget);
    const again = await admin.testHook("on_failure", { queue: "q", requestedDelay: "3s", attempts: 2 });
    assert.ok(!("failure" in again) && again.hook === "on_failure");
    assert.deepEqual(again.decision, { action: "retry", delayMs: 3_000 });
    const decisions: object[] = [];
    for (const answer of ["{}", '{ action = "retry" }', '{ action = "dlq" }']) {
      const trial = await admin.testHook("on_failure", { script: `function on_failure(msg) return ${answer} end` });
      if (!("failure" in trial)) decisions.push(trial.decision);
    }
    assert.deepEqual(
      decisions,
      [undefined, "retry", "dlq"].map((action) => ({ action, delayMs: undefined })),
    );
    const script = `function on_enqueue(msg) return { fairness_key = fila.get("a") .. msg.payload } end`;
    const seen = await admin.testHook("on_enqueue", { script, payload: "b", seePayload: true, config: { a: "1" } });
    assert.deepEqual(
      [!("failure" in seen) && seen.decision, seen.configKeys],
      [{ ...own, fairnessKey: "1b", weight: undefined, throttleKeys: undefined }, ["a"]],
    );
    const failed = await admin.testHook("on_enqueue", { queue: "q", headers: { bad: "yes" } });
    assert.ok("failure" in failed);
    assert.deepEqual([failed.failure.reason, failed.failure.line, failed.failure.at], ["error", 2, undefined]);
    assert.equal((await admin.hookErrors("q")).length, 1, "trials are no traffic");

    await assert.rejects(admin.updateQueue("q", { onEnqueue: "function on_enqueue(" }), {
      code: "invalid_argument",
      reason: "SCRIPT_INVALID",
      message: /line 1/,
    });
    await admin.updateQueue("q", { onEnqueue: "" });
    assert.equal((await admin.describeQueue("q")).onEnqueue, undefined);
  });

  test("caps and throttles are set and shown", async (t) => {
    const { admin, fila } = await operated(t);
    await admin.createQueue("q", { maxInFlight: 5, maxInFlightPerKey: 2 });
    await admin.setKey("q", "a", { maxInFlight: 1 });
    await admin.setConfig("throttle.slow", "1,1");
    const message = { payload: "x", fairnessKey: "a", throttleKeys: ["slow"] };
    for await (const result of fila.enqueueMany("q", [message, { ...message, fairnessKey: "b" }])) assert.ok(result.ok);
    assert.equal((await fila.lease("q", { maxMessages: 2 })).length, 1);
    const { maxInFlight, maxInFlightPerKey, keys } = await admin.describeQueue("q");
    assert.deepEqual([maxInFlight, maxInFlightPerKey], [5, 2]);
    assert.deepEqual(keys, [{ key: "a", weight: undefined, paused: false, maxInFlight: 1 }]);
    const listed = await Array.fromAsync(admin.listKeys("q"));
    assert.deepEqual(
      listed.map(({ key, inFlight, maxInFlight: most }) => [key, inFlight, most]),
      [
        ["a", 1, 1],
        ["b", 0, 2],
      ],
    );
    const [throttle] = (await admin.stats("q")).throttles;
    assert.deepEqual([throttle?.key, throttle?.ratePerSecond, throttle?.burst, throttle?.tokens], ["slow", 1, 1, 0]);
  });

  test("a queue is paused and resumed, purged, and deleted unless it holds dead letters", async (t) => {
    const at = await operated(t);
    const { admin, fila } = at;
    await admin.createQueue("q");
    await fill(at, "q", "a", "b", "c");
    const [lease] = await fila.lease("q");
    await lease?.nack("no use", { deadLetter: true });
    await admin.pauseQueue("q");
    assert.deepEqual(await fila.lease("q"), []);
    const { depth, paused } = await admin.stats("q");
    assert.deepEqual([depth, paused], [2, true]);
    await admin.resumeQueue("q");
    assert.equal(await admin.purgeQueue("q"), 2);
    await assert.rejects(admin.deleteQueue("q", { force: false }), { reason: "DEAD_LETTERS_LEFT" });
    await admin.deleteQueue("q");
    assert.deepEqual(await Array.fromAsync(admin.listQueues()), []);
    await assert.rejects(admin.describeQueue("q"), { code: "not_found", reason: "QUEUE_NOT_FOUND" });
  });

  test("fairness keys have settings of their own, and are listed", async (t) => {
    const at = await operated(t);
    const { admin } = at;
    await admin.createQueue("q");
    await fill(at, "q", "a", "b");
    await admin.setKey("q", "a", { weight: 7, paused: true });
    assert.deepEqual((await admin.describeQueue("q")).keys, [
      { key: "a", weight: 7, paused: true, maxInFlight: undefined },
    ]);
    await admin.setKey("q", "a", { weight: 0 });
    assert.deepEqual((await admin.describeQueue("q")).keys, [
      { key: "a", weight: undefined, paused: true, maxInFlight: undefined },
    ]);
    const keys = await Array.fromAsync(admin.listKeys("q"));
    assert.deepEqual(
      keys.map(({ key, total, weight, paused }) => ({ key, total, weight, paused })),
      [
        { key: "a", total: 1, weight: 1, paused: true },
        { key: "b", total: 1, weight: 1, paused: false },
      ],
    );
  });
});

describe("admin: messages", () => {
  test("are listed by a filter over pages, peeked at, and got by their ids", async (t) => {
    const at = await operated(t);
    const { admin, fila, live } = at;
    await admin.createQueue("q");
    const many = Array.from({ length: 1_205 }, (_, n) => ({
      payload: `${n}`,
      fairnessKey: n % 2 === 0 ? "even" : "odd",
    }));
    const results = await Array.fromAsync(fila.enqueueMany("q", many));
    const ids = results.map((result) => (result.ok ? result.id : ""));
    live.clock.advance(1_000);
    const header = { name: "kind", value: "late" };
    const late = await fila.enqueue("q", "late", { headers: { kind: "late" }, cost: 3 });

    assert.deepEqual(await listed(admin, "q"), [...many.map(({ payload }) => payload), "late"]);
    assert.equal((await listed(admin, "q", { fairnessKey: "odd" })).length, 602);
    assert.deepEqual(await listed(admin, "q", { header }), ["late"]);
    assert.deepEqual(await listed(admin, "q", { header: { ...header, value: "early" } }), []);
    const first = await admin.getMessage("q", ids[0]!);
    assert.deepEqual(await listed(admin, "q", { enqueuedAfter: first.enqueuedAt }), ["late"]);
    assert.equal((await listed(admin, "q", { enqueuedBefore: new Date(+first.enqueuedAt + 1) })).length, 1_205);
    assert.deepEqual(await listed(admin, "q", { states: ["leased", "delayed"] }), []);

    const peeked = await admin.peek("q", 2);
    assert.deepEqual(
      peeked.map(({ id }) => id),
      ids.slice(0, 2),
    );
    const [without] = await Array.fromAsync(admin.listMessages("q", { limit: 1 }));
    assert.ok(without !== undefined && !("payload" in without));
    const found = await admin.getMessages("q", [late, ...ids, "00000000-0000-7000-8000-000000000000"]);
    assert.equal(found.length, 1_206);
    const { payload, headers, cost, state, attempt } = await admin.getMessage("q", late);
    assert.deepEqual(
      [Buffer.from(payload).toString(), headers, cost, state, attempt],
      ["late", { kind: "late" }, 3, "ready", 0],
    );
  });

  test("cancelled, one is gone, and its worker learns it", async (t) => {
    const at = await operated(t);
    const { admin, fila } = at;
    await admin.createQueue("q");
    const [a, b] = await fill(at, "q", "a", "b");
    const [lease] = await fila.lease("q");
    await admin.cancelMessage("q", a!);
    await admin.cancelMessage("q", b!);
    await assert.rejects(lease!.ack(), { reason: "LEASE_LOST" });
    await assert.rejects(admin.cancelMessage("q", a!), { code: "not_found", reason: "MESSAGE_NOT_FOUND" });
    await assert.rejects(admin.getMessage("q", a!), { reason: "MESSAGE_NOT_FOUND" });
  });

  test("explain says what holds one, with numbers", async (t) => {
    const at = await operated(t);
    const { admin, fila, live } = at;
    await admin.createQueue("q");
    const [id] = await fill(at, "q", "a");
    const about = { messageId: id! };
    const named = async (): Promise<string> => (await admin.explain("q", about)).reason;
    assert.deepEqual(await admin.explain("q", { fairnessKey: "a" }), {
      reason: "no_consumer",
      text: 'queue "q" has no consumer; start a worker',
    });
    await admin.setKey("q", "a", { paused: true });
    const keyPaused = await admin.explain("q", about);
    assert.equal(keyPaused.reason === "key_paused" && keyPaused.fairnessKey, "a");
    await admin.pauseQueue("q");
    assert.equal(await named(), "queue_paused");
    await admin.resumeQueue("q");
    await admin.setKey("q", "a", { paused: false });
    const [lease] = await fila.lease("q");
    const leased = await admin.explain("q", about);
    assert.ok(leased.reason === "leased");
    assert.deepEqual([leased.until, leased.attempt], [lease!.expiresAt, 0]);
    await lease!.nack("later", { delay: "1m" });
    const delayed = await admin.explain("q", about);
    assert.ok(delayed.reason === "delayed");
    assert.deepEqual(delayed.until, (await admin.getMessage("q", id!)).dueAt);
    live.clock.advance(60_000);
    const [again] = await fila.lease("q", { wait: "10s" });
    await again!.nack("no use", { deadLetter: true });
    const dead = await admin.explain("q", about);
    assert.ok(dead.reason === "dead_lettered");
    assert.deepEqual([dead.queue, dead.failure?.reason, dead.failure?.lastError], ["q.dlq", "rejected", "no use"]);
    assert.equal((await admin.explain("q", { messageId: "none" })).reason, "unknown");
  });
});

describe("admin: dead letters and idempotency keys", () => {
  test("a redrive counts, moves by filter, tells its progress, and goes on where it was left", async (t) => {
    const at = await operated(t);
    const { admin, fila } = at;
    await admin.createQueue("q");
    await fill(at, "q", "a", "b", "c", "d");
    for (const lease of await fila.lease("q", { maxMessages: 4 })) {
      await lease.nack(`timeout of ${lease.fairnessKey}`, { deadLetter: true });
    }
    const filter = { reason: "rejected", errorContains: "timeout" } as const;
    const result = async (options: Parameters<Admin["redrive"]>[1]) =>
      (await Array.fromAsync(admin.redrive("q.dlq", options))).at(-1);
    assert.deepEqual(await result({ dryRun: true, filter }), { redriven: 4, examined: 4, done: true });
    assert.equal((await admin.stats("q")).depth, 0);
    assert.equal((await result({ filter: { ...filter, fairnessKey: "b" } }))?.redriven, 1);
    assert.equal((await result({ filter: { errorContains: "nothing such" } }))?.redriven, 0);
    assert.equal((await result({ count: 2 }))?.redriven, 2);
    assert.equal((await result({}))?.redriven, 1);
    assert.deepEqual((await listed(admin, "q")).toSorted(), ["a", "b", "c", "d"]);
    await assert.rejects(Array.fromAsync(admin.redrive("q")), { reason: "NOT_A_DEAD_LETTER_QUEUE" });

    const stop = AbortSignal.abort(new Error("enough"));
    await assert.rejects(admin.redrive("q.dlq", { signal: stop }).next(), /^Error: enough$/);
  });

  test("idempotency keys are listed and released", async (t) => {
    const { admin, live } = await operated(t);
    await admin.createQueue("q");
    const { messageId } = await live.fila.enqueue({ queue: "q", idempotencyKey: "order 1" });
    const [use] = await Array.fromAsync(admin.listIdempotencyKeys("q"));
    assert.deepEqual(use, { key: "order 1", messageId, expiresAt: new Date(live.clock.wall() + 600_000) });
    await admin.releaseIdempotencyKey("q", "order 1");
    assert.deepEqual(await Array.fromAsync(admin.listIdempotencyKeys("q")), []);
    await assert.rejects(admin.releaseIdempotencyKey("q", "order 1"), { reason: "KEY_NOT_FOUND" });
  });
});

describe("admin: run-time configuration", () => {
  const text = ({ revision, key, value }: ConfigChange): string => `${revision} ${key}=${value ?? "-"}`;

  /** The next `count` changes. */
  async function take(watch: AsyncGenerator<ConfigChange>, count: number): Promise<string[]> {
    const changes: string[] = [];
    while (changes.length < count) {
      const next = await watch.next();
      if (next.done === true) break;
      changes.push(text(next.value));
    }
    return changes;
  }

  test("values are set, read, listed and deleted", async (t) => {
    const { admin } = await operated(t);
    assert.deepEqual(await admin.getConfig("a.1"), { value: undefined, revision: 0 });
    for (const key of ["a.2", "a.1", "b"]) await admin.setConfig(key, `of ${key}`);
    assert.deepEqual(await admin.getConfig("a.1"), { value: "of a.1", revision: 3 });
    const entries = [
      { key: "a.1", value: "of a.1" },
      { key: "a.2", value: "of a.2" },
    ];
    assert.deepEqual(await admin.listConfig("a."), { entries, revision: 3 });
    await admin.setConfig("a.1", "");
    assert.deepEqual(await admin.getConfig("a.1"), { value: undefined, revision: 4 });
  });

  test("a watch tells every change once and in order, over a broker that starts anew", async (t) => {
    const { admin, live } = await operated(t);
    await admin.setConfig("a", "1");
    await admin.setConfig("other", "1");
    const stop = new AbortController();
    const watch = admin.watchConfig({ prefix: "a", signal: stop.signal });
    assert.deepEqual(await take(watch, 1), ["1 a=1"]);
    const next = take(watch, 2);
    await live.crash();
    await admin.setConfig("a", "2");
    await admin.setConfig("a", "");
    const changes = await next;
    assert.deepEqual(
      changes.map((change) => change.replace(/^\d+ /, "")),
      ["a=2", "a=-"],
    );
    const last = watch.next();
    stop.abort();
    assert.equal((await last).done, true);
    const { revision } = await admin.getConfig("a");
    assert.equal(changes[1], `${revision} a=-`);
  });

  test("a revision that is no longer kept, or is yet to come, ends the watch with an error that says so", async (t) => {
    const { admin, live } = await operated(t);
    await Promise.all(Array.from({ length: 10_002 }, (_, n) => live.broker.operations.setConfig("counter", `${n}`)));
    await assert.rejects(admin.watchConfig({ fromRevision: 1 }).next(), {
      code: "failed_precondition",
      reason: "CONFIG_COMPACTED",
      metadata: { oldest_revision: "3", revision: "10002" },
    });
    const future = admin.watchConfig({ fromRevision: 10_003 }).next();
    await assert.rejects(future, { code: "invalid_argument", reason: "INVALID_FIELD" });
    const { revision } = await admin.listConfig();
    const watch = admin.watchConfig({ fromRevision: revision });
    const next = take(watch, 1);
    await admin.setConfig("counter", "last");
    assert.deepEqual(await next, ["10003 counter=last"]);
    await watch.return();
  });

  test("a watch that reaches nobody at first says so", async () => {
    await using admin = connectAdmin("127.0.0.1:1");
    await assert.rejects(admin.watchConfig().next(), { reason: "CONNECTION_FAILED" });
    await admin.close();
    await assert.rejects(admin.stats("q"), { reason: "CLIENT_CLOSED" });
    await assert.rejects(admin.watchConfig().next(), { reason: "CLIENT_CLOSED" });
  });
});
