// Stores of format 1: read as they are, and then of this format.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Core } from "../../core/core.ts";
import { defaultQueueSettings } from "../../core/queue-settings.ts";
import { Restorer } from "../../core/restore.ts";
import { durableFacts } from "../../core/testing/durable-ledger.ts";
import { verify } from "../../core/verify.ts";
import { RecordType } from "./keys.ts";
import { PayloadCache } from "./payload-cache.ts";
import { Recovery } from "./recovery.ts";
import { journalOnly, withPages } from "./testing/format-1.ts";

const wall = 1_700_000_000_000;

function recover(rows: readonly (readonly [string, string])[]): Core {
  const core = new Core(0, { words: new Uint32Array(64), left: 64 });
  const recovery = new Recovery(core, new Restorer(core));
  for (const [key, value] of rows) {
    const bytes = Buffer.from(key, "hex");
    if ((bytes[0] as number) < RecordType.payload) recovery.add(bytes, Buffer.from(value, "hex"));
  }
  const { damage } = recovery.finish({ mono: 10, wall: wall + 100 }, new PayloadCache(0));
  assert.deepEqual(damage, []);
  verify(core);
  return core;
}

const lease = "for 12345 since 1700000000004 by stream p w s";
const expected = [
  "message 1:1 in 1 a [] enqueued +2 ready +5 attempts 1 cost 1 length 3 state 1",
  `message 1:2 in 1 a [t,u] enqueued +2 ready +2 attempts 0 cost 2 length 3 state 2 token 2633278189.992746654 ${lease}`,
  `message 1:3 in 1 b [] enqueued +2 ready +2 attempts 0 cost 1 length 5 state 2 token 1619373963.4273809724 ${lease}`,
  "message 1:4 in 1 b [] enqueued +2 ready +13 attempts 1 cost 1 length 4 state 1",
  "message 1:6 in 1 c [] enqueued +2 ready +2 attempts 0 cost 1 length 3 state 3",
  `message 1:7 in 1 d [t] enqueued +11 ready +11 attempts 0 cost 4 length 5 state 2 token 605469737.3259905498 ${lease.replace("0004", "0012")}`,
  "message 1:8 in 1 d [] enqueued +11 ready +11 attempts 0 cost 1 length 5 state 3",
  "message 1:9 in 1 e [] enqueued +11 ready +11 attempts 0 cost 1 length 4 state 1",
  "message 2:1 in 2 z [] enqueued +14 ready +14 attempts 0 cost 1 length 12 state 1",
];

describe("a store of format 1", () => {
  for (const [name, rows] of Object.entries({ withPages, journalOnly })) {
    test(`is read whole: ${name}`, () => {
      for (const [, value] of rows) assert.equal(value.slice(0, 2), "01");
      const core = recover(rows);
      const facts = durableFacts(core).map((line) =>
        line.replaceAll(/(enqueued|ready) 17000000000(\d\d)/g, (_, what, at) => `${what} +${Number(at)}`),
      );
      const messages = facts.filter((line) => line.startsWith("message"));
      assert.deepEqual(
        messages.map((line) =>
          line
            .replace(" expires 0", "")
            .replace(/ failed 0/, "")
            .replace(/ failed 17\d+/, ""),
        ),
        expected,
      );
      assert.deepEqual(
        facts.filter((line) => line.startsWith("weight")),
        ["weight 1 a 3", "weight 1 d 5", "weight 1 e 9"],
      );
      const { state } = core;
      assert.equal(state.nextQueueNumber, 4);
      assert.equal(state.salt, 3);
      const orders = state.queuesByName.get("orders");
      assert.deepEqual(orders?.settings, { ...defaultQueueSettings, visibilityMs: 12_345 });
      assert.equal(orders?.nextSequence, 10);
      assert.equal(state.queuesByName.size, 2);
    });
  }

  test("gets its dead-letter queues with the first turn: the one that has the name already", () => {
    const core = recover(withPages);
    core.begin({ mono: 11, wall: wall + 101 });
    const { mutations } = core.finish();
    assert.deepEqual(
      mutations.filter(({ type }) => type.startsWith("queue")),
      [
        {
          type: "queue-updated",
          queueNumber: 1,
          name: "orders",
          settings: { ...defaultQueueSettings, visibilityMs: 12_345 },
          deadLetters: 2,
          madeFor: 0,
        },
      ],
    );
    verify(core);
  });
});
