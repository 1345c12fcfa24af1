// Idempotency keys in the store: what was used and what was set free is known again after a restart, in whatever turns it
// happened, and nothing of it is left when nobody needs it any more.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Command, IdempotencyKey } from "../core/commands.ts";
import type { Effect } from "../core/effects.ts";
import { defaultQueueSettings } from "../core/queue-settings.ts";
import { RecordType } from "../storage/journal/keys.ts";
import { EngineDriver } from "./testing/engine-driver.ts";

const never = { journalBytes: 1e9, journalCommits: 1e9, sliceMessages: 100, sliceBytes: 262_144 };
const settings = { ...defaultQueueSettings, dedupWindowMs: 60_000 };
const keys: readonly IdempotencyKey[] = [1, 2, 3].map((n) => ({ a: n, b: n, c: n, d: n, text: `key ${n}` }));
const [first, second, third] = keys as [IdempotencyKey, IdempotencyKey, IdempotencyKey];

function use(...used: readonly IdempotencyKey[]): Command {
  const rest = { queue: "q", fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: Buffer.alloc(20) };
  return { type: "enqueue", request: 1, items: used.map((idempotencyKey) => ({ ...rest, idempotencyKey })) };
}

function release(key: IdempotencyKey): Command {
  return { type: "release-key", request: 2, queue: "q", key };
}

/** What became of each enqueue. */
function stored(effects: readonly Effect[]): ("stored" | "duplicate" | "refused")[] {
  const outcomes = effects.flatMap((effect) => (effect.type === "enqueued" ? effect.outcomes : []));
  return outcomes.map((outcome) =>
    typeof outcome === "string" ? "stored" : "duplicateOf" in outcome ? "duplicate" : "refused",
  );
}

function begun(): EngineDriver {
  const driver = new EngineDriver(never);
  driver.turn({ type: "create-queue", request: 1, name: "q", settings });
  return driver;
}

function restarted({ store, time }: EngineDriver): EngineDriver {
  return new EngineDriver(never, store, time);
}

function records({ store }: EngineDriver, type: number): number {
  let count = 0;
  for (const run of store.snapshot(Uint8Array.of(type), Uint8Array.of(type + 1))) count += run.length;
  return count;
}

describe("after a restart an idempotency key", () => {
  /** An older key keeps what was set free from being forgotten at once. */
  function begunBehindAnother(): EngineDriver {
    const driver = begun();
    driver.turn(use(third));
    return driver;
  }

  test("that was set free and used again in one turn is in use", () => {
    for (const turns of [[[use(first)], [release(first), use(first)]], [[use(first), release(first), use(first)]]]) {
      const driver = begunBehindAnother();
      for (const commands of turns) driver.turn(...commands);
      assert.deepEqual(stored(driver.turn(use(first)).effects), ["duplicate"]);
      assert.deepEqual(stored(restarted(driver).turn(use(first)).effects), ["duplicate"]);
    }
  });

  test("that was used, set free, used and set free again in one turn is free", () => {
    for (const driver of [begun(), begunBehindAnother()]) {
      driver.turn(use(first), release(first), use(first), release(first));
      assert.deepEqual(stored(restarted(driver).turn(use(first)).effects), ["stored"]);
    }
  });

  test("that was set free twice is free, though the first time is forgotten", () => {
    const driver = begunBehindAnother();
    driver.turn(use(first));
    driver.turn(release(first));
    driver.pass(30_000);
    driver.turn(use(first, second));
    driver.turn(release(first));
    // The records of the first uses go.
    driver.pass(40_000);
    driver.turn();
    assert.equal(records(driver, RecordType.idempotency), 1);
    assert.deepEqual(stored(restarted(driver).turn(use(first, second)).effects), ["stored", "duplicate"]);
  });
});

test("what was used and set free goes with its queue, also in the turn that deletes it", () => {
  const driver = begun();
  driver.turn(use(first, second), release(first));
  driver.turn(use(third), release(second), { type: "delete-queue", request: 3, name: "q" });
  for (let turns = 0; turns < 3; turns += 1) driver.turn();
  assert.equal(records(driver, RecordType.idempotency), 0);
  assert.equal(records(driver, RecordType.released), 0);
});

test("a mark that is made in the turn that forgets the use goes with it", () => {
  const driver = begun();
  driver.turn(use(first));
  driver.pass(70_000);
  driver.turn(release(first));
  for (let turns = 0; turns < 2; turns += 1) driver.turn();
  assert.equal(records(driver, RecordType.idempotency), 0);
  assert.equal(records(driver, RecordType.released), 0);
});

test("a use that is set free in its own turn leaves nothing, and no later one waits for it", () => {
  const driver = begun();
  driver.turn(use(first), release(first));
  driver.turn(use(second));
  assert.equal(records(driver, RecordType.idempotency), 1);
  driver.pass(70_000);
  for (let turns = 0; turns < 2; turns += 1) driver.turn();
  assert.equal(records(driver, RecordType.idempotency), 0);
});
