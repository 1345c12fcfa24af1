import assert from "node:assert/strict";
import { test } from "node:test";
import type { Command, EnqueueItem } from "../core/commands.ts";
import type { Delivery } from "../core/effects.ts";
import { RecordType, payloadKey } from "../storage/journal/keys.ts";
import { EngineDriver } from "./testing/engine-driver.ts";
import { defaultQueueSettings } from "../core/queue-settings.ts";

const checkpoint = { journalBytes: 1e9, journalCommits: 20, sliceMessages: 100, sliceBytes: 262_144 };

function create(name: string): Command {
  return { type: "create-queue", request: 1, name, settings: defaultQueueSettings };
}

function enqueue(...items: Partial<EnqueueItem>[]): Command {
  const rest = { queue: "q", fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: Buffer.alloc(1_000) };
  return { type: "enqueue", request: 2, items: items.map((item) => ({ ...rest, ...item })) };
}

const who = { queue: "q", connection: 1, principal: "p" };
const stream = { type: "open", kind: "stream", consumer: 1, worker: "", session: "", visibilityMs: 0, ...who } as const;

test("a checkpoint ends although more weights and queues change with every commit than a slice writes", () => {
  const driver = new EngineDriver(checkpoint);
  const names = Array.from({ length: 60 }, (_, at) => `q${at}`);
  driver.turn(...names.map(create));
  const weightOf = (turn: number): number => 2 + (turn % 2);
  let checkpoints = 0;
  for (let turn = 0, wasActive = false; turn < 120; turn += 1) {
    const items = names.flatMap((queue) =>
      ["a", "b"].map((fairnessKey) => ({ queue, fairnessKey, weight: weightOf(turn), body: Buffer.alloc(5) })),
    );
    driver.turn(enqueue(...items));
    const { active } = driver.engine.checkpoint;
    if (wasActive && !active) checkpoints += 1;
    wasActive = active;
  }
  assert.ok(checkpoints > 1, `${checkpoints} checkpoints ended`);
  assert.ok(driver.engine.journal.ledger.entries.length < 60, "the journal stays short");
  const { core } = new EngineDriver(checkpoint, driver.store).engine;
  for (const name of names) {
    const stats = core.stats(name, 10);
    assert.deepEqual([stats?.depth, stats?.keys.map((key) => key.weight)], [240, [weightOf(119), weightOf(119)]]);
    assert.equal(core.state.queuesByName.get(name)?.nextSequence, 241);
  }
});

test("a checkpoint ends although a sparse payload record cannot be read", () => {
  const driver = new EngineDriver(checkpoint);
  const { ledger } = driver.engine.journal;
  driver.turn(create("q"), enqueue(...new Array<object>(60).fill({})));
  while (ledger.entries.length < 20) driver.turn(enqueue({ queue: "none", body: Buffer.alloc(0) }, {}));
  while (driver.engine.checkpoint.active || driver.engine.checkpoint.due) driver.turn();
  const record = [...ledger.records.all()].find((each) => each.bytes === 60_000);
  assert.ok(record !== undefined && !record.inJournal);
  const key = payloadKey(record.queueNumber, record.id);
  const damaged = Buffer.from(driver.store.get(key) as Uint8Array);
  damaged[7] = (damaged[7] as number) ^ 1;
  driver.store.set(key, damaged);

  const { effects } = driver.turn({ ...stream, credit: 50 });
  const deliveries = effects.flatMap((effect): readonly Delivery[] =>
    effect.type === "deliver" ? effect.deliveries : [],
  );
  const items = deliveries.map(({ id, token }) => ({ id, token, action: "ack" as const, error: "", extendMs: 0 }));
  driver.turn({ type: "settle", request: 3, items, ...who });
  assert.equal(ledger.sparse.size, 1);
  for (let turn = 0; turn < 30; turn += 1) driver.turn(enqueue({}));
  let turns = 0;
  while (driver.engine.checkpoint.active && turns < 100) {
    driver.turn();
    turns += 1;
  }
  assert.ok(turns < 100, "the checkpoint is over");
  assert.equal(record.aliveMessages, 10, "what cannot be read stays where it is");
});

test("a checkpoint takes the commits of which nothing lives in small slices, and what lives in large ones", () => {
  const driver = new EngineDriver({ ...checkpoint, journalCommits: 450 });
  driver.turn(create("q"));
  for (let commit = 1; commit <= 300; commit += 1) driver.turn(enqueue({}));
  driver.turn({ type: "purge", request: 3, queue: "q" });
  while (driver.engine.core.purges.size > 0) driver.turn();
  while (!driver.engine.checkpoint.active) driver.turn(enqueue({}));
  const slices: number[] = [];
  while (driver.engine.checkpoint.active) {
    const { data } = driver.turn();
    slices.push(data.filter((op) => "del" in op && op.del[0] === RecordType.journal).length);
  }
  // Each of the last commits counts twice, for itself and for its message.
  assert.deepEqual(slices, [0, ...new Array<number>(12).fill(25), 51, 50, 49]);
});

test("a purge leaves no bytes of messages that came in its very turn", () => {
  const driver = new EngineDriver(checkpoint);
  driver.turn(create("q"));
  driver.turn(enqueue({}, {}), { type: "purge", request: 3, queue: "q" });
  const { effects } = driver.turn();
  assert.deepEqual(
    effects.map((effect) => (effect.type === "purged" ? effect.messages : effect.type)),
    [2],
  );
  assert.equal(driver.engine.journal.ledger.records.size, 0);
});

test("a purge notes messages that stood together at once, and leaves a record the bytes of those that stay", () => {
  const driver = new EngineDriver(checkpoint);
  const bodies = [10, 20, 30, 40, 50].map((bytes) => ({ body: Buffer.alloc(bytes) }));
  driver.turn(create("q"), { ...stream, credit: 1 }, enqueue(...bodies));
  driver.turn({ type: "purge", request: 3, queue: "q" });
  const purged = driver.turn().mutations.map((each) => each.type === "purged" && [each.sequence, each.last]);
  assert.deepEqual(purged, [[2, 5]]);
  const [record] = driver.engine.journal.ledger.records.all();
  assert.deepEqual([record?.aliveMessages, record?.aliveBytes, record?.bytes], [1, 10, 150]);
});
