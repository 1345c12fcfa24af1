import assert from "node:assert/strict";
import test from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { FilaError } from "../errors.ts";
import { StreamLeaseResponseSchema } from "../gen/index.ts";
import { FieldReader } from "../wire/field-reader.ts";
import { EnvelopeReader } from "./envelope-reader.ts";

interface Told {
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

function envelope(flags: number, message: Uint8Array): Uint8Array {
  const header = Buffer.from([flags, 0, 0, 0, 0]);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** What the reader tells of these bytes when they are cut so; the lengths are used over and over. */
function read(inParts: boolean, bytes: Uint8Array, lengths: readonly number[]): Told[] {
  const told: Told[] = [];
  const reader = new EnvelopeReader(inParts, (flags, part, last) => told.push({ flags, bytes: part.slice(), last }));
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length]!;
    reader.push(bytes.subarray(at, at + length));
    at += length;
  }
  return told;
}

const response = fc
  .record({
    messages: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
    lost: fc.array(fc.string({ maxLength: 20 }), { maxLength: 3 }),
    draining: fc.boolean(),
  })
  .map(({ messages, lost, draining }) => {
    const made = create(StreamLeaseResponseSchema, {
      messages: messages.map((payload, at) => ({ message: { id: `m${at}`, payload }, leaseToken: new Uint8Array(8) })),
      lost: lost.map((messageId) => ({ messageId })),
      draining,
    });
    return toBinary(StreamLeaseResponseSchema, made);
  });
const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 2_000 })), {
  minLength: 1,
  maxLength: 8,
});

test("messages come whole, in order, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(response, { maxLength: 5 }), lengths, (messages, cut) => {
      const all = Buffer.concat([...messages.map((each) => envelope(0, each)), envelope(2, Buffer.from("{}"))]);
      const told = read(false, all, cut);
      assert.ok(told.every(({ last }) => last));
      assert.deepEqual(
        told.map(({ flags, bytes }) => [flags, Buffer.from(bytes).toString("hex")]),
        [...messages.map((each) => [0, Buffer.from(each).toString("hex")]), [2, "7b7d"]],
      );
    }),
  );
});

let split = 0;

test("in parts, each is of whole fields, and together they are the message", () => {
  fc.assert(
    fc.property(fc.array(response, { maxLength: 5 }), lengths, (messages, cut) => {
      const all = Buffer.concat([...messages.map((each) => envelope(0, each)), envelope(2, Buffer.from("{}"))]);
      const whole: string[] = [];
      let parts: Uint8Array[] = [];
      for (const { flags, bytes, last } of read(true, all, cut)) {
        assert.ok(bytes.length > 0 || last, "nothing is told of nothing");
        if (flags === 2) {
          assert.deepEqual([Buffer.from(bytes).toString(), last, parts.length], ["{}", true, 0]);
          continue;
        }
        const fields = new FieldReader(bytes);
        while (fields.next());
        fromBinary(StreamLeaseResponseSchema, bytes);
        parts.push(bytes);
        if (!last) continue;
        if (parts.length > 1) split++;
        whole.push(Buffer.concat(parts).toString("hex"));
        parts = [];
      }
      assert.deepEqual(
        whole,
        messages.map((each) => Buffer.from(each).toString("hex")),
      );
    }),
    { seed: 20_261_121, numRuns: 300 },
  );
  assert.ok(split > 50, `only ${split} messages were split`);
});

test("whatever the bytes are, it is a protocol error or it goes on", () => {
  const wild = fc.record({ flags: fc.constantFrom(0, 1, 2), body: fc.uint8Array({ maxLength: 80 }) });
  fc.assert(
    fc.property(fc.array(wild, { maxLength: 6 }), lengths, (envelopes, cut) => {
      const all = Buffer.concat(envelopes.map(({ flags, body }) => envelope(flags, body)));
      try {
        const ends = read(true, all, cut).filter(({ last }) => last);
        assert.equal(ends.length, envelopes.length);
      } catch (error) {
        assert.ok(error instanceof FilaError && error.reason === "PROTOCOL_ERROR");
      }
    }),
  );
});

test("a field that says it is longer than its message is refused before room is made for it", () => {
  const reader = new EnvelopeReader(true, () => undefined);
  // Field 2 of 2^35 bytes, in a message of 20.
  const bytes = envelope(0, Buffer.concat([Buffer.from([18, 128, 128, 128, 128, 128, 1]), Buffer.alloc(13)]));
  assert.throws(
    () => reader.push(bytes.subarray(0, 15)),
    (error) => error instanceof FilaError && error.reason === "PROTOCOL_ERROR",
  );
});

test("in parts, a field may end where its message does, and not a byte behind it", () => {
  // Field 2 of so many bytes, of which 4 are in the message.
  const bytesOf = (size: number): Uint8Array => envelope(0, Buffer.from([18, size, 1, 2, 3, 4]));
  assert.deepEqual(
    read(true, bytesOf(4), [8, 3]).map(({ bytes, last }) => [bytes.length, last]),
    [[6, true]],
  );
  assert.throws(
    () => read(true, bytesOf(5), [8, 3]),
    (error) => error instanceof FilaError && error.reason === "PROTOCOL_ERROR",
  );
});

test("a message longer than any answer is refused", () => {
  assert.throws(
    () => new EnvelopeReader(false, () => undefined).push(Buffer.from([0, 255, 0, 0, 0])),
    (error) => error instanceof FilaError && /announced a message of 4278190080 bytes/.test(error.message),
  );
});
