// Run-time configuration, over the wire.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { WatchConfigResponse } from "@fila/sdk/gen";
import { GrantedPrincipal } from "../access/granted-principal.ts";
import { leaseAll, refusalOf, startLive } from "../testing/live-server.ts";
import type { LiveServer } from "../testing/live-server.ts";

/** A watch that the test reads as far as it likes. */
class Watch {
  readonly #abort = new AbortController();
  readonly #responses: AsyncIterator<WatchConfigResponse>;
  /** "revision key=value" of every change. */
  readonly seen: string[] = [];
  revision = 0n;
  caughtUp = false;

  constructor(admin: LiveServer["admin"], from = 0n, prefix = "") {
    const request = { fromRevision: from, prefix };
    this.#responses = admin.watchConfig(request, { signal: this.#abort.signal })[Symbol.asyncIterator]();
  }

  /** Until the watch has told all changes up to this revision, or ends. */
  async until(revision: bigint): Promise<this> {
    while (this.revision < revision) if (!(await this.next())) break;
    return this;
  }

  async next(): Promise<boolean> {
    const result = await this.#responses.next();
    if (result.done === true) return false;
    const { changes, revision } = result.value;
    assert.ok(revision >= this.revision);
    this.revision = revision;
    this.caughtUp = changes.length === 0;
    this.seen.push(...changes.map((change) => `${change.revision} ${change.key}=${change.value}`));
    return true;
  }

  async end(): Promise<void> {
    const ended = assert.rejects(this.#responses.next());
    this.#abort.abort();
    await ended;
  }
}

test("a value is read back, an empty one deletes, a revision counts every change", async (t) => {
  const { admin } = await startLive(t);
  assert.deepEqual(await readBack(admin, "a"), ["", 0n]);
  await admin.setConfig({ key: "a", value: "1" });
  assert.deepEqual(await readBack(admin, "a"), ["1", 1n]);
  await admin.setConfig({ key: "a", value: "1" });
  assert.deepEqual(await readBack(admin, "a"), ["1", 1n], "nothing has changed");
  await admin.setConfig({ key: "a", value: "" });
  assert.deepEqual(await readBack(admin, "a"), ["", 2n]);
  await admin.setConfig({ key: "never", value: "" });
  assert.deepEqual(await readBack(admin, "a"), ["", 2n]);
});

async function readBack(admin: LiveServer["admin"], key: string) {
  const { value, revision } = await admin.getConfig({ key });
  return [value, revision];
}

test("entries are listed by key, with the exact count of all that have the prefix, over a restart too", async (t) => {
  const live = await startLive(t);
  for (const key of ["b", "a.2", "a.1", "ab"]) await live.admin.setConfig({ key, value: `of ${key}` });
  for (const start of [() => live, () => live.restart()]) {
    const { admin } = await start();
    const { entries, totalCount, nextCursor, revision } = await admin.listConfig({ prefix: "a" });
    assert.deepEqual(
      entries.map(({ key, value }) => `${key}=${value}`),
      ["a.1=of a.1", "a.2=of a.2", "ab=of ab"],
    );
    assert.deepEqual([totalCount, nextCursor, revision], [3, "", 4n]);
    const rest = await admin.listConfig({ prefix: "a", cursor: "a.1" });
    assert.deepEqual([rest.entries.length, rest.totalCount], [2, 3]);
    assert.equal((await admin.listConfig({ prefix: "c" })).totalCount, 0);
  }
});

test("a page of entries is bounded in bytes, and the cursor goes on", async (t) => {
  const { admin, broker } = await startLive(t);
  const keys = Array.from({ length: 4_000 }, (_, at) => `k${String(at).padStart(5, "0")}`);
  await Promise.all(keys.map((key) => broker.operations.setConfig(key, "v".repeat(1_024))));
  const first = await admin.listConfig({});
  assert.equal(first.totalCount, 4_000);
  assert.ok(first.entries.length < 4_000 && first.entries.length * 1_040 < 4 * 1_048_576);
  const second = await admin.listConfig({ cursor: first.nextCursor });
  assert.deepEqual(
    [...first.entries, ...second.entries].map(({ key }) => key),
    keys,
  );
  assert.equal(second.nextCursor, "");
});

test("keys and values have limits, and a throttle is a rate and a burst", async (t) => {
  const { admin } = await startLive(t);
  const cases: [string, string, string | undefined][] = [
    ["", "v", "key"],
    ["k".repeat(256), "v", undefined],
    ["é".repeat(129), "v", "key"],
    ["k", "v".repeat(1_024), undefined],
    ["k", "v".repeat(1_025), "value"],
    ["throttle.", "1,1", "key"],
    ["throttle.x", "", undefined],
    ["throttles", "anything", undefined],
    ...["10,20", "0,0", "0.5, 1", "1e3,1E3", "007,1"].map((value): [string, string, undefined] => [
      "throttle.x",
      value,
      undefined,
    ]),
    ...[
      ...["10", "10,", ",10", "10,20,30", "a,b", "-1,1", "1,-1", "NaN,1", "Infinity,1", "1e999,1", "0x10,1", "+1,1"],
      ...["1 0,1", "1;1", ".5,1", "1.,1", ",", " "],
    ].map((value): [string, string, string] => ["throttle.x", value, "value"]),
  ];
  for (const [key, value, field] of cases) {
    const set = admin.setConfig({ key, value });
    if (field === undefined) {
      await set;
      assert.equal((await admin.getConfig({ key })).value, value);
      continue;
    }
    const refused = await refusalOf(set);
    assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", field], `${key} ${value}`);
  }
});

test("a watch answers at once, tells every change in order, and says when it has caught up", async (t) => {
  const { admin } = await startLive(t);
  const watch = new Watch(admin);
  assert.equal(await watch.next(), true);
  assert.deepEqual([watch.seen, watch.revision], [[], 0n]);
  for (const [key, value] of [
    ["a", "1"],
    ["b", "2"],
    ["a", "3"],
    ["b", ""],
  ] as const)
    await admin.setConfig({ key, value });
  await watch.until(4n);
  assert.deepEqual(watch.seen, ["1 a=1", "2 b=2", "3 a=3", "4 b="]);
  const ofB = await new Watch(admin, 1n, "b").until(4n);
  assert.deepEqual(ofB.seen, ["2 b=2", "4 b="]);
  await admin.setConfig({ key: "a", value: "5" });
  await ofB.until(5n);
  assert.deepEqual(ofB.seen, ["2 b=2", "4 b="], "of another prefix, only the revision is told");
  await watch.end();
  await ofB.end();
});

test("over reconnections, a restart and a crash, a watch sees every change once and in order", async (t) => {
  let live = await startLive(t);
  const seen: string[] = [];
  const expected: string[] = [];
  let revision = 0n;
  const change = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at += 1) {
      const number = expected.length + 1;
      await live.admin.setConfig({ key: `k${number % 7}`, value: String(number) });
      expected.push(`${number} k${number % 7}=${number}`);
    }
  };
  const watched = async (): Promise<void> => {
    const watch = await new Watch(live.admin, revision).until(BigInt(expected.length));
    seen.push(...watch.seen);
    revision = watch.revision;
    await watch.end();
  };
  await change(5);
  await watched();
  await change(2_500);
  await watched();
  live = await live.restart();
  await change(3);
  await watched();
  await live.crash();
  await change(1);
  await watched();
  assert.deepEqual(seen, expected);
});

test("a watch from a revision that is yet to come is refused, and one from before what is kept", async (t) => {
  const { admin, broker } = await startLive(t);
  await admin.setConfig({ key: "a", value: "b" });
  for (const fromRevision of [2n, 2n ** 64n - 1n]) {
    const future = await refusalOf(admin.watchConfig({ fromRevision }));
    assert.deepEqual([future.reason, future.field], ["INVALID_FIELD", "from_revision"]);
  }
  await Promise.all(Array.from({ length: 10_001 }, (_, at) => broker.operations.setConfig("counter", String(at))));
  for (const fromRevision of [0n, 1n]) {
    const compacted = await refusalOf(admin.watchConfig({ fromRevision }));
    assert.equal(compacted.reason, "CONFIG_COMPACTED");
    assert.deepEqual(compacted.metadata, { oldest_revision: "3", revision: "10002" });
  }
  const watch = await new Watch(admin, 2n).until(10_002n);
  assert.equal(watch.seen.length, 10_000);
  while (!watch.caughtUp) await watch.next();
  assert.equal(watch.revision, 10_002n, "also when the changes fill their batches");
  await watch.end();
});

test("a watch ends when the broker drains, when the store fails, and when its caller may watch no more", async (t) => {
  const principal = new GrantedPrincipal("p", [{ kind: "admin", pattern: "*" }]);
  const live = await startLive(t, { authenticate: () => principal });
  const ended = async (why: () => unknown): Promise<string | undefined> => {
    const responses = live.admin.watchConfig({})[Symbol.asyncIterator]();
    assert.equal((await responses.next()).done, false);
    const end = refusalOf(
      (async () => {
        for (let next = await responses.next(); next.done !== true;) next = await responses.next();
      })(),
    );
    await why();
    return (await end).reason;
  };
  assert.equal(await ended(() => live.crash()), "STORAGE_UNAVAILABLE");
  assert.equal(await ended(() => principal.replaceGrants([{ kind: "admin", pattern: "some.*" }])), "PERMISSION_DENIED");
  principal.replaceGrants([{ kind: "admin", pattern: "*" }]);
  assert.equal(await ended(() => live.broker.stop(0)), "DRAINING");
});

test("a limit holds what names its key; GetStats and Explain show where it stands, until it is removed", async (t) => {
  const { admin, fila } = await startLive(t);
  await admin.createQueue({ name: "q" });
  await admin.setConfig({ key: "throttle.mail", value: "0.001,1" });
  for (let n = 0; n < 3; n += 1) await fila.enqueue({ queue: "q", fairnessKey: "k", throttleKeys: ["mail", "none"] });
  assert.equal((await leaseAll(fila, "q")).length, 1);
  const [stats, ...others] = (await admin.getStats({ queue: "q" })).perThrottleStats;
  assert.deepEqual(others, []);
  assert.ok(stats !== undefined && stats.tokens < 1);
  assert.deepEqual([stats.key, stats.ratePerSecond, stats.burst, stats.waiting], ["mail", 0.001, 1, 1n]);
  await admin.createQueue({ name: "other" });
  assert.deepEqual((await admin.getStats({ queue: "other" })).perThrottleStats, []);
  const { reason, text } = await admin.explain({ queue: "q", about: { case: "fairnessKey", value: "k" } });
  assert.ok(reason.case === "throttled", text);
  const { throttleKey, ratePerSecond, burst, placeInLine, nextAt } = reason.value;
  assert.deepEqual([throttleKey, ratePerSecond, burst, placeInLine], ["mail", 0.001, 1, 1n]);
  assert.ok(nextAt !== undefined && /throttle key "mail" \(0.001 a second, 1 at once/.test(text), text);
  for (const rate of ["1e-12", "1e-300"]) {
    await admin.setConfig({ key: "throttle.mail", value: `${rate},1` });
    const never = await admin.explain({ queue: "q", about: { case: "fairnessKey", value: "k" } });
    assert.ok(never.reason.case === "throttled" && never.reason.value.nextAt === undefined, "no timestamp can tell it");
    assert.match(never.text, /in place 1 of its line; the limit lets nothing through$/);
  }
  await admin.setConfig({ key: "throttle.mail", value: "" });
  assert.equal((await leaseAll(fila, "q")).length, 2);
  assert.deepEqual((await admin.getStats({ queue: "q" })).perThrottleStats, []);
});
