// Every state of a message over a restart, from the events of the journal and from pages.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Command, EnqueueItem, SettleItem } from "../core/commands.ts";
import type { Delivery, Effect } from "../core/effects.ts";
import { defaultQueueSettings } from "../core/queue-settings.ts";
import { durableFacts } from "../core/testing/durable-ledger.ts";
import { verify } from "../core/verify.ts";
import { readFailureRecord } from "../storage/journal/failure-record.ts";
import { RecordType, failureKey } from "../storage/journal/keys.ts";
import { EngineDriver } from "./testing/engine-driver.ts";

const wall = 1_700_000_000_000;
const never = { journalBytes: 1e9, journalCommits: 1e9, sliceMessages: 100, sliceBytes: 262_144 };
const always = { ...never, journalCommits: 1 };

function enqueue(queue: string, ...items: Partial<EnqueueItem>[]): Command {
  const rest = { queue, fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: Buffer.alloc(20) };
  return { type: "enqueue", request: 2, items: items.map((item) => ({ ...rest, ...item })) };
}

function deliveriesOf(effects: readonly Effect[]): Delivery[] {
  return effects.flatMap((effect): readonly Delivery[] => (effect.type === "deliver" ? effect.deliveries : []));
}

function settle(queue: string, ...items: (readonly [Delivery | undefined, Partial<SettleItem>])[]): Command {
  const all = items.map(([delivery, how]): SettleItem => {
    const { id, token } = delivery as Delivery;
    return { id, token, action: "nack", error: "boom", extendMs: 0, ...how };
  });
  return { type: "settle", request: 3, queue, connection: 1, principal: "p", items: all };
}

function open(consumer: number, queue: string, credit: number): Command {
  const who = { connection: 1, principal: "p", worker: "w", session: "s", visibilityMs: 0 };
  return { type: "open", consumer, queue, kind: "stream", credit, ...who };
}

/** Messages in every state there is; gives the times at which three of them were dead-lettered. */
function fill(driver: EngineDriver): { rejected: number; corrupt: number; expired: number } {
  const settings = { ...defaultQueueSettings, initialBackoffMs: 700, expiredTo: "dead-letter" as const };
  driver.turn(
    { type: "create-queue", request: 1, name: "q", settings },
    { type: "create-queue", request: 1, name: "asks", settings: { ...settings, onFailureScript: "asked" } },
  );
  driver.turn(enqueue("q", ...new Array<object>(6).fill({ weight: 3 })), enqueue("asks", {}, {}, {}));
  const held = deliveriesOf(driver.turn(open(1, "q", 6)).effects);
  const asked = deliveriesOf(driver.turn(open(2, "asks", 3)).effects);
  driver.pass(50);
  driver.turn(
    settle(
      "q",
      [held[0], {}],
      [held[1], { delayMs: 90_000 }],
      [held[2], { deadLetter: true }],
      [held[3], { action: "release" }],
    ),
    settle("asks", [asked[0], {}], [asked[1], { delayMs: 5 }], [asked[2], { deadLetter: true }]),
  );
  const rejected = wall + driver.time;
  driver.turn({
    type: "decided",
    queueNumber: 3,
    sequence: 3,
    attempt: 1,
    decision: { type: "retry", delayMs: 60_000 },
  });
  driver.turn(
    enqueue(
      "q",
      { delayMs: 40_000, throttleKeys: ["t"] },
      { deliverAt: wall + 80_000, ttlMs: 100_000 },
      { ttlMs: 30_000 },
      { ttlMs: 5 },
    ),
  );
  driver.turn({ type: "quarantine", queueNumber: 1, sequence: 9 });
  const corrupt = wall + driver.time;
  driver.pass(10);
  driver.turn();
  return { rejected, corrupt, expired: wall + driver.time };
}

describe("messages in every state", () => {
  for (const [name, checkpoint] of Object.entries({ events: never, pages: always })) {
    test(`come back as they were, from ${name}`, () => {
      const driver = new EngineDriver(checkpoint);
      fill(driver);
      for (let turns = 0; turns < 6; turns += 1) driver.turn();
      const before = durableFacts(driver.engine.core);
      const states = new Set(before.map((line) => / state (\d)/.exec(line)?.[1]));
      for (const state of "123456") assert.ok(states.has(state), `a message in state ${state}`);
      const { core } = new EngineDriver(checkpoint, driver.store, driver.time).engine;
      verify(core);
      assert.deepEqual(durableFacts(core), before);
    });

    test(`leave the records of their failures for as long as they are there, with ${name}`, () => {
      const driver = new EngineDriver(checkpoint);
      const times = fill(driver);
      const names = [
        [3, "rejected", "boom", times.rejected],
        [9, "corrupt", "the message cannot be read back from the store", times.corrupt],
        [10, "ttl", "the message's time to live was over before it was acknowledged", times.expired],
      ] as const;
      const found = [...driver.store.snapshot(Uint8Array.of(RecordType.failure), Uint8Array.of(0xff))].flat();
      assert.deepEqual(
        found.map(({ key, value }) => readFailureRecord(key, value)),
        names.map(([, reason, error, at]) => {
          return { reason, error, sourceQueue: "q", firstFailedAt: at, lastFailedAt: at };
        }),
      );
      assert.deepEqual(
        found.map(({ key }) => Buffer.from(key).toString("hex")),
        names.map(([sequence]) => failureKey(1, sequence).toString("hex")),
      );
      const held = deliveriesOf(driver.turn(open(3, "q.dlq", 9)).effects);
      driver.turn(settle("q.dlq", [held[0], { action: "ack" }]));
      assert.equal(driver.store.get(failureKey(1, 3)), undefined);
      assert.ok(driver.store.get(failureKey(1, 9)) !== undefined);
      driver.turn({ type: "delete-queue", request: 9, name: "q" });
      // The process ends before the messages of the deleted queue are gone one by one.
      const again = new EngineDriver(checkpoint, driver.store, driver.time);
      again.turn(enqueue("asks", {}));
      assert.deepEqual([...again.store.snapshot(Uint8Array.of(RecordType.failure), Uint8Array.of(0xff))].flat(), []);
    });
  }

  test("that moved before their queue was deleted live on in the one that they moved to", () => {
    for (const checkpoint of [never, always]) {
      const driver = new EngineDriver(checkpoint);
      driver.turn({ type: "create-queue", request: 1, name: "q.dlq", settings: defaultQueueSettings });
      driver.turn(
        { type: "create-queue", request: 1, name: "q", settings: defaultQueueSettings },
        enqueue("q", {}, {}),
      );
      const held = deliveriesOf(driver.turn(open(1, "q", 1)).effects);
      driver.turn(settle("q", [held[0], { deadLetter: true }]));
      driver.turn({ type: "delete-queue", request: 9, name: "q" });
      for (let turns = 0; turns < 5; turns += 1) driver.turn();
      const again = new EngineDriver(checkpoint, driver.store, driver.time);
      const { state } = again.engine.core;
      assert.deepEqual([state.table.size, state.queuesByName.get("q.dlq")?.depth], [1, 1]);
      assert.deepEqual(
        deliveriesOf(again.turn(open(1, "q.dlq", 1)).effects).map(({ id }) => id),
        [held[0]?.id],
      );
    }
  });

  test("whose time to live ended under a lease: an ack that comes too late is refused after a restart, too", () => {
    const driver = new EngineDriver(never);
    driver.turn({ type: "create-queue", request: 1, name: "q", settings: defaultQueueSettings });
    driver.turn(enqueue("q", { ttlMs: 5 }));
    const [held] = deliveriesOf(driver.turn(open(1, "q", 1)).effects) as [Delivery];
    driver.pass(10);
    driver.turn({ type: "close", consumer: 1, written: 1 });
    assert.equal(driver.engine.core.state.table.size, 0);
    for (const each of [driver, new EngineDriver(never, driver.store, driver.time)]) {
      const { effects } = each.turn(settle("q", [held, { action: "ack" }]));
      const [settled] = effects.filter((effect) => effect.type === "settled");
      const [outcome] = settled?.outcomes ?? [];
      assert.ok(typeof outcome === "object" && outcome.reason === "LEASE_LOST");
    }
  });
});

test("a dead letter of the queue that it was enqueued to leaves no record when that queue is deleted before a crash", () => {
  const driver = new EngineDriver(never);
  driver.turn({ type: "create-queue", request: 1, name: "q", settings: defaultQueueSettings });
  const before = driver.turn(enqueue("q.dlq", {}));
  const name = before.mutations.flatMap((each) =>
    each.type === "enqueued" ? [{ queueNumber: each.lane.queueNumber, sequence: each.sequence }] : [],
  );
  // Redriven, it fails again and comes back to where it began.
  driver.turn({ type: "redrive", request: 4, queue: "q.dlq", messages: name });
  const [delivery] = deliveriesOf(driver.turn(open(1, "q", 1)).effects);
  driver.turn(settle("q", [delivery, { deadLetter: true }]));
  const { queueNumber, sequence } = name[0]!;
  assert.ok(driver.store.get(failureKey(queueNumber, sequence)) !== undefined);
  driver.turn({ type: "delete-queue", request: 5, name: "q.dlq" });
  const after = new EngineDriver(never, driver.store, driver.time);
  after.turn(enqueue("q", {}));
  assert.equal(after.store.get(failureKey(queueNumber, sequence)), undefined);
});
