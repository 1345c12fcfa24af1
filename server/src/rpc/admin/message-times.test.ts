// Delays, times of day, times to live and retries of messages, over the wire.
import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { ExpiredMessages, MessageState, SettlementAction } from "@fila/sdk/gen";
import { leaseAll, refusalOf, shown, startLive, textOf } from "../testing/live-server.ts";

const day = 86_400_000;

test("a delayed message, and one for a time of day, come when they are due and not before, over a restart too", async (t) => {
  const live = await startLive(t);
  const { clock } = live;
  await live.admin.createQueue({ name: "q" });
  await live.fila.batchEnqueue({
    messages: [
      { queue: "q", delayMs: 5_000n, payload: Buffer.from("delayed") },
      { queue: "q", deliverAt: timestampFromMs(clock.wall() + 7_000), payload: Buffer.from("at seven") },
      { queue: "q", deliverAt: timestampFromMs(clock.wall() - day), payload: Buffer.from("past") },
    ],
  });
  assert.deepEqual((await leaseAll(live.fila, "q")).map(textOf), ["past"]);
  clock.advance(4_999);
  assert.deepEqual(await leaseAll(live.fila, "q"), []);
  const { fila, admin } = await live.restart();
  assert.deepEqual(await leaseAll(fila, "q"), []);
  clock.advance(1);
  assert.deepEqual((await leaseAll(fila, "q")).map(textOf), ["delayed"]);
  clock.advance(1_999);
  const stats = await admin.getStats({ queue: "q" });
  assert.deepEqual([stats.delayed, stats.inFlight], [1n, 2n]);
  clock.advance(1);
  assert.deepEqual((await leaseAll(fila, "q")).map(textOf), ["at seven"]);
});

test("a time more than a year away is refused by the broker's own clock, in a batch message by message", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const year = clock.wall() + 365 * day;
  await fila.enqueue({ queue: "q", deliverAt: timestampFromMs(year) });
  const refused = await refusalOf(fila.enqueue({ queue: "q", deliverAt: timestampFromMs(year + 1) }));
  assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", "deliver_at"]);
  const { results } = await fila.batchEnqueue({
    messages: [{ deliverAt: timestampFromMs(year + 1) }, {}, { delayMs: 1n, deliverAt: timestampFromMs(year) }].map(
      (message) => ({ queue: "q", ...message }),
    ),
  });
  assert.deepEqual(
    results.map(({ result }) => (result.case === "error" ? result.value.reason : result.case)),
    ["INVALID_FIELD", "messageId", "INVALID_FIELD"],
  );
});

test("when its time to live is over a message is dropped, or dead-lettered where the queue says so", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "drops" });
  await admin.createQueue({ name: "keeps", config: { expiredMessages: ExpiredMessages.DEAD_LETTER } });
  for (const queue of ["drops", "keeps"]) await fila.enqueue({ queue, ttlMs: 1_000n, payload: Buffer.from(queue) });
  clock.advance(1_000);
  while (Number((await admin.getStats({ queue: "keeps" })).depth) > 0);
  assert.equal((await admin.getStats({ queue: "drops" })).depth, 0n);
  assert.deepEqual(await shown(admin, "drops.dlq"), []);
  const [expired] = (await admin.listMessages({ queue: "keeps.dlq", withPayload: true })).messages;
  assert.equal(textOf(expired!), "keeps");
  assert.equal(expired?.failure?.reason, "ttl");
  assert.equal(timestampMs(expired.expiresAt!), clock.wall() + 14 * day, "the retention of the dead-letter queue");
});

test("a nack says when to try again; 0 is at once, absent is the queue's backoff", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "q", config: { initialBackoffMs: 400n } });
  await fila.enqueue({ queue: "q" });
  const nack = async (retryDelayMs?: bigint): Promise<void> => {
    const [held] = await leaseAll(fila, "q");
    const { message, leaseToken } = held!;
    const delay = retryDelayMs === undefined ? {} : { retryDelayMs };
    await fila.nack({ queue: "q", messageId: message!.id, leaseToken, ...delay });
  };
  const dueIn = async (): Promise<number> => {
    const { messages } = await admin.listMessages({ queue: "q" });
    const due = messages[0]!.dueAt;
    return due === undefined ? 0 : timestampMs(due) - clock.wall();
  };
  await nack(0n);
  assert.deepEqual([await dueIn(), (await shown(admin, "q"))[0]?.[1]], [0, MessageState.READY]);
  await nack(60_000n);
  assert.equal(await dueIn(), 60_000);
  clock.advance(60_000);
  await nack();
  const backoff = await dueIn();
  // The third attempt: 400 ms doubled twice, and up to a quarter more.
  assert.ok(backoff >= 1_600 && backoff <= 2_000, `${backoff}`);
});

test("a settlement in a batch may do the same, and name a dead letter", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  await fila.batchEnqueue({ messages: ["a", "b", "c"].map((text) => ({ queue: "q", payload: Buffer.from(text) })) });
  const held = await leaseAll(fila, "q");
  const settlements = held.map(({ message, leaseToken }, at) => ({
    messageId: message!.id,
    leaseToken,
    action: SettlementAction.NACK,
    error: "why",
    ...[{ retryDelayMs: 1_000n }, { deadLetter: true }, { retryDelayMs: 2n ** 64n - 1n }][at],
  }));
  const { results } = await fila.settle({ queue: "q", settlements });
  assert.deepEqual(
    results.map(({ error }) => error?.reason),
    [undefined, undefined, "INVALID_FIELD"],
  );
  assert.deepEqual(await shown(admin, "q"), [
    ["a", MessageState.DELAYED],
    ["c", MessageState.LEASED],
  ]);
  const [dead] = (await admin.listMessages({ queue: "q.dlq" })).messages;
  assert.deepEqual([dead?.failure?.reason, dead?.failure?.lastError], ["rejected", "why"]);
});

test("after max_attempts a message is a dead letter; in a dead-letter queue a nack only backs off", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "q", config: { maxAttempts: 2, initialBackoffMs: 0n } });
  await fila.enqueue({ queue: "q", payload: Buffer.from("poison") });
  const first = clock.wall();
  const nackIn = async (queue: string, error: string): Promise<void> => {
    const [held] = await leaseAll(fila, queue);
    await fila.nack({ queue, messageId: held!.message!.id, leaseToken: held!.leaseToken, error });
    clock.advance(500);
  };
  await nackIn("q", "first");
  await nackIn("q", "second");
  const [dead] = (await admin.listMessages({ queue: "q.dlq" })).messages;
  const { reason, lastError, firstFailedAt, lastFailedAt } = dead!.failure!;
  assert.deepEqual([reason, lastError], ["max_attempts", "second"]);
  assert.deepEqual([timestampMs(firstFailedAt!) - first, timestampMs(lastFailedAt!) - first], [0, 500]);
  for (let attempt = 0; attempt < 4; attempt += 1) {
    await nackIn("q.dlq", "again");
    clock.advance(600_000);
  }
  assert.equal((await admin.getStats({ queue: "q.dlq" })).depth, 1n);
});

test("a new limit of attempts acts on the backlog at once", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q", config: { maxAttempts: 0, initialBackoffMs: 0n } });
  await fila.enqueue({ queue: "q" });
  const nack = async (): Promise<void> => {
    const [held] = await leaseAll(fila, "q");
    await fila.nack({ queue: "q", messageId: held!.message!.id, leaseToken: held!.leaseToken });
  };
  for (let attempt = 0; attempt < 20; attempt += 1) await nack();
  await admin.updateQueue({ queue: "q", maxAttempts: 3 });
  await nack();
  assert.equal((await admin.getStats({ queue: "q.dlq" })).depth, 1n);
});
