// The sessions against transports that the test drives by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { failure } from "../core/errors.ts";
import type { Failure } from "../core/errors.ts";
import { FakeBroker, delivery, fakeId } from "../rpc/hot/testing/fake-broker.ts";
import { FramesUnderWay } from "./frames-under-way.ts";
import { LeaseSession } from "./lease-session.ts";
import type { LeaseFrame, LeaseOut } from "./lease-session.ts";
import { PartialFrameBuilder, outcomesOf } from "./partial-frame.ts";
import { PollSession } from "./poll-session.ts";

const bytes = Buffer.alloc(0);
/** Lets everything planned for this turn happen. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class FakeOut implements LeaseOut {
  readonly told: string[] = [];
  readonly takes: (() => void)[] = [];
  subscribed = (): unknown => this.told.push("subscribed");
  messages = (all: readonly { ordinal: number }[]): unknown =>
    this.told.push(`messages ${all.map((d) => d.ordinal).join()}`);
  settled = (frame: number | bigint): unknown => this.told.push(`settled ${frame}`);
  lost = (all: readonly unknown[]): unknown => this.told.push(`lost ${all.length}`);
  draining = (): unknown => this.told.push("draining");
  stopped = (): unknown => this.told.push("stopped");
  flush = (taken: () => void): unknown => this.takes.push(taken);
  end = (failed: Failure | undefined): unknown => this.told.push(`end ${failed?.reason ?? "OK"}`);
  pause = (): unknown => this.told.push("pause");
  resume = (): unknown => this.told.push("resume");
}

const subscribe = { queue: "q", session: "", worker: "", visibilityMs: 0 };
const none = { items: [], refused: undefined };
const first: LeaseFrame = { subscribe, credit: 1, stop: false, settlementFrame: 0, settlements: none };
const ack: LeaseFrame = {
  subscribe: undefined,
  credit: 1,
  stop: false,
  settlementFrame: 7,
  settlements: {
    items: [{ id: fakeId(1), token: { high: 1, low: 1 }, action: "ack", error: "", extendMs: 0 }],
    refused: undefined,
  },
};

async function live() {
  const broker = new FakeBroker();
  const out = new FakeOut();
  const session = new LeaseSession(broker, { connection: 1, principal: "" }, out);
  session.request(first, 10);
  await turn();
  return { broker, out, session, consumer: broker.consumers[0]! };
}

test("a turn is one write, and only what the transport took counts as written", async () => {
  const { out, session, consumer } = await live();
  session.deliver([delivery(1, bytes), delivery(2, bytes)]);
  session.deliver([delivery(3, bytes)]);
  await turn();
  session.deliver([delivery(4, bytes)]);
  await turn();
  assert.equal(out.takes.length, 3, "subscribed, 1 to 3, 4");
  out.takes[0]!();
  assert.equal(consumer.writtenOrdinal, 0);
  out.takes[1]!();
  assert.equal(consumer.writtenOrdinal, 3);
  session.gone();
  assert.equal(consumer.closedWith, 3, "the fourth goes back without an attempt");
  session.gone();
  session.lost([delivery(4, bytes)]);
  session.ended(failure("DRAINING", "late"));
  out.takes[2]!();
  assert.equal(consumer.writtenOrdinal, 3);
  assert.ok(!out.told.some((what) => what.startsWith("end")));
});

test("what is more than a part is several writes, each of which counts by itself", async () => {
  const { out, session, consumer } = await live();
  out.told.length = out.takes.length = 0;
  const large = Buffer.alloc(100 * 1024);
  session.deliver([1, 2, 3, 4, 5].map((ordinal) => delivery(ordinal, large)));
  session.deliver([delivery(6, Buffer.alloc(1024 * 1024)), delivery(7, bytes)]);
  await turn();
  assert.deepEqual(out.told, ["messages 1,2", "messages 3,4", "messages 5", "messages 6", "messages 7"]);
  for (const ordinal of [2, 4, 5, 6, 7]) {
    out.takes.shift()!();
    assert.equal(consumer.writtenOrdinal, ordinal);
  }
});

test("a worker that ends its half gets the results of what it sent before, then OK", async () => {
  const { broker, out, session, consumer } = await live();
  broker.held = [];
  session.request(ack, 50);
  session.inputEnded();
  assert.equal(consumer.closedWith, 0);
  assert.ok(!out.told.includes("end OK"));
  broker.held[0]!();
  assert.deepEqual(out.told.slice(-2), ["settled 7", "end OK"]);
});

test("a worker that ends its half with its first request learns whether the queue exists, and is given nothing", async () => {
  for (const [queue, told] of [
    ["q", ["subscribed", "end OK"]],
    ["missing", ["end QUEUE_NOT_FOUND"]],
  ] as const) {
    const broker = new FakeBroker();
    const out = new FakeOut();
    const session = new LeaseSession(broker, { connection: 1, principal: "" }, out);
    session.request({ ...first, subscribe: { ...subscribe, queue } }, 10);
    session.inputEnded();
    await turn();
    assert.deepEqual(out.told, told);
    assert.equal(broker.consumers[0]!.closedWith, queue === "q" ? 0 : undefined);
  }
});

test("the broker ends a stream: results under way come first, the failure last, and no close", async () => {
  const { broker, out, session, consumer } = await live();
  broker.held = [];
  session.request(ack, 50);
  session.ended(failure("QUEUE_NOT_FOUND", "deleted"));
  broker.held[0]!();
  assert.deepEqual(out.told.slice(-2), ["settled 7", "end QUEUE_NOT_FOUND"]);
  session.gone();
  assert.equal(consumer.closedWith, undefined);
});

test("credit of many requests at once is told once", async () => {
  const { session, consumer } = await live();
  let told = 0;
  const credit = consumer.credit.bind(consumer);
  consumer.credit = (messages) => {
    told++;
    credit(messages);
  };
  for (let i = 0; i < 1000; i++) session.request({ ...first, subscribe: undefined, credit: 2 }, 5);
  await turn();
  assert.equal(told, 1);
  assert.equal(consumer.credits, 2001);
});

test("a poll: a delivery behind its end is nobody's, draining answers it, its timer does not outlive it", async () => {
  const broker = new FakeBroker();
  const answers: string[] = [];
  const start = (waitMs: number): PollSession => {
    const session = new PollSession(waitMs, {
      messages: (all, taken) => {
        answers.push(`messages ${all.length}`);
        taken(true);
      },
      failure: ({ reason }) => answers.push(reason),
    });
    const fixed = { kind: "poll", connection: 1, principal: "", worker: "", session: "", visibilityMs: 0 } as const;
    session.start(broker, { queue: "q", credit: 5, ...fixed });
    return session;
  };
  const drained = start(60_000);
  drained.draining();
  drained.deliver([delivery(1, bytes)]);
  const gone = start(60_000);
  gone.gone();
  gone.ended(failure("INTERNAL", "late"));
  const served = start(60_000);
  served.deliver([delivery(1, bytes), delivery(2, bytes)]);
  served.gone();
  assert.deepEqual(answers, ["DRAINING", "messages 2"]);
  assert.deepEqual(
    broker.consumers.map((consumer) => consumer.closedWith),
    [0, 0, 2],
  );
  await turn();
});

test("results come in the order of their frames, whatever the order of decisions, and reading is held back", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 200 }), (order) => {
      const emitted: number[] = [];
      let paused = false;
      const underWay = new FramesUnderWay<number, string>(
        { pause: () => (paused = true), resume: () => (paused = false) },
        (frame) => emitted.push(frame),
      );
      const decide = order.map((_, frame) => ({ at: order[frame]!, done: underWay.begin(frame, 1) }));
      assert.equal(paused, order.length >= 64);
      for (const { done } of decide.sort((a, b) => a.at - b.at)) done("result");
      assert.deepEqual(emitted, [...order.keys()]);
      assert.ok(underWay.idle);
      underWay.flushed()();
      assert.equal(paused, false);
    }),
  );
});

test("outcomes of items and refusals come together in the order of the request", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean()), fc.boolean(), (accepted, allFail) => {
      const frame = new PartialFrameBuilder<number>();
      const refused = failure("INVALID_FIELD", "no");
      const storage = failure("STORAGE_UNAVAILABLE", "later");
      accepted.forEach((yes, i) => (yes ? frame.accept(i) : frame.refuse(refused)));
      const outcomes = outcomesOf(frame, allFail ? storage : frame.items.map(String));
      assert.deepEqual(
        outcomes,
        accepted.map((yes, i) => (yes ? (allFail ? storage : String(i)) : refused)),
      );
    }),
  );
});
