// Redriving dead letters, over the wire.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { MessageState } from "@fila/sdk/gen";
import type { EnqueueRequestSchema, RedriveMessagesRequestSchema } from "@fila/sdk/gen";
import { GrantedPrincipal } from "../access/granted-principal.ts";
import { permissions } from "../access/pattern.ts";
import { leaseAll, refusalOf, shown, startLive, textOf } from "../testing/live-server.ts";
import type { LiveServer } from "../testing/live-server.ts";

/** The last response. */
async function redriven(admin: LiveServer["admin"], init: MessageInitShape<typeof RedriveMessagesRequestSchema>) {
  let last = { redriven: 0n, examined: 0n, done: false };
  for await (const { redriven, examined, done } of admin.redriveMessages({ dlqQueue: "q.dlq", ...init })) {
    assert.equal(last.done, false, "done comes last");
    assert.ok(redriven >= last.redriven && examined >= last.examined);
    assert.ok(examined >= redriven, `${redriven} of ${examined}`);
    last = { redriven, examined, done };
  }
  assert.equal(last.done, true);
  return last;
}

/** These messages fail once, and become dead letters. */
async function deadLetters(
  { admin, fila }: LiveServer,
  messages: readonly MessageInitShape<typeof EnqueueRequestSchema>[],
  errorOf: (text: string) => string = (text) => `cannot ${text}`,
): Promise<void> {
  await fila.batchEnqueue({ messages: messages.map((message) => ({ queue: "q", ...message })) });
  for (let leased = await leaseAll(fila, "q"); leased.length > 0; leased = await leaseAll(fila, "q")) {
    await Promise.all(
      leased.map((message) =>
        fila.nack({
          queue: "q",
          messageId: message.message!.id,
          leaseToken: message.leaseToken,
          error: errorOf(textOf(message)),
          deadLetter: true,
        }),
      ),
    );
  }
  await admin.getStats({ queue: "q" });
}

const payloads = (count: number, name = "m") =>
  Array.from({ length: count }, (_, at) => ({ payload: Buffer.from(`${name}${at}`) }));

async function startWithDeadLetters(t: TestContext, count: number): Promise<LiveServer> {
  const live = await startLive(t);
  await live.admin.createQueue({ name: "q" });
  await deadLetters(live, payloads(count));
  return live;
}

test("all dead letters go back with what they were, attempts at 0, and are delivered again", async (t) => {
  const live = await startLive(t);
  const { admin, fila } = live;
  await admin.createQueue({ name: "q" });
  const rest = { fairnessKey: "k", weight: 4, cost: 2, headers: { h: "v" }, ttlMs: 60_000n };
  await deadLetters(live, [{ payload: Buffer.from("a"), ...rest }, { payload: Buffer.from("b") }]);
  const before = (await admin.listMessages({ queue: "q.dlq", withPayload: true })).messages;
  assert.deepEqual(before.map(textOf), ["a", "b"]);
  assert.deepEqual([before[0]?.failure?.reason, before[0]?.failure?.lastError], ["rejected", "cannot a"]);
  assert.deepEqual([before[0]?.failure?.sourceQueue, before[0]?.message?.metadata?.attemptCount], ["q", 1]);
  assert.equal((await admin.redrive({ dlqQueue: "q.dlq" })).redriven, 2n);
  assert.deepEqual(await shown(admin, "q.dlq"), []);
  const [a] = (await admin.listMessages({ queue: "q", withPayload: true })).messages;
  assert.equal(a?.message?.id, before[0]?.message?.id);
  const { metadata, headers } = a!.message!;
  assert.deepEqual([metadata?.fairnessKey, metadata?.weight, a?.cost, { ...headers }], ["k", 4, 2, { h: "v" }]);
  assert.deepEqual([metadata?.attemptCount, a?.expiresAt, a?.failure], [0, undefined, undefined]);
  assert.deepEqual((await leaseAll(fila, "q")).map(textOf).sort(), ["a", "b"]);
});

test("what was enqueued to the dead-letter queue itself can be redriven, and acked afterwards", async (t) => {
  const { admin, fila } = await startWithDeadLetters(t, 0);
  await fila.enqueue({ queue: "q.dlq", payload: Buffer.from("by hand") });
  assert.equal((await admin.redrive({ dlqQueue: "q.dlq" })).redriven, 1n);
  const [held] = await leaseAll(fila, "q");
  await fila.ack({ queue: "q", messageId: held!.message!.id, leaseToken: held!.leaseToken });
  assert.equal((await admin.getStats({ queue: "q" })).depth, 0n);
});

test("a count takes the oldest; the rest stays", async (t) => {
  const { admin } = await startWithDeadLetters(t, 5);
  assert.equal((await admin.redrive({ dlqQueue: "q.dlq", count: 2n })).redriven, 2n);
  assert.equal((await redriven(admin, { count: 1n })).redriven, 1n);
  const texts = async (queue: string) => (await shown(admin, queue)).map(([text]) => text);
  assert.deepEqual(
    [await texts("q"), await texts("q.dlq")],
    [
      ["m0", "m1", "m2"],
      ["m3", "m4"],
    ],
  );
  assert.equal((await admin.redrive({ dlqQueue: "q.dlq", count: 2n ** 64n - 1n })).redriven, 2n);
});

test("a filter moves exactly what its dry run counted, and nothing when nothing matches", async (t) => {
  const live = await startLive(t);
  const { admin, clock } = live;
  await admin.createQueue({ name: "q", config: { maxAttempts: 1 } });
  const messages = Array.from({ length: 40 }, (_, at) => ({
    payload: Buffer.from(`m${at}`),
    fairnessKey: `key ${at % 4}`,
    headers: at % 5 === 0 ? { kind: "five" } : {},
  }));
  await deadLetters(live, messages.slice(0, 20), (text) => (text.endsWith("7") ? "timeout" : "refused"));
  const between = clock.wall();
  clock.advance(1_000);
  await deadLetters(live, messages.slice(20), () => "later");
  const ids = (await admin.listMessages({ queue: "q.dlq" })).messages.map(({ message }) => message!.id);
  const filters: [MessageInitShape<typeof RedriveMessagesRequestSchema>["filter"] & object, number][] = [
    [{ errorContains: "none" }, 0],
    [{ reason: "ttl" }, 0],
    [{ fairnessKey: "none" }, 0],
    [{ states: [MessageState.LEASED] }, 0],
    [{ errorContains: "timeo" }, 2],
    [{ errorContains: "refused", fairnessKey: "key 0" }, 5],
    [{ headerName: "kind", headerValue: "five", enqueuedBefore: timestampFromMs(between + 1) }, 3],
    [{ messageIds: ids.slice(30) }, 10],
    [{ reason: "rejected", enqueuedAfter: timestampFromMs(between) }, 10],
    [{}, 10],
  ];
  let left = 40;
  for (const [filter, count] of filters) {
    const dry = await redriven(admin, { filter, dryRun: true });
    assert.equal(dry.redriven, BigInt(count), Object.keys(filter).join());
    assert.equal((await admin.getStats({ queue: "q.dlq" })).depth, BigInt(left), "a dry run moves nothing");
    assert.equal((await redriven(admin, { filter })).redriven, dry.redriven);
    left -= count;
    assert.equal((await admin.getStats({ queue: "q.dlq" })).depth, BigInt(left));
  }
  assert.equal(left, 0);
  assert.equal((await admin.getStats({ queue: "q" })).depth, 40n);
});

test("leased entries are passed over, by a dry run too", async (t) => {
  const { admin, fila } = await startWithDeadLetters(t, 3);
  await leaseAll(fila, "q.dlq", 1);
  assert.equal((await redriven(admin, { dryRun: true })).redriven, 2n);
  assert.equal((await redriven(admin, {})).redriven, 2n);
  assert.deepEqual(await shown(admin, "q.dlq"), [["m0", MessageState.LEASED]]);
});

test("a queue that is no dead-letter queue, one that is missing, and a filter that cannot be meant are refused", async (t) => {
  const { admin } = await startWithDeadLetters(t, 1);
  for (const dryRun of [false, true]) {
    const none = await refusalOf(admin.redriveMessages({ dlqQueue: "q", dryRun }));
    assert.equal(none.reason, "NOT_A_DEAD_LETTER_QUEUE");
    assert.match(none.message, /"q\.dlq"/);
    assert.equal((await refusalOf(admin.redriveMessages({ dlqQueue: "x.dlq", dryRun }))).reason, "QUEUE_NOT_FOUND");
    const first = admin.redriveMessages({ dlqQueue: "q", dryRun })[Symbol.asyncIterator]().next();
    assert.equal((await refusalOf(first)).reason, "NOT_A_DEAD_LETTER_QUEUE", "no progress is told before it");
  }
  assert.equal((await refusalOf(admin.redrive({ dlqQueue: "q" }))).reason, "NOT_A_DEAD_LETTER_QUEUE");
  const named = await refusalOf(admin.redrive({ dlqQueue: "" }));
  assert.deepEqual([named.reason, named.field], ["INVALID_QUEUE_NAME", "dlq_queue"]);
  const filter = await refusalOf(admin.redriveMessages({ dlqQueue: "q.dlq", filter: { reason: "x" } }));
  assert.deepEqual([filter.reason, filter.field], ["INVALID_FIELD", "filter.reason"]);
  // The queue that they came from is gone, and its dead-letter queue was made by itself.
  await admin.createQueue({ name: "alone.dlq" });
  const orphaned = await refusalOf(admin.redrive({ dlqQueue: "alone.dlq" }));
  assert.deepEqual([orphaned.reason, orphaned.metadata], ["QUEUE_NOT_FOUND", { queue: "alone" }]);
});

test("an interrupted redrive, done again, moves the rest: none is lost, none twice", async (t) => {
  const live = await startWithDeadLetters(t, 30);
  const { admin, clock } = live;
  const gone = new AbortController();
  let moved = 0n;
  const interrupted = (async () => {
    for await (const progress of admin.redriveMessages(
      { dlqQueue: "q.dlq", ratePerSecond: 10 },
      { signal: gone.signal },
    )) {
      moved = progress.redriven;
      if (moved >= 5n) gone.abort();
    }
  })();
  const failed = assert.rejects(interrupted);
  let ended = false;
  void failed.then(() => (ended = true));
  while (!ended) {
    clock.advance(100);
    await admin.getStats({ queue: "q" });
  }
  const depth = async (queue: string) => Number((await admin.getStats({ queue })).depth);
  // The broker learns of the abort a little later; from then on the run moves no more.
  let before = await depth("q");
  for (let same = 0; same < 5; same += 1) {
    clock.advance(1_000);
    const now = await depth("q");
    if (now !== before) same = 0;
    before = now;
  }
  assert.ok(before >= 5 && before < 30, `${before} were moved`);
  assert.equal(before + (await depth("q.dlq")), 30);
  const rest = await redriven(admin, {});
  assert.equal(rest.redriven, BigInt(30 - before));
  assert.equal(new Set((await shown(admin, "q")).map(([text]) => text)).size, 30);
});

test("over a crash of the store, what was moved stays moved", async (t) => {
  const live = await startWithDeadLetters(t, 10);
  await redriven(live.admin, { count: 4n });
  await live.crash();
  assert.equal((await live.admin.getStats({ queue: "q" })).depth, 4n);
  assert.equal((await redriven(live.admin, {})).redriven, 6n);
});

test("a message that fails again during the run is not moved a second time by it", async (t) => {
  const live = await startWithDeadLetters(t, 20);
  const { admin, fila, clock } = live;
  // Whatever arrives is refused at once.
  const stop = new AbortController();
  const refusals = (async () => {
    while (!stop.signal.aborted) {
      for (const { message, leaseToken } of await leaseAll(fila, "q")) {
        await fila.nack({ queue: "q", messageId: message!.id, leaseToken, deadLetter: true });
      }
      // And more of its kind come in all the time.
      await fila.enqueue({ queue: "q", payload: Buffer.from("new") });
      clock.advance(100);
    }
  })();
  const { redriven: count } = await redriven(admin, { ratePerSecond: 10 });
  stop.abort();
  await refusals;
  assert.equal(count, 20n);
});

test("a rate is kept: no second moves more", async (t) => {
  const live = await startWithDeadLetters(t, 45);
  const { admin, clock } = live;
  const start = clock.mono();
  const run = redriven(admin, { ratePerSecond: 20 });
  let ended = false;
  void run.then(() => (ended = true));
  while (!ended) {
    const depth = Number((await admin.getStats({ queue: "q" })).depth);
    const seconds = Math.floor((clock.mono() - start) / 1_000) + 1;
    assert.ok(depth <= 20 * seconds, `${depth} after ${clock.mono() - start} ms`);
    clock.advance(10);
  }
  assert.equal((await run).redriven, 45n);
  assert.ok(clock.mono() - start >= 2_200, "45 messages take 44 distances of 50 ms");
});

test("a redrive ends when its caller may do it no more", async (t) => {
  const principal = new GrantedPrincipal(
    "p",
    permissions.map((kind) => ({ kind, pattern: "*" })),
  );
  const live = await startLive(t, { authenticate: () => principal });
  await live.admin.createQueue({ name: "q" });
  await deadLetters(live, payloads(5));
  const responses = live.admin.redriveMessages({ dlqQueue: "q.dlq", ratePerSecond: 1 })[Symbol.asyncIterator]();
  assert.equal((await responses.next()).done, false);
  principal.replaceGrants([{ kind: "admin", pattern: "q" }]);
  const refused = await refusalOf(
    (async () => {
      for (let next = await responses.next(); next.done !== true;) next = await responses.next();
    })(),
  );
  assert.equal(refused.reason, "PERMISSION_DENIED");
});
