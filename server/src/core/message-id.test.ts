import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatMessageId, maxQueueNumber, maxSequence, parseMessageId } from "./message-id.ts";

const seed = 20_250_703;
const edges = (max: number): fc.Arbitrary<number> =>
  fc.oneof(fc.constantFrom(0, 1, max, max - 1, Math.floor(max / 2)), fc.integer({ min: 0, max }));
const parts = fc.record(
  {
    time: edges(2 ** 48 - 1),
    queueNumber: edges(maxQueueNumber),
    sequence: edges(maxSequence),
    salt: edges(1_023),
  },
  { noNullPrototype: true },
);

describe("message ids", () => {
  test("are UUIDv7 that carry time, queue, sequence and salt back", () => {
    fc.assert(
      fc.property(parts, (id) => {
        const text = formatMessageId(id.time, id.queueNumber, id.sequence, id.salt);
        assert.match(text, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        assert.deepEqual(parseMessageId(text), id);
        assert.deepEqual(parseMessageId(text.toUpperCase()), id);
        // The first 48 bits of a UUIDv7 are the time, by its definition.
        assert.equal(parseInt(text.replaceAll("-", "").slice(0, 12), 16), id.time);
      }),
      { seed, numRuns: 2_000 },
    );
  });

  test("of different messages differ, and those of one queue sort by time and sequence", () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [textA, textB] = [a, b].map((id) => formatMessageId(id.time, id.queueNumber, id.sequence, id.salt));
        const same =
          a.time === b.time && a.queueNumber === b.queueNumber && a.sequence === b.sequence && a.salt === b.salt;
        assert.equal(textA === textB, same);
        const [first, second] = [1, 2].map((n) =>
          formatMessageId(a.time, a.queueNumber, Math.min(a.sequence, maxSequence - 2) + n, a.salt),
        );
        assert.ok((first as string) < (second as string));
      }),
      { seed, numRuns: 500 },
    );
  });

  test("that the broker could not have given are refused", () => {
    const good = formatMessageId(1_750_000_000_000, 1, 1, 1);
    const refused = [
      "",
      "x",
      good.slice(1),
      `${good} `,
      `${good}\n`,
      `{${good}}`,
      good.replaceAll("-", ""),
      `${good.slice(0, 14)}4${good.slice(15)}`,
      `${good.slice(0, 19)}c${good.slice(20)}`,
      `${good.slice(0, -1)}g`,
      "ſ".repeat(36),
    ];
    for (const text of refused) assert.equal(parseMessageId(text), undefined, JSON.stringify(text));
    fc.assert(
      fc.property(fc.string(), (text) => assert.equal(parseMessageId(text), undefined)),
      { seed },
    );
  });
});
