// What an iteration over leases says, request by request.
import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../fake/fake-clock.ts";
import { FakeStreams, turn } from "../fake/fake-streams.ts";
import { SettlementAction } from "../gen/index.ts";
import type { HeldLease } from "./held-lease.ts";
import { LeaseReader } from "./lease-reader.ts";
import { nobody } from "./settlement.ts";

function readerInHand(prefetch: number) {
  const streams = new FakeStreams();
  const options = {
    ...{ queue: "q", session: "s", workerId: "", visibilityTimeoutMs: 0 },
    ...{ prefetch, reconnects: false, finishTimeoutMs: 5_000 },
  };
  const fallback = { settle: () => assert.fail("settled behind the end") };
  const reader = new LeaseReader(streams.open, options, fallback, new FakeClock(), () => undefined);
  const read = async (): Promise<HeldLease> => {
    const lease = await reader.next();
    assert.ok(lease);
    return lease;
  };
  return { reader, read, stream: streams.last };
}

test("it asks for more when half of what may wait is missing", async () => {
  const { read, stream } = readerInHand(4);
  stream.subscribe();
  stream.deliver("a", "b");
  await read();
  await turn();
  assert.deepEqual([stream.requests.length, stream.credit], [1, 4]);
  await read();
  await turn();
  assert.deepEqual([stream.requests.length, stream.credit], [2, 6]);
});

test("credit for the next message goes in the request that acks the last one", async () => {
  const { read, stream } = readerInHand(100);
  stream.subscribe();
  stream.deliver("a", "b");
  (await read()).end("ack", "", nobody);
  await turn();
  assert.equal(stream.requests.length, 2);
  assert.deepEqual([stream.settled(SettlementAction.ACK), stream.credit], [["a"], 101]);
});
