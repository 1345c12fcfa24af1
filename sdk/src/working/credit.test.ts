// How a worker asks for more: seldom by requests of their own, always along with what it sends anyway.
import assert from "node:assert/strict";
import test from "node:test";
import { tokenOf, turn } from "../fake/fake-streams.ts";
import { workerInHand } from "../fake/worker-in-hand.ts";
import { SettlementAction } from "../gen/index.ts";

test("credit for the next message goes in the request that acks the last one", async () => {
  const { streams, worker, release } = workerInHand({ concurrency: 2, prefetch: 98 });
  streams.last.subscribe();
  streams.last.deliver("a", "b");
  await turn();
  assert.equal(streams.last.credit, 100);
  release("a");
  await turn();
  assert.equal(streams.last.requests.length, 2);
  assert.deepEqual([streams.last.settled(SettlementAction.ACK), streams.last.credit], [["a"], 101]);
  void worker.stop({ drain: "abandon" });
});

test("without anything to send, it asks when half of what may wait is missing", async () => {
  const { streams, worker } = workerInHand({ concurrency: 1, prefetch: 4 });
  const lose = async (id: string): Promise<void> => {
    streams.last.respond({ lost: [{ messageId: id, leaseToken: tokenOf(id) }] });
    await turn();
  };
  streams.last.subscribe();
  streams.last.deliver("a", "b", "c");
  await lose("b");
  assert.deepEqual([streams.last.requests.length, streams.last.credit], [1, 5]);
  await lose("c");
  assert.deepEqual([streams.last.requests.length, streams.last.credit], [2, 7]);
  void worker.stop({ drain: "abandon" });
});
