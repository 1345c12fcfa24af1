import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader } from "./bytes.ts";
import { envelopeBytes } from "./envelope.ts";
import { PageWriter, type StoredState, readPageCommit, readPageMessages } from "./page.ts";

/** Like what the readers make. */
const plain = { noNullPrototype: true };
const seed = 20_250_714;
const base = 1_750_000_000_000;
const wall = fc.integer({ min: base - 2 ** 40, max: base + 2 ** 40 });
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const text = fc.string({ maxLength: 20, unit: "binary" });

const holder = fc.record(
  {
    kind: fc.constantFrom("consume" as const, "stream" as const, "poll" as const),
    principal: text,
    worker: text,
    session: text,
  },
  plain,
);
const end = fc.oneof(
  fc.record(
    {
      by: fc.constant("nack" as const),
      error: text,
      delayMs: fc.option(fc.nat(), { nil: undefined }),
      deadLetter: fc.boolean(),
    },
    plain,
  ),
  fc.record({ by: fc.constantFrom("expiry" as const, "dead-stream" as const) }, plain),
);
const state: fc.Arbitrary<StoredState> = fc.oneof(
  fc.constantFrom("ready" as const, "delayed" as const, "scheduled" as const, "quarantined" as const),
  fc.record(
    { token: fc.record({ high: word, low: word }, plain), durationMs: fc.nat(), leasedAt: fc.nat(), holder },
    plain,
  ),
  fc.record({ end }, plain),
);
const facts = fc.record(
  {
    sequence: fc.integer({ min: 1, max: 2 ** 52 }),
    enqueuedAt: wall,
    readyAt: wall,
    attempts: fc.nat(),
    cost: fc.integer({ min: 1, max: 1_000 }),
    offset: fc.nat(),
    length: fc.nat(),
    expiresAt: fc.oneof(fc.constant(0), wall),
    firstFailedAt: fc.oneof(fc.constant(0), wall),
  },
  plain,
);
const lane = fc.record(
  {
    queueNumber: word,
    fairnessKey: text,
    throttleKeys: fc.array(text, { maxLength: 2 }),
  },
  plain,
);
const record = fc.record({ id: fc.nat(), bytes: fc.nat() }, plain);

test("a page is read as it was written, whatever its messages are in", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(lane, facts, record, state), { maxLength: 20 }), fc.nat(), (messages, commit) => {
      const writer = new PageWriter();
      writer.begin(commit);
      for (const [place, ...rest] of messages) {
        writer.message({ ...place, numberedIn: 0, number: 0 }, ...rest);
      }
      const { value } = writer.take(7, 9);
      const reader = new ByteReader(value, envelopeBytes);
      assert.equal(readPageCommit(reader), commit);
      const read: unknown[] = [];
      readPageMessages(reader, { message: (...message) => read.push(message) });
      assert.deepEqual(read, messages);
    }),
    { seed, numRuns: 300 },
  );
});
