import assert from "node:assert/strict";
import test from "node:test";
import { Code } from "@connectrpc/connect";
import { lostConnection, turn, type FakeStreams } from "../fake/fake-streams.ts";
import { workerInHand } from "../fake/worker-in-hand.ts";
import { SettlementAction } from "../gen/index.ts";

/** What was extended since the last look, with for how long, milliseconds. */
function extended({ last }: FakeStreams): [string, number][] {
  const found = last
    .settlements()
    .filter(({ settlement }) => settlement.action === SettlementAction.EXTEND)
    .map(({ settlement }): [string, number] => [settlement.messageId, Number(settlement.extendMs)]);
  last.answerAll();
  return found;
}

test("all that the worker has is extended at a third of its time, in one request, by one timer; and nothing while it has nothing", async () => {
  const { clock, streams, release } = workerInHand();
  assert.equal(clock.armed, 0);
  streams.last.subscribe(30_000);
  assert.equal(clock.armed, 0);
  streams.last.deliver("a");
  clock.advance(1_000);
  streams.last.deliver("b", "c", "d");
  assert.equal(clock.armed, 1);
  clock.advance(8_999);
  await turn();
  assert.deepEqual(extended(streams), []);
  clock.advance(1);
  await turn();
  assert.equal(streams.last.requests.filter(({ settlements }) => settlements.length > 0).length, 1);
  assert.deepEqual(extended(streams), [
    ["a", 0],
    ["b", 0],
    ["c", 0],
    ["d", 0],
  ]);
  assert.equal(clock.armed, 1);
  clock.advance(9_999);
  await turn();
  assert.deepEqual(extended(streams), []);
  clock.advance(1);
  await turn();
  assert.equal(extended(streams).length, 4);
  for (const id of ["a", "b"]) release(id);
  await turn();
  for (const id of ["c", "d"]) release(id);
  await turn();
  streams.last.answerAll();
  clock.advance(60_000);
  await turn();
  assert.deepEqual(extended(streams), []);
  assert.equal(clock.armed, 0);
});

test("a failed extension is tried again with the next beat, and breaks nothing", async () => {
  const { clock, streams, errors } = workerInHand({ concurrency: 1, prefetch: 0 });
  streams.last.subscribe(30_000);
  streams.last.deliver("a");
  clock.advance(10_000);
  await turn();
  streams.last.answerAll(() => ({ code: Code.Internal, reason: "INTERNAL" }));
  clock.advance(10_000);
  await turn();
  assert.deepEqual(extended(streams), [["a", 0]]);
  assert.deepEqual(errors, []);
});

test("a refused extension is a lost lease", async () => {
  const { clock, streams, contexts, errors } = workerInHand({ concurrency: 1, prefetch: 0 });
  streams.last.subscribe(30_000);
  streams.last.deliver("a");
  const { signal } = contexts.get("a")!;
  clock.advance(10_000);
  await turn();
  streams.last.answerAll(() => ({ code: Code.FailedPrecondition, reason: "LEASE_LOST" }));
  assert.equal((signal.reason as Error).name, "LeaseLost");
  assert.deepEqual(errors, [signal.reason]);
});

test("nothing is extended whose nack is under way", async () => {
  const { clock, streams, worker } = workerInHand({ concurrency: 1, prefetch: 0 });
  streams.last.subscribe(30_000);
  streams.last.deliver("a");
  await turn();
  void worker.stop({ drain: "nack" });
  await turn();
  clock.advance(4_999);
  await turn();
  clock.advance(20_000);
  assert.deepEqual(extended(streams), []);
});

test("a handler's own extension sets the base", async () => {
  const { clock, streams, contexts } = workerInHand({ concurrency: 1, prefetch: 0 });
  streams.last.subscribe(30_000);
  streams.last.deliver("a");
  const { extend } = contexts.get("a")!;
  const longer = extend("10m");
  await turn();
  assert.deepEqual(extended(streams), [["a", 600_000]]);
  await longer;
  clock.advance(199_999);
  await turn();
  assert.deepEqual(extended(streams), []);
  clock.advance(1);
  await turn();
  assert.deepEqual(extended(streams), [["a", 600_000]]);
  // A shorter one: the timer comes forward.
  const shorter = extend("3s");
  await turn();
  assert.deepEqual(extended(streams), [["a", 3_000]]);
  await shorter;
  clock.advance(1_000);
  await turn();
  assert.deepEqual(extended(streams), [["a", 3_000]]);
  await assert.rejects(extend("13h"), { code: "invalid_argument" });
});

test("after a restart a lease that was extended for longer is extended again at once", async () => {
  const { clock, streams, contexts } = workerInHand({ concurrency: 1, prefetch: 1 });
  streams.last.subscribe(30_000);
  streams.last.deliver("a", "b");
  const longer = contexts.get("a")!.extend("10m");
  await turn();
  streams.last.answerAll();
  await longer;
  streams.last.close(lostConnection());
  clock.advance(50);
  streams.last.subscribe(30_000, ["a", "b"]);
  clock.advance(0);
  await turn();
  assert.deepEqual(extended(streams), [["a", 600_000]]);
  clock.advance(10_000);
  await turn();
  assert.deepEqual(extended(streams), [["b", 0]]);
});

test("extend: false extends nothing but what a handler asks for; a maximum ends it", async () => {
  const off = workerInHand({ extend: false, concurrency: 1, prefetch: 0 });
  off.streams.last.subscribe(30_000);
  off.streams.last.deliver("a");
  off.clock.advance(100_000);
  await turn();
  assert.deepEqual(extended(off.streams), []);
  void off.contexts.get("a")!.extend();
  await turn();
  assert.deepEqual(extended(off.streams), [["a", 0]]);

  const { clock, streams } = workerInHand({ extend: { maximum: "45s" }, concurrency: 1, prefetch: 0 });
  streams.last.subscribe(30_000);
  streams.last.deliver("a");
  const seen: unknown[] = [];
  for (let at = 0; at < 20; at++) {
    clock.advance(10_000);
    await turn();
    seen.push(...extended(streams));
  }
  // At 10 s for 30; at 20, 30 and 40 s for what is left.
  assert.deepEqual(seen, [
    ["a", 0],
    ["a", 25_000],
    ["a", 15_000],
    ["a", 5_000],
  ]);
});
