// Looking at single messages, cancelling them, and why they wait, over the wire.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { MessageState, SettlementAction } from "@fila/sdk/gen";
import type { EnqueueRequestSchema, ListMessagesRequestSchema, StreamLeaseRequestSchema } from "@fila/sdk/gen";
import { leaseAll, refusalOf, shown, startLive, textOf } from "../testing/live-server.ts";
import type { LiveServer } from "../testing/live-server.ts";

const unknownId = "0190b5a0-0000-7000-8000-00000000abcd";

async function put(
  fila: LiveServer["fila"],
  text: string,
  more: MessageInitShape<typeof EnqueueRequestSchema> = {},
): Promise<string> {
  return (await fila.enqueue({ queue: "q", payload: Buffer.from(text), ...more })).messageId;
}

/** All pages of a listing, as payloads, with how many pages there were. */
async function pagesOf(admin: LiveServer["admin"], init: MessageInitShape<typeof ListMessagesRequestSchema>) {
  const texts: string[] = [];
  let pages = 0;
  for (let cursor = ""; pages === 0 || cursor !== ""; pages += 1) {
    const page = await admin.listMessages({ queue: "q", withPayload: true, ...init, cursor });
    texts.push(...page.messages.map(textOf));
    cursor = page.nextCursor;
  }
  return { texts, pages };
}

test("messages are listed oldest first without leasing them, page by page, by state, key, age, header and id", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const ids: string[] = [];
  for (let at = 0; at < 30; at += 1) {
    const headers = at % 3 === 0 ? { kind: at % 2 === 0 ? "even" : "odd", ключ: "ü" } : {};
    const options = at >= 20 ? { delayMs: 60_000n } : {};
    ids.push(await put(fila, `m${at}`, { headers, fairnessKey: `key ${at % 4}`, ...options }));
    clock.advance(10);
  }
  await leaseAll(fila, "q", 5);
  const all = ids.map((_, at) => `m${at}`);
  const listed = await pagesOf(admin, { limit: 7 });
  assert.deepEqual(listed, { texts: all, pages: 5 });
  const of = async (filter: MessageInitShape<typeof ListMessagesRequestSchema>["filter"]) =>
    (await pagesOf(admin, { limit: 4, filter: filter! })).texts;
  const leased = await of({ states: [MessageState.LEASED] });
  assert.equal(leased.length, 5);
  assert.deepEqual(await of({ states: [MessageState.READY, MessageState.LEASED] }), all.slice(0, 20));
  assert.deepEqual(await of({ states: [MessageState.DELAYED] }), all.slice(20));
  assert.deepEqual(
    await of({ fairnessKey: "key 1" }),
    all.filter((_, at) => at % 4 === 1),
  );
  const start = timestampMs(
    (await admin.listMessages({ queue: "q", limit: 1 })).messages[0]!.message!.timestamps!.enqueuedAt!,
  );
  const between = { enqueuedAfter: timestampFromMs(start + 20), enqueuedBefore: timestampFromMs(start + 50) };
  assert.deepEqual(await of(between), ["m3", "m4"]);
  assert.deepEqual(
    await of({ headerName: "kind" }),
    all.filter((_, at) => at % 3 === 0),
  );
  assert.deepEqual(await of({ headerName: "kind", headerValue: "odd" }), ["m3", "m9", "m15", "m21", "m27"]);
  assert.deepEqual(await of({ headerName: "ключ", headerValue: "ü", fairnessKey: "key 0" }), ["m0", "m12", "m24"]);
  assert.deepEqual(await of({ messageIds: [ids[9]!, unknownId, "none", ids[2]!.toUpperCase(), ids[2]!] }), [
    "m2",
    "m9",
  ]);
  assert.deepEqual(await of({ messageIds: [ids[9]!], fairnessKey: "key 0" }), []);
  for (const nothing of [
    { headerName: "constructor" },
    { headerName: "kind", headerValue: "none" },
    { fairnessKey: "none" },
    { reason: "ttl" },
    { errorContains: "x" },
    { enqueuedAfter: timestampFromMs(start), enqueuedBefore: timestampFromMs(start) },
  ]) {
    assert.deepEqual(await of(nothing), [], Object.keys(nothing).join());
  }
  assert.equal((await admin.getStats({ queue: "q" })).inFlight, 5n, "nothing was leased");
});

test("a message is shown with what is known of it; headers and payload only when they are asked for", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const options = {
    headers: { a: "b" },
    fairnessKey: "k",
    weight: 3,
    cost: 5,
    throttleKeys: ["t2", "t1"],
    ttlMs: 90_000n,
  };
  const id = await put(fila, "body", { ...options, delayMs: 1_000n });
  const [bare] = (await admin.listMessages({ queue: "q" })).messages;
  assert.deepEqual([Object.keys(bare!.message!.headers), bare?.message?.payload.length], [[], 0]);
  const { message } = await admin.getMessage({ queue: "q", messageId: id });
  assert.deepEqual({ ...message?.message?.headers }, { a: "b" });
  const { metadata, timestamps } = message!.message!;
  assert.deepEqual(
    [metadata?.fairnessKey, metadata?.weight, metadata?.throttleKeys, metadata?.attemptCount, metadata?.queueId],
    ["k", 3, ["t1", "t2"], 0, "q"],
  );
  assert.deepEqual([message?.state, message?.cost, message?.workerId], [MessageState.DELAYED, 5, ""]);
  assert.equal(timestampMs(timestamps!.enqueuedAt!), clock.wall());
  assert.equal(timestampMs(message!.dueAt!), clock.wall() + 1_000);
  assert.equal(timestampMs(message!.expiresAt!), clock.wall() + 90_000);
  clock.advance(1_000);
  await fila.lease({ queue: "q", maxMessages: 1, workerId: "worker 7", waitMs: 60_000n });
  const { message: held } = await admin.getMessage({ queue: "q", messageId: id });
  assert.deepEqual([held?.state, held?.workerId, held?.dueAt], [MessageState.LEASED, "worker 7", undefined]);
  assert.equal(timestampMs(held!.leaseExpiresAt!), clock.wall() + 30_000);
});

test("what cannot be meant is refused, and the field is named", async (t) => {
  const { admin, fila } = await startLive(t);
  for (const name of ["q", "other"]) await admin.createQueue({ name });
  for (const text of ["a", "b"]) await put(fila, text);
  const { nextCursor } = await admin.listMessages({ queue: "q", limit: 1 });
  const cases: [MessageInitShape<typeof ListMessagesRequestSchema>, string][] = [
    [{ limit: 1_001 }, "limit"],
    [{ limit: 0xffff_ffff }, "limit"],
    [{ cursor: nextCursor, queue: "other" }, "cursor"],
    [{ cursor: nextCursor, filter: { fairnessKey: "k" } }, "cursor"],
    [{ cursor: "x" }, "cursor"],
    [{ filter: { states: [MessageState.UNSPECIFIED] } }, "filter.states"],
    [{ filter: { states: [99 as MessageState] } }, "filter.states"],
    [{ filter: { headerValue: "v" } }, "filter.header_value"],
    [{ filter: { reason: "because" } }, "filter.reason"],
    [{ filter: { reason: "constructor" } }, "filter.reason"],
    [{ filter: { fairnessKey: "k".repeat(257) } }, "filter.fairness_key"],
    [{ filter: { enqueuedAfter: { seconds: 1n, nanos: -1 } } }, "filter.enqueued_after"],
    [{ filter: { enqueuedBefore: { seconds: 2n ** 62n } } }, "filter.enqueued_before"],
    [{ filter: { messageIds: Array.from({ length: 1_001 }, () => unknownId) } }, "filter.message_ids"],
  ];
  for (const [init, field] of cases) {
    const refused = await refusalOf(admin.listMessages({ queue: "q", ...init }));
    assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", field], field);
  }
  for (const messageId of [unknownId, "", "none", `${"x".repeat(63)}\u{1f41f}`]) {
    const got = await refusalOf(admin.getMessage({ queue: "q", messageId }));
    assert.equal(got.reason, "MESSAGE_NOT_FOUND", messageId);
    assert.equal((await refusalOf(admin.cancelMessage({ queue: "q", messageId }))).reason, "MESSAGE_NOT_FOUND");
  }
  const [inQ] = (await admin.listMessages({ queue: "q" })).messages;
  const elsewhere = await refusalOf(admin.cancelMessage({ queue: "other", messageId: inQ!.message!.id }));
  assert.equal(elsewhere.reason, "MESSAGE_NOT_FOUND");
});

test("a page is bounded in bytes, and the next one goes on behind it", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const bodies = Array.from({ length: 9 }, (_, at) => String(at).repeat(1_000_000));
  for (const body of bodies) await put(fila, body);
  const { texts, pages } = await pagesOf(admin, { limit: 1_000 });
  assert.deepEqual(texts, bodies);
  assert.equal(pages, 3, "at most 4 MiB each");
  assert.equal((await pagesOf(admin, { limit: 1_000, withPayload: false })).pages, 1);
});

test("a cancelled message is gone; the worker that holds it is told, and its ack is refused", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const waits = await put(fila, "waits", { delayMs: 1_000n });
  await admin.cancelMessage({ queue: "q", messageId: waits });
  assert.equal((await refusalOf(admin.cancelMessage({ queue: "q", messageId: waits }))).reason, "MESSAGE_NOT_FOUND");
  const held = await put(fila, "held");
  const settle = Promise.withResolvers<MessageInitShape<typeof StreamLeaseRequestSchema>>();
  async function* worker(): AsyncGenerator<MessageInitShape<typeof StreamLeaseRequestSchema>> {
    yield { subscribe: { queue: "q", workerId: "w" }, credit: 1 };
    yield await settle.promise;
  }
  let token: Uint8Array = new Uint8Array();
  const lost: string[] = [];
  for await (const response of fila.streamLease(worker())) {
    for (const { message, leaseToken } of response.messages) {
      token = leaseToken;
      await admin.cancelMessage({ queue: "q", messageId: message!.id });
    }
    for (const { messageId, reason } of response.lost) {
      lost.push(`${messageId} ${reason}`);
      settle.resolve({ settlements: [{ messageId, leaseToken: token, action: SettlementAction.ACK }] });
    }
    for (const { failures } of response.settled) assert.equal(failures[0]?.error?.reason, "LEASE_LOST");
  }
  assert.deepEqual(lost, [`${held} LEASE_LOST`]);
  const capital = (await put(fila, "a UUID in capital letters")).toUpperCase();
  const { reason } = await admin.explain({ queue: "q", about: { case: "messageId", value: capital } });
  assert.equal(reason.case, "noConsumer");
  await admin.cancelMessage({ queue: "q", messageId: capital });
  assert.equal((await admin.getStats({ queue: "q" })).depth, 0n);
});

test("explain answers with the first thing that holds a message, in numbers and in words", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  await admin.createQueue({ name: "q", config: { initialBackoffMs: 0n } });
  const ids = await Promise.all(
    ["a", "b", "c"].map((text) => put(fila, text, { fairnessKey: text === "c" ? "other" : "k" })),
  );
  const delayed = await put(fila, "later", { delayMs: 2_500n });
  const explained = async (id: string, queue = "q") => {
    const { reason, text } = await admin.explain({ queue, about: { case: "messageId", value: id } });
    return { reason: reason.case, value: reason.value as object, text };
  };
  const ofKey = async (key: string) =>
    (await admin.explain({ queue: "q", about: { case: "fairnessKey", value: key } })).reason.case;
  const is = async (id: string, reason: string, text: RegExp) => {
    const answer = await explained(id);
    assert.equal(answer.reason, reason);
    assert.match(answer.text, text);
    return answer.value;
  };

  await is(unknownId, "unknown", /no such message/);
  await is("none", "unknown", /no such message/);
  await is(delayed, "delayed", /until .* \(in 2500 ms\)/);
  await is(ids[0]!, "noConsumer", /"q" has no consumer/);
  assert.equal(await ofKey("k"), "noConsumer");
  assert.equal(await ofKey("none"), "unknown");
  await admin.pauseQueue({ queue: "q" });
  await is(ids[0]!, "queuePaused", /"q" is paused/);
  await admin.resumeQueue({ queue: "q" });
  await admin.setKey({ queue: "q", fairnessKey: "k", paused: true });
  await is(ids[1]!, "keyPaused", /"k" is paused/);
  assert.equal(await ofKey("k"), "keyPaused");
  await admin.setKey({ queue: "q", fairnessKey: "k", paused: false });
  const [held] = await leaseAll(fila, "q", 1);
  const { workerId, attempt } = (await is(held!.message!.id, "leased", /worker "w" holds it until .* 0 attempts/)) as {
    workerId: string;
    attempt: number;
  };
  assert.deepEqual([workerId, attempt], ["w", 0]);

  const gone = new AbortController();
  async function* waits(): AsyncGenerator<MessageInitShape<typeof StreamLeaseRequestSchema>> {
    yield { subscribe: { queue: "q" } };
    await new Promise(() => undefined);
  }
  const idle = fila.streamLease(waits(), { signal: gone.signal })[Symbol.asyncIterator]();
  for (let response = await idle.next(); response.done !== true && !response.value.subscribed;)
    response = await idle.next();
  const noCredit = (await is(ids[1]!, "noCredit", /none of the 1 consumers .* 1 without credit/)) as {
    consumers: number;
    withoutCredit: number;
  };
  assert.deepEqual([noCredit.consumers, noCredit.withoutCredit], [1, 1]);
  const ended = assert.rejects(idle.next());
  gone.abort();
  await ended;
  while ((await admin.getStats({ queue: "q" })).activeConsumers > 0);

  await fila.nack({
    queue: "q",
    messageId: held!.message!.id,
    leaseToken: held!.leaseToken,
    error: "no such address",
    deadLetter: true,
  });
  const dead = await explained(held!.message!.id);
  assert.equal(dead.reason, "deadLettered");
  const { queue, failure } = dead.value as { queue: string; failure: { reason: string; lastError: string } };
  assert.deepEqual([queue, failure.reason, failure.lastError], ["q.dlq", "rejected", "no such address"]);
  assert.match(dead.text, /"q\.dlq" since .*, reason rejected: no such address/);
  assert.equal((await explained(held!.message!.id, "q.dlq")).reason, "noConsumer");
  clock.advance(2_500);
  await is(delayed, "noConsumer", /no consumer/);

  const nothing = await refusalOf(admin.explain({ queue: "q" }));
  assert.deepEqual([nothing.reason, nothing.field], ["INVALID_FIELD", "message_id"]);
  const noKey = await refusalOf(admin.explain({ queue: "q", about: { case: "fairnessKey", value: "" } }));
  assert.equal(noKey.field, "fairness_key");
});

test("while the broker drains, questions are answered and changes are refused", async (t) => {
  const live = await startLive(t);
  const { admin, fila, broker, clock } = live;
  await admin.createQueue({ name: "q" });
  const id = await put(fila, "held");
  // A stream that holds a message keeps the drain going.
  async function* holds(): AsyncGenerator<MessageInitShape<typeof StreamLeaseRequestSchema>> {
    yield { subscribe: { queue: "q" }, credit: 1 };
    await new Promise(() => undefined);
  }
  const stream = fila.streamLease(holds())[Symbol.asyncIterator]();
  for (let held = false; !held;) held = ((await stream.next()).value?.messages.length ?? 0) > 0;
  const stopped = broker.stop(10_000);
  assert.deepEqual(await shown(admin, "q"), [["held", MessageState.LEASED]]);
  assert.equal((await admin.explain({ queue: "q", about: { case: "messageId", value: id } })).reason.case, "leased");
  assert.equal((await admin.getConfig({ key: "a" })).value, "");
  for (const change of [
    () => admin.cancelMessage({ queue: "q", messageId: id }),
    () => admin.setConfig({ key: "a", value: "b" }),
    () => admin.pauseQueue({ queue: "q" }),
    () => admin.purgeQueue({ queue: "q" }),
    () => admin.setKey({ queue: "q", fairnessKey: "k", weight: 2 }),
    () => admin.redrive({ dlqQueue: "q.dlq" }),
    () => admin.releaseIdempotencyKey({ queue: "q", idempotencyKey: "k" }),
  ]) {
    assert.equal((await refusalOf(change())).reason, "DRAINING");
  }
  clock.advance(10_000);
  await stopped;
});

test("while the store is reopened, every call is refused, and afterwards each is answered again", async (t) => {
  const { admin, fila, broker, storage, clock } = await startLive(t);
  await admin.createQueue({ name: "q" });
  await put(fila, "kept");
  storage.gated = true;
  const doubtful = refusalOf(admin.pauseQueue({ queue: "q" }));
  (await storage.nextHeld()).reject("failed", false);
  assert.equal((await doubtful).reason, "STORAGE_UNAVAILABLE");
  for (const call of [
    () => admin.listMessages({ queue: "q", withPayload: true }),
    () => admin.describeQueue({ queue: "q" }),
    () => admin.redriveMessages({ dlqQueue: "q.dlq" }),
    () => admin.watchConfig({}),
    () => admin.listIdempotencyKeys({ queue: "q" }),
    () => admin.setConfig({ key: "a", value: "b" }),
  ]) {
    assert.equal((await refusalOf(call())).reason, "STORAGE_UNAVAILABLE");
  }
  storage.gated = false;
  while (broker.state !== "serving") {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await shown(admin, "q"), [["kept", MessageState.READY]]);
  assert.equal((await admin.describeQueue({ queue: "q" })).paused, false);
});
