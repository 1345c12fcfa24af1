// How a worker ends, with its clock in hand: what is waited for, and for how long at most.
import assert from "node:assert/strict";
import test from "node:test";
import { Code } from "@connectrpc/connect";
import { lostConnection, turn } from "../fake/fake-streams.ts";
import { workerInHand, type WorkerInHand } from "../fake/worker-in-hand.ts";
import { SettlementAction } from "../gen/index.ts";
import { LeaseLost } from "../index.ts";

const reasons = ({ errors }: WorkerInHand): string[] => errors.map((error) => (error as { reason: string }).reason);
const { ACK, NACK, RELEASE } = SettlementAction;

test("idle, it waits for the broker's word that nothing more comes, and for no time", async () => {
  const { clock, streams, worker } = workerInHand();
  streams.last.subscribe();
  await turn();
  const stopped = worker.stop({});
  await turn();
  assert.equal(streams.last.stop, true);
  // On its way before the broker knew.
  streams.last.deliver("a", "b");
  await turn();
  assert.deepEqual(streams.last.settled(RELEASE), ["a", "b"]);
  streams.last.respond({ stopped: true });
  await turn();
  assert.equal(worker.state, "stopping");
  streams.last.answerAll();
  await stopped;
  assert.deepEqual([worker.state, streams.last.ended, clock.now(), clock.armed], ["stopped", true, 0, 0]);
});

test("idle and away from its broker, it stops at once", async () => {
  const { clock, streams, worker } = workerInHand();
  streams.last.close(lostConnection());
  await worker.stop({});
  assert.deepEqual([worker.state, clock.now(), clock.armed], ["stopped", 0, 0]);
});

test("stop and the releases go in one request", async () => {
  const { streams, worker } = workerInHand({ concurrency: 1, prefetch: 2 });
  streams.last.subscribe();
  streams.last.deliver("a", "b", "c");
  await turn();
  streams.last.requests.splice(0);
  void worker.stop({});
  await turn();
  assert.equal(streams.last.requests.length, 1);
  assert.deepEqual([streams.last.stop, streams.last.settled(RELEASE)], [true, ["b", "c"]]);
  void worker.stop({ drain: "abandon" });
});

test("finish: when the drain time is over, signals abort and the messages are nacked", async () => {
  const inHand = workerInHand({ concurrency: 2, prefetch: 0 });
  const { clock, streams, worker, contexts } = inHand;
  streams.last.subscribe();
  streams.last.deliver("a", "b");
  const stopped = worker.stop({ drainTimeout: "20s" });
  await turn();
  streams.last.respond({ stopped: true });
  clock.advance(19_999);
  assert.equal(contexts.get("a")?.signal.aborted, false);
  clock.advance(1);
  assert.equal((contexts.get("a")?.signal.reason as { reason: string }).reason, "WORKER_STOPPED");
  await turn();
  assert.deepEqual(streams.last.settled(NACK), ["a", "b"]);
  streams.last.answerAll();
  await stopped;
  assert.deepEqual([inHand.errors, clock.armed], [[], 0]);
});

test("a second stop may be less patient", async () => {
  const { streams, worker, clock } = workerInHand({ concurrency: 1, prefetch: 0 });
  streams.last.subscribe();
  streams.last.deliver("a");
  const first = worker.stop({});
  await turn();
  streams.last.respond({ stopped: true });
  const second = worker.stop({ drain: "abandon" });
  await Promise.all([first, second]);
  assert.deepEqual([streams.last.settled(NACK), streams.last.ended, clock.now()], [[], true, 0]);
});

test("a broker that never answers is waited for no longer than the drain time; then the acks are reported", async () => {
  const inHand = workerInHand({ concurrency: 2, prefetch: 0 });
  const { clock, streams, worker, release } = inHand;
  streams.last.subscribe();
  streams.last.deliver("a", "b");
  release("a");
  await turn();
  assert.deepEqual(streams.last.settled(ACK), ["a"]);
  const stopped = worker.stop({ drainTimeout: "20s" });
  streams.last.close(lostConnection());
  // Away from the broker, it comes back for what has no answer.
  clock.advance(50);
  assert.equal(streams.all.length, 2);
  assert.equal(streams.last.credit, 0);
  release("b");
  clock.advance(19_949);
  await turn();
  assert.equal(worker.state, "stopping");
  clock.advance(1);
  await stopped;
  assert.deepEqual(reasons(inHand), ["WORKER_STOPPED", "WORKER_STOPPED"]);
  assert.equal(clock.armed, 0);
});

test("an ack without an answer is sent again, behind the new subscription, and only then", async () => {
  const { clock, streams, release, errors } = workerInHand({ concurrency: 2, prefetch: 0 });
  streams.last.subscribe();
  streams.last.deliver("a", "b");
  release("a");
  await turn();
  streams.last.close(lostConnection());
  release("b");
  clock.advance(50);
  await turn();
  assert.deepEqual(streams.last.settled(ACK), []);
  // "a" was done before the connection broke, "b" is given to somebody else.
  streams.last.subscribe(30_000, []);
  await turn();
  assert.deepEqual(streams.last.settled(ACK), ["a", "b"]);
  streams.last.answerAll(({ settlement }) =>
    settlement.messageId === "b" ? { code: Code.FailedPrecondition, reason: "LEASE_LOST" } : undefined,
  );
  assert.ok(errors.length === 1 && errors[0] instanceof LeaseLost);
});

test("an ack that the broker cannot take now is sent again a little later", async () => {
  const { clock, streams, release, errors } = workerInHand({ concurrency: 1, prefetch: 0 });
  streams.last.subscribe();
  streams.last.deliver("a");
  release("a");
  await turn();
  streams.last.answerAll(() => ({ code: Code.Unavailable, reason: "STORAGE_UNAVAILABLE" }));
  await turn();
  assert.deepEqual(streams.last.settled(ACK), []);
  clock.advance(2_000);
  await turn();
  assert.deepEqual(streams.last.settled(ACK), ["a"]);
  streams.last.answerAll();
  assert.deepEqual(errors, []);
});

test("a lease that is lost in the very response that brings it", async () => {
  const { streams, contexts } = workerInHand({ concurrency: 1, prefetch: 0 });
  streams.last.subscribe();
  streams.last.respond({
    messages: [{ message: { id: "a" }, leaseToken: Buffer.from("token..a") }],
    lost: [{ messageId: "a", leaseToken: Buffer.from("token..a"), reason: "QUEUE_DELETED" }],
  });
  const { reason } = contexts.get("a")!.signal as { reason: unknown };
  assert.ok(reason instanceof LeaseLost && reason.metadata["reason"] === "QUEUE_DELETED");
});

test("no wait between attempts is longer than a broker waits for its workers, however long it is away", () => {
  const { clock, streams, worker } = workerInHand();
  clock.chance = 0.999;
  let longest = 0;
  for (let at = 0; at < 40; at++) {
    const before = clock.now();
    const opened = streams.all.length;
    streams.last.close(lostConnection());
    while (streams.all.length === opened) clock.advance(10);
    longest = Math.max(longest, clock.now() - before);
  }
  assert.ok(longest > 3_000 && longest < 5_000, `${longest} ms`);
  assert.equal(worker.state, "connecting");
});
