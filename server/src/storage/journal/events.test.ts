import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { NumberedLane } from "../../core/mutations.ts";
import { ByteReader, MalformedRecordError } from "./bytes.ts";
import { type JournalReader, EventWriter, readEvents } from "./events.ts";

/** Like what the readers make. */
const plain = { noNullPrototype: true };
const seed = 20_250_713;
const base = 1_750_000_000_000;

/** What a reader was told, call by call. */
function recorded(bytes: Uint8Array): unknown[][] {
  const calls: unknown[][] = [];
  const note =
    (name: string) =>
    (...args: unknown[]): void => {
      calls.push([name, ...args]);
    };
  const reader: JournalReader = {
    payloadRecord: note("payloadRecord"),
    enqueued: note("enqueued"),
    leased: note("leased"),
    returned: note("returned"),
    deciding: note("deciding"),
    decided: note("decided"),
    moved: note("moved"),
    removed: note("removed"),
    quarantined: note("quarantined"),
    weighed: note("weighed"),
    forgotten: note("forgotten"),
  };
  readEvents(new ByteReader(bytes), reader);
  return calls;
}

const queueNumber = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const sequence = fc.integer({ min: 1, max: 2 ** 52 });
const wall = fc.integer({ min: base - 2 ** 40, max: base + 2 ** 40 });
const expiresAt = fc.oneof(fc.constant(0), wall);
const text = fc.string({ maxLength: 60, unit: "binary" });
const lane = fc.record({ queueNumber, fairnessKey: text, throttleKeys: fc.array(text, { maxLength: 3 }) }, plain);
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
const due = fc.record({ readyAt: wall, waiting: fc.constantFrom("ready" as const, "delayed" as const) }, plain);
const enqueued = fc.record(
  {
    sequence,
    enqueuedAt: wall,
    readyAt: wall,
    waiting: fc.constantFrom("ready" as const, "delayed" as const, "scheduled" as const),
    expiresAt,
    cost: fc.integer({ min: 1, max: 1_000 }),
    length: fc.nat(),
  },
  plain,
);
const moved = fc.record(
  {
    readyAt: wall,
    expiresAt,
    attempts: fc.nat(),
    quarantined: fc.boolean(),
  },
  plain,
);

describe("the events of a commit", () => {
  test("are read as they were written", () => {
    const event = fc.oneof(
      fc.tuple(fc.constant("enqueued" as const), lane, enqueued),
      fc.tuple(fc.constant("returned" as const), queueNumber, sequence, fc.boolean(), due),
      fc.tuple(fc.constant("deciding" as const), queueNumber, sequence, end),
      fc.tuple(fc.constant("decided" as const), queueNumber, sequence, due),
      fc.tuple(fc.constant("moved" as const), queueNumber, sequence, lane, moved),
      fc.tuple(fc.constant("removed" as const), queueNumber, sequence, fc.boolean()),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        const writer = new EventWriter();
        writer.begin(base);
        const expected: unknown[][] = [];
        const numbered = (facts: object): NumberedLane => ({ ...facts, numberedIn: 0, number: 0 }) as NumberedLane;
        for (const each of events) {
          if (each[0] === "enqueued") {
            writer.enqueued(numbered(each[1]), each[2], each[2].length);
            expected.push(["enqueued", each[1], each[2]]);
          } else if (each[0] === "returned") {
            // A message that waits has had an attempt.
            const counted = each[3] || each[4].waiting === "delayed";
            writer.returned(each[1], each[2], counted, each[4]);
            expected.push(["returned", each[1], each[2], counted, each[4], base]);
          } else if (each[0] === "deciding") {
            writer.deciding(each[1], each[2], each[3]);
            expected.push([...each, base]);
          } else if (each[0] === "decided") {
            writer.decided(each[1], each[2], each[3]);
            expected.push(each);
          } else if (each[0] === "moved") {
            writer.moved(each[1], each[2], { ...each[4], lane: numbered(each[3]) });
            expected.push(["moved", each[1], each[2], { ...each[4], lane: each[3] }]);
          } else {
            writer.removed(each[1], each[2], each[3]);
            expected.push(each);
          }
        }
        assert.deepEqual(recorded(writer.take(0)), expected);
      }),
      { seed, numRuns: 300 },
    );
  });

  test("without a wait or a time to live take no byte more than before there were any", () => {
    const writer = new EventWriter();
    const facts = { sequence: 1, enqueuedAt: base, readyAt: base, cost: 1 };
    const one = { queueNumber: 1, fairnessKey: "k", throttleKeys: [], numberedIn: 0, number: 0 };
    const sizeOf = (more: { waiting: "ready" | "delayed"; expiresAt: number }): number => {
      writer.begin(base);
      writer.enqueued({ ...one }, { ...facts, ...more }, 5);
      return writer.take(0).byteLength;
    };
    const plain = sizeOf({ waiting: "ready", expiresAt: 0 });
    assert.ok(plain < sizeOf({ waiting: "delayed", expiresAt: 0 }));
    assert.ok(plain < sizeOf({ waiting: "ready", expiresAt: base }));
  });

  test("that end early or have an unknown number are malformed", () => {
    const writer = new EventWriter();
    writer.begin(base);
    writer.deciding(1, 2, { by: "nack", error: "boom", delayMs: 5, deadLetter: true });
    const whole = writer.take(0);
    for (let length = 9; length < whole.byteLength; length += 1) {
      assert.throws(() => recorded(whole.subarray(0, length)), MalformedRecordError, `${length} bytes`);
    }
    const unknownEnd = Buffer.from(whole);
    unknownEnd[whole.byteLength - 8] = 9;
    assert.throws(() => recorded(unknownEnd), MalformedRecordError);
    assert.throws(() => recorded(Buffer.concat([whole, Buffer.of(99, 1, 1)])), /unknown tag 99/);
  });
});
