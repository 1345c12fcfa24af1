// Fairness keys and idempotency keys, over the wire.
import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { leaseAll, refusalOf, startLive, textOf } from "../testing/live-server.ts";
import type { LiveServer } from "../testing/live-server.ts";

test("a paused key waits while others are delivered; its weight is the operator's until it is given back", async (t) => {
  const live = await startLive(t);
  const { admin, fila } = live;
  await admin.createQueue({ name: "q" });
  await admin.setKey({ queue: "q", fairnessKey: "a", paused: true, weight: 7 });
  for (const fairnessKey of ["a", "b"]) {
    await fila.enqueue({ queue: "q", fairnessKey, weight: 3, payload: Buffer.from(fairnessKey) });
  }
  assert.deepEqual((await leaseAll(fila, "q")).map(textOf), ["b"]);
  const { keys } = await admin.describeQueue({ queue: "q" });
  assert.deepEqual(
    keys.map(({ fairnessKey, weight, paused }) => [fairnessKey, weight, paused]),
    [["a", 7, true]],
  );
  const after = await live.restart();
  const ofA = async () => (await after.admin.listKeys({ queue: "q" })).keys.find(({ key }) => key === "a");
  const listed = await ofA();
  assert.deepEqual([listed?.weight, listed?.paused, listed?.ready, listed?.total], [7, true, 1n, 1n]);
  await after.admin.setKey({ queue: "q", fairnessKey: "a", weight: 0 });
  assert.deepEqual([(await ofA())?.weight, (await ofA())?.paused], [3, true]);
  await after.admin.setKey({ queue: "q", fairnessKey: "a", paused: false });
  assert.deepEqual((await leaseAll(after.fila, "q")).map(textOf), ["a"]);
  assert.deepEqual((await after.admin.describeQueue({ queue: "q" })).keys, []);
});

test("caps of a queue, of each key and of one key are held, shown and kept over a restart", async (t) => {
  const live = await startLive(t);
  const { admin, fila } = live;
  await admin.createQueue({ name: "q", config: { maxInFlight: 5, maxInFlightPerKey: 1 } });
  await admin.setKey({ queue: "q", fairnessKey: "a", maxInFlight: 2 });
  for (const fairnessKey of ["a", "a", "a", "b", "b", "c", "d"]) {
    await fila.enqueue({ queue: "q", fairnessKey, payload: Buffer.from(fairnessKey) });
  }
  assert.deepEqual((await leaseAll(fila, "q")).map(textOf).sort(), ["a", "a", "b", "c", "d"]);
  const after = await live.restart();
  const shown = (await after.admin.listKeys({ queue: "q" })).keys;
  assert.deepEqual(
    shown.map(({ key, inFlight, maxInFlight }) => [key, inFlight, maxInFlight]),
    [
      ["a", 2n, 2],
      ["b", 1n, 1],
      ["c", 1n, 1],
      ["d", 1n, 1],
    ],
  );
  const explain = async (fairnessKey: string) =>
    (await after.admin.explain({ queue: "q", about: { case: "fairnessKey", value: fairnessKey } })).reason;
  const ofQueue = await explain("b");
  assert.ok(ofQueue.case === "concurrencyFull" && ofQueue.value.cap === 5 && ofQueue.value.fairnessKey === "");
  await after.admin.updateQueue({ queue: "q", maxInFlight: 0 });
  const ofKey = await explain("a");
  assert.ok(ofKey.case === "concurrencyFull" && ofKey.value.cap === 2 && ofKey.value.fairnessKey === "a");
  await after.admin.setKey({ queue: "q", fairnessKey: "a", maxInFlight: 0 });
  await after.admin.updateQueue({ queue: "q", maxInFlightPerKey: 0 });
  assert.deepEqual((await leaseAll(after.fila, "q")).map(textOf).sort(), ["a", "b"]);
});

test("SetKey and ListKeys: what is out of range is refused, the field is named", async (t) => {
  const { admin } = await startLive(t);
  await admin.createQueue({ name: "q" });
  await admin.setKey({ queue: "q", fairnessKey: "k".repeat(256), weight: 1_000 });
  for (const [init, field] of [
    [{ fairnessKey: "", weight: 1 }, "fairness_key"],
    [{ fairnessKey: "k".repeat(257), weight: 1 }, "fairness_key"],
    [{ fairnessKey: "k", weight: 1_001 }, "weight"],
    [{ fairnessKey: "k", weight: 0xffff_ffff }, "weight"],
  ] as const) {
    const refused = await refusalOf(admin.setKey({ queue: "q", ...init }));
    assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", field]);
  }
  assert.equal((await refusalOf(admin.listKeys({ queue: "q", limit: 10_001 }))).field, "limit");
});

test("keys come by name, page by page, each once", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const names = Array.from({ length: 250 }, (_, at) => `k${String(at).padStart(3, "0")}`);
  // In an order that is not theirs.
  const messages = names.map((_, at) => ({ queue: "q", fairnessKey: names[(at * 97) % 250]! }));
  await fila.batchEnqueue({ messages });
  const listed: string[] = [];
  let pages = 0;
  for (let cursor = ""; pages === 0 || cursor !== ""; pages += 1) {
    const page = await admin.listKeys({ queue: "q", limit: 60, cursor });
    assert.equal(page.totalCount, 250n);
    listed.push(...page.keys.map(({ key }) => key));
    cursor = page.nextCursor;
  }
  assert.deepEqual(listed, names);
  assert.equal(pages, 5);
});

async function enqueueOnce(fila: LiveServer["fila"], idempotencyKey: string) {
  const { messageId, duplicate } = await fila.enqueue({ queue: "q", idempotencyKey, payload: Buffer.from("x") });
  return { messageId, duplicate };
}

test("a second enqueue with a key answers with the first message, whatever became of it, over a restart", async (t) => {
  const live = await startLive(t);
  await live.admin.createQueue({ name: "q" });
  const first = await enqueueOnce(live.fila, "order 1");
  assert.equal(first.duplicate, false);
  assert.deepEqual(await enqueueOnce(live.fila, "order 1"), { ...first, duplicate: true });
  const [held] = await leaseAll(live.fila, "q");
  await live.fila.ack({ queue: "q", messageId: first.messageId, leaseToken: held!.leaseToken });
  const { admin, fila, clock } = await live.restart();
  assert.deepEqual(await enqueueOnce(fila, "order 1"), { ...first, duplicate: true });
  assert.equal((await admin.getStats({ queue: "q" })).depth, 0n, "nothing was stored");
  // In a batch, and twice within it.
  const { results } = await fila.batchEnqueue({
    messages: ["order 1", "order 2", "order 2"].map((idempotencyKey) => ({ queue: "q", idempotencyKey })),
  });
  assert.deepEqual(
    results.map(({ duplicate }) => duplicate),
    [true, false, true],
  );
  assert.equal(results[0]?.result.value, first.messageId);
  assert.equal(results[2]?.result.value, results[1]?.result.value);
  clock.advance(600_000);
  assert.equal((await enqueueOnce(fila, "order 1")).duplicate, false, "its window is over");
});

test("keys in use are listed in the order of their use; released and forgotten ones are not", async (t) => {
  const live = await startLive(t);
  const { admin, fila, clock } = live;
  await admin.createQueue({ name: "q", config: { idempotencyWindowMs: 10_000n } });
  await enqueueOnce(fila, "old");
  clock.advance(5_000);
  const used = new Map<string, string>();
  for (let at = 0; at < 25; at += 1) used.set(`key ${at}`, (await enqueueOnce(fila, `key ${at}`)).messageId);
  const messages = Array.from({ length: 25 }, (_, at) => ({ queue: "q", idempotencyKey: `key ${at + 25}` }));
  for (const [at, { result }] of (await fila.batchEnqueue({ messages })).results.entries()) {
    assert.ok(result.case === "messageId");
    used.set(`key ${at + 25}`, result.value);
  }
  clock.advance(5_000);
  for (const key of ["key 3", "key 30", "key 49"]) {
    await admin.releaseIdempotencyKey({ queue: "q", idempotencyKey: key });
    used.delete(key);
  }
  // Used anew, it stands at its new place.
  used.set("key 3", (await enqueueOnce(fila, "key 3")).messageId);
  const listed = async (client: LiveServer["admin"]) => {
    const keys = new Map<string, string>();
    for (let cursor = "", pages = 0; pages === 0 || cursor !== ""; pages += 1) {
      const page = await client.listIdempotencyKeys({ queue: "q", limit: 7, cursor });
      for (const { idempotencyKey, messageId, expiresAt } of page.keys) {
        assert.ok(!keys.has(idempotencyKey), "each once");
        keys.set(idempotencyKey, messageId);
        assert.ok(timestampMs(expiresAt!) > clock.wall());
      }
      cursor = page.nextCursor;
    }
    return [...keys];
  };
  assert.deepEqual(await listed(admin), [...used]);
  const after = await live.restart();
  assert.deepEqual(await listed(after.admin), [...used]);
});

test("a released key may be used again; one that is not in use is not found", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  const first = await enqueueOnce(fila, "k");
  await admin.releaseIdempotencyKey({ queue: "q", idempotencyKey: "k" });
  const second = await enqueueOnce(fila, "k");
  assert.equal(second.duplicate, false);
  assert.notEqual(second.messageId, first.messageId);
  assert.deepEqual(await enqueueOnce(fila, "k"), { ...second, duplicate: true });
  const unknown = await refusalOf(admin.releaseIdempotencyKey({ queue: "q", idempotencyKey: "other" }));
  assert.equal(unknown.reason, "KEY_NOT_FOUND");
  for (const idempotencyKey of ["", "k".repeat(257)]) {
    const refused = await refusalOf(admin.releaseIdempotencyKey({ queue: "q", idempotencyKey }));
    assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", "idempotency_key"]);
  }
});

test("a cursor of another queue, and one that is none, are refused", async (t) => {
  const { admin, fila } = await startLive(t);
  for (const name of ["q", "other"]) await admin.createQueue({ name });
  for (const key of ["a", "b"]) await enqueueOnce(fila, key);
  const { nextCursor: cursor } = await admin.listIdempotencyKeys({ queue: "q", limit: 1 });
  assert.notEqual(cursor, "");
  for (const [queue, given] of [
    ["other", cursor],
    ["q", "nonsense"],
    ["q", cursor.slice(0, -4)],
    ["q", Buffer.alloc(24, 0xff).toString("base64url")],
  ] as const) {
    const refused = await refusalOf(admin.listIdempotencyKeys({ queue, limit: 1, cursor: given }));
    assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", "cursor"]);
  }
  assert.equal((await refusalOf(admin.listIdempotencyKeys({ queue: "q", limit: 1_001 }))).field, "limit");
});
