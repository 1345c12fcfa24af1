// What a worker says and hears, request by request: credit goes along with what it sends anyway, and a response that
// comes in parts is one response.
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

test("no more than 1,000 acks without an answer: it asks for no messages until they come", async () => {
  const { streams, worker, release } = workerInHand({ concurrency: 1_000, prefetch: 0 });
  streams.last.subscribe();
  for (const round of ["a", "b"]) {
    const ids = Array.from({ length: 1_000 }, (_, at) => `${round}${at}`);
    streams.last.deliver(...ids);
    await turn();
    ids.forEach(release);
    await turn();
  }
  assert.deepEqual([streams.last.settled(SettlementAction.ACK).length, streams.last.credit], [2_000, 2_000]);
  streams.last.answerAll();
  await turn();
  assert.equal(streams.last.credit, 1_000, "of requests since then");
  void worker.stop({ drain: "abandon" });
});

test("a response in parts is told at its end: what it says is lost is what it brings", async () => {
  const { streams, worker, contexts, errors } = workerInHand({ concurrency: 2, prefetch: 2 });
  const message = (id: string): object => ({ message: { id, payload: Buffer.from(id) }, leaseToken: tokenOf(id) });
  streams.last.subscribe();
  streams.last.respondInParts(
    { messages: [message("a")], lost: [{ messageId: "b", leaseToken: tokenOf("b") }] },
    { messages: [message("b")] },
    {},
  );
  await turn();
  assert.deepEqual([[...contexts.keys()], contexts.get("b")?.signal.aborted], [["a", "b"], true]);
  assert.deepEqual([errors.length, contexts.get("a")?.signal.aborted], [1, false]);
  void worker.stop({ drain: "abandon" });
});
