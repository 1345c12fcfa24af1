// Queues and their settings, over the wire.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ExpiredMessages, MessageState } from "@fila/sdk/gen";
import { leaseAll, refusalOf, shown, startLive, textOf } from "../testing/live-server.ts";
import type { LiveServer } from "../testing/live-server.ts";

const missing = "none";
const unknownId = "0190b5a0-0000-7000-8000-00000000abcd";

/** Every call that names a queue. */
const callsOn: Readonly<Record<string, (admin: LiveServer["admin"], queue: string) => Promise<unknown>>> = {
  deleteQueue: (admin, queue) => admin.deleteQueue({ queue }),
  updateQueue: (admin, queue) => admin.updateQueue({ queue, maxAttempts: 1 }),
  describeQueue: (admin, queue) => admin.describeQueue({ queue }),
  pauseQueue: (admin, queue) => admin.pauseQueue({ queue }),
  resumeQueue: (admin, queue) => admin.resumeQueue({ queue }),
  purgeQueue: (admin, queue) => admin.purgeQueue({ queue }),
  getStats: (admin, queue) => admin.getStats({ queue }),
  setKey: (admin, queue) => admin.setKey({ queue, fairnessKey: "k", weight: 2 }),
  listKeys: (admin, queue) => admin.listKeys({ queue }),
  listMessages: (admin, queue) => admin.listMessages({ queue }),
  getMessage: (admin, queue) => admin.getMessage({ queue, messageId: unknownId }),
  cancelMessage: (admin, queue) => admin.cancelMessage({ queue, messageId: unknownId }),
  explain: (admin, queue) => admin.explain({ queue, about: { case: "messageId", value: unknownId } }),
  listIdempotencyKeys: (admin, queue) => admin.listIdempotencyKeys({ queue }),
  releaseIdempotencyKey: (admin, queue) => admin.releaseIdempotencyKey({ queue, idempotencyKey: "k" }),
};

test("a queue that does not exist is named, and a name that none can have is refused", async (t) => {
  const { admin } = await startLive(t);
  for (const [name, call] of Object.entries(callsOn)) {
    const absent = await refusalOf(call(admin, missing));
    assert.deepEqual([absent.reason, absent.metadata], ["QUEUE_NOT_FOUND", { queue: missing }], name);
    for (const bad of ["", "a\nb", "q".repeat(256)]) {
      const refused = await refusalOf(call(admin, bad));
      assert.deepEqual([refused.reason, refused.field], ["INVALID_QUEUE_NAME", "queue"], name);
    }
  }
});

test("settings are described as they were given, with the defaults for the rest", async (t) => {
  const { admin } = await startLive(t);
  await admin.createQueue({ name: "plain" });
  const plain = await admin.describeQueue({ queue: "plain" });
  assert.deepEqual(
    {
      visibilityTimeoutMs: plain.visibilityTimeoutMs,
      maxAttempts: plain.maxAttempts,
      initialBackoffMs: plain.initialBackoffMs,
      maxBackoffMs: plain.maxBackoffMs,
      deadLetterExpired: plain.deadLetterExpired,
      idempotencyWindowMs: plain.idempotencyWindowMs,
      paused: plain.paused,
      deadLetterQueue: plain.deadLetterQueue,
    },
    {
      visibilityTimeoutMs: 30_000n,
      maxAttempts: 16,
      initialBackoffMs: 100n,
      maxBackoffMs: 300_000n,
      deadLetterExpired: false,
      idempotencyWindowMs: 600_000n,
      paused: false,
      deadLetterQueue: "plain.dlq",
    },
  );
  const config = {
    visibilityTimeoutMs: 1_000n,
    maxAttempts: 0,
    initialBackoffMs: 0n,
    maxBackoffMs: 604_800_000n,
    expiredMessages: ExpiredMessages.DEAD_LETTER,
    idempotencyWindowMs: 1_000n,
    maxInFlight: 1_000_000,
    maxInFlightPerKey: 1,
  };
  await admin.createQueue({ name: "q", config });
  const q = await admin.describeQueue({ queue: "q" });
  assert.deepEqual(
    [q.visibilityTimeoutMs, q.maxAttempts, q.initialBackoffMs, q.maxBackoffMs, q.deadLetterExpired],
    [1_000n, 0, 0n, 604_800_000n, true],
  );
  assert.equal(q.idempotencyWindowMs, 1_000n);
  assert.deepEqual([q.maxInFlight, q.maxInFlightPerKey], [1_000_000, 1]);
  const dlq = await admin.describeQueue({ queue: "q.dlq" });
  assert.deepEqual([dlq.deadLetterQueue, dlq.retentionMs], ["", 1_209_600_000n]);
});

test("what is absent in an update stays as it is, over a restart too", async (t) => {
  const live = await startLive(t);
  await live.admin.createQueue({ name: "q", config: { maxAttempts: 5, initialBackoffMs: 7n } });
  const before = await live.admin.describeQueue({ queue: "q" });
  await live.admin.updateQueue({ queue: "q" });
  assert.deepEqual(await live.admin.describeQueue({ queue: "q" }), before);
  await live.admin.updateQueue({ queue: "q", maxAttempts: 0, deadLetterExpired: true });
  await live.admin.updateQueue({ queue: "q.dlq", retentionMs: 0n });
  const { admin } = await live.restart();
  const after = await admin.describeQueue({ queue: "q" });
  assert.deepEqual([after.maxAttempts, after.initialBackoffMs, after.deadLetterExpired], [0, 7n, true]);
  assert.equal((await admin.describeQueue({ queue: "q.dlq" })).retentionMs, 0n);
});

test("settings have ranges, and the field at fault is named", async (t) => {
  const { admin } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const day = 86_400_000n;
  const most = 2n ** 64n - 1n;
  const cases = [
    [
      "visibility_timeout_ms",
      [1_000n, 43_200_000n],
      [1n, 999n, 43_200_001n, most],
      (v: bigint) => ({ visibilityTimeoutMs: v }),
    ],
    ["max_attempts", [0n, 1_000_000n], [1_000_001n, 0xffff_ffffn], (v: bigint) => ({ maxAttempts: Number(v) })],
    ["initial_backoff_ms", [0n, day], [day + 1n, most], (v: bigint) => ({ initialBackoffMs: v })],
    ["max_backoff_ms", [0n, 7n * day], [7n * day + 1n, most], (v: bigint) => ({ maxBackoffMs: v })],
    [
      "idempotency_window_ms",
      [1_000n, 7n * day],
      [0n, 999n, 7n * day + 1n, most],
      (v: bigint) => ({ idempotencyWindowMs: v }),
    ],
    ["retention_ms", [0n, 3_650n * day], [3_650n * day + 1n, most], (v: bigint) => ({ retentionMs: v })],
  ] as const;
  for (const [field, good, bad, init] of cases) {
    // Retention is of dead-letter queues.
    const queue = field === "retention_ms" ? "q.dlq" : "q";
    const created = field === "retention_ms" ? "new.dlq" : "new";
    for (const value of good) {
      await admin.updateQueue({ queue, ...init(value) });
      await admin.createQueue({ name: created, config: init(value) });
      await admin.deleteQueue({ queue: created });
    }
    for (const value of bad) {
      const updated = await refusalOf(admin.updateQueue({ queue, ...init(value) }));
      assert.deepEqual([updated.reason, updated.field], ["INVALID_FIELD", field], `${field} ${value}`);
      const made = await refusalOf(admin.createQueue({ name: created, config: init(value) }));
      assert.deepEqual([made.reason, made.field], ["INVALID_FIELD", `config.${field}`], `${field} ${value}`);
    }
  }
  const noDlq = await refusalOf(admin.createQueue({ name: "new", config: { retentionMs: 1n } }));
  assert.deepEqual([noDlq.reason, noDlq.field], ["INVALID_FIELD", "config.retention_ms"]);
  assert.match(noDlq.message, /"new\.dlq"/);
  const open = { expiredMessages: 3 as ExpiredMessages };
  assert.equal((await refusalOf(admin.createQueue({ name: "new", config: open }))).field, "config.expired_messages");
  assert.equal((await admin.listQueues({})).queues.length, 2, "nothing was made on the way");
});

test("a paused queue takes messages in and delivers none, until it is resumed", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  await admin.pauseQueue({ queue: "q" });
  await fila.enqueue({ queue: "q", payload: Buffer.from("a") });
  assert.deepEqual(await leaseAll(fila, "q"), []);
  assert.equal((await admin.getStats({ queue: "q" })).paused, true);
  // One that waits is served the moment the queue is resumed.
  const waiting = fila.lease({ queue: "q", maxMessages: 1, waitMs: 60_000n });
  await admin.resumeQueue({ queue: "q" });
  assert.deepEqual((await waiting).messages.map(textOf), ["a"]);
  assert.equal((await admin.describeQueue({ queue: "q" })).paused, false);
});

test("a purge removes what waits in any state, and leaves what is leased", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  await fila.enqueue({ queue: "q", payload: Buffer.from("leased") });
  const [held] = await leaseAll(fila, "q");
  const year = 31_536_000_000n;
  await fila.batchEnqueue({
    messages: [{ queue: "q" }, { queue: "q", delayMs: year }, { queue: "q", fairnessKey: "other", ttlMs: year }],
  });
  assert.equal((await admin.purgeQueue({ queue: "q" })).purged, 3n);
  assert.deepEqual(await shown(admin, "q"), [["leased", MessageState.LEASED]]);
  assert.equal((await admin.purgeQueue({ queue: "q" })).purged, 0n);
  await fila.ack({ queue: "q", messageId: held!.message!.id, leaseToken: held!.leaseToken });
  assert.equal((await admin.getStats({ queue: "q" })).depth, 0n);
});

test("DeleteQueue spares dead letters when it is told to, and only then", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  await fila.enqueue({ queue: "q.dlq" });
  const refused = await refusalOf(admin.deleteQueue({ queue: "q", force: false }));
  assert.deepEqual(
    [refused.reason, refused.metadata],
    ["DEAD_LETTERS_LEFT", { queue: "q", dead_letter_queue: "q.dlq" }],
  );
  assert.equal((await admin.listQueues({})).queues.length, 2);
  await admin.purgeQueue({ queue: "q.dlq" });
  await admin.deleteQueue({ queue: "q", force: false });
  assert.equal((await admin.listQueues({})).queues.length, 0);
  for (const force of [undefined, true]) {
    await admin.createQueue({ name: "q" });
    await fila.enqueue({ queue: "q.dlq" });
    await admin.deleteQueue(force === undefined ? { queue: "q" } : { queue: "q", force });
    assert.equal((await admin.listQueues({})).queues.length, 0);
  }
});

test("stats count what is delayed", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const seconds = BigInt(clock.wall() / 1_000 + 60);
  await fila.batchEnqueue({
    messages: [{ queue: "q" }, { queue: "q", delayMs: 1n }, { queue: "q", deliverAt: { seconds } }],
  });
  await leaseAll(fila, "q");
  const stats = await admin.getStats({ queue: "q" });
  assert.deepEqual([stats.depth, stats.inFlight, stats.delayed, stats.deciding], [3n, 1n, 2n, 0n]);
});
