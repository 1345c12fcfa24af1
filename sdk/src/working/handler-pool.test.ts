// Handlers that hold the event loop.
import assert from "node:assert/strict";
import test from "node:test";
import { tokenOf, turn } from "../fake/fake-streams.ts";
import { workerInHand } from "../fake/worker-in-hand.ts";
import { SettlementAction } from "../gen/index.ts";

const { ACK, EXTEND } = SettlementAction;

test("handlers that hold the event loop let it turn: leases that wait are extended, and none lost meanwhile is begun", async () => {
  const { clock, streams, worker, contexts } = workerInHand({ concurrency: 10 }, (itsClock) => itsClock.stall(20_000));
  streams.last.subscribe(30_000);
  streams.last.deliver("a", "b", "c");
  assert.deepEqual([...contexts.keys()], ["a"]);
  // What the loop finds when it turns: a timer that was due at 10 s, and words of the broker.
  clock.advance(0);
  streams.last.respond({ lost: [{ messageId: "b", leaseToken: tokenOf("b"), reason: "expired" }] });
  await turn();
  assert.deepEqual(streams.last.settled(EXTEND), ["a", "b", "c"]);
  assert.deepEqual([...contexts.keys()], ["a", "c"]);
  void worker.stop({ drain: "abandon" });
});

test("a handler that held the loop behind its first wait: the same", async () => {
  const { clock, streams, worker, contexts, release } = workerInHand({ concurrency: 1, prefetch: 2 });
  streams.last.subscribe(30_000);
  streams.last.deliver("a", "b");
  await turn();
  clock.stall(40_000);
  release("a");
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual([...contexts.keys()], ["a"]);
  clock.advance(0);
  await turn();
  assert.deepEqual(streams.last.settled(ACK), ["a"]);
  assert.deepEqual([...contexts.keys()], ["a", "b"]);
  void worker.stop({ drain: "abandon" });
});

test("handlers that are quick begin in one turn", () => {
  const { streams, worker, contexts } = workerInHand({ concurrency: 10 }, (itsClock) => itsClock.stall(1));
  streams.last.subscribe(30_000);
  streams.last.deliver("a", "b", "c");
  assert.equal(contexts.size, 3);
  void worker.stop({ drain: "abandon" });
});
