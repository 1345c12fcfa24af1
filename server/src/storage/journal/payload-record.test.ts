import assert from "node:assert/strict";
import { test } from "node:test";
import { payloadKey } from "./keys.ts";
import { buildPayloadRecord, payloadHeaderIntact, readPayload } from "./payload-record.ts";

const bodies = ["first", "", "a third one"].map((text) => Buffer.from(text));
const key = payloadKey(7, 99);

function build(): { value: Buffer; offsets: number[] } {
  const offsets: number[] = [];
  const parts = bodies.map((body, at) => ({ sequence: 100 + at, body }));
  const value = buildPayloadRecord(key, 7, parts, (index, offset) => {
    offsets[index] = offset;
  });
  return { value, offsets };
}

test("each message is read back by its place", () => {
  const { value, offsets } = build();
  assert.ok(payloadHeaderIntact(key, value));
  bodies.forEach((body, at) => {
    assert.deepEqual(Buffer.from(readPayload(value, 7, 100 + at, offsets[at] as number, body.length) ?? "?"), body);
  });
});

test("every flipped bit is found, and costs only the message that it is in", () => {
  const { value, offsets } = build();
  const intact = (): boolean[] => [
    payloadHeaderIntact(key, value),
    ...bodies.map((body, at) => readPayload(value, 7, 100 + at, offsets[at] as number, body.length) !== undefined),
  ];
  for (let bit = 0; bit < value.length * 8; bit += 1) {
    value[bit >> 3] = (value[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(intact().filter((whole) => !whole).length, 1, `bit ${bit}`);
    value[bit >> 3] = (value[bit >> 3] as number) ^ (1 << (bit & 7));
  }
});

test("bytes of another message, queue or key are not taken for the wanted ones", () => {
  const { value, offsets } = build();
  const offset = offsets[0] as number;
  assert.equal(readPayload(value, 7, 101, offset, 5), undefined);
  assert.equal(readPayload(value, 8, 100, offset, 5), undefined);
  assert.equal(readPayload(value, 7, 100, offset, 4), undefined);
  assert.equal(readPayload(value, 7, 100, value.length, 5), undefined);
  assert.equal(payloadHeaderIntact(payloadKey(7, 98), value), false);
});
