// Headers and payload in wire form: taken apart on one thread, read on another.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JobBatch } from "./job-batch.ts";
import { metaFields } from "./protocol.ts";
import { bodyOf, messageTo } from "./testing/hook-rig.ts";
import { WireHeaders, headersOf, parts, split } from "./wire-fields.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const read = (bytes: Uint8Array): string[] =>
  [...new WireHeaders(bytes)].map(([name, value]) => `${text(name)}=${text(value)}`);

describe("headers and payload", () => {
  test("are found in whatever order they stand", () => {
    const [a, b] = [bodyOf({ a: "1" }, "").subarray(0, -2), bodyOf({ b: "2" }, "").subarray(0, -2)];
    const payload = bodyOf({}, "payload");
    for (const body of [
      Buffer.concat([a, b, payload]),
      Buffer.concat([a, payload, b]),
      Buffer.concat([payload, a, b]),
    ]) {
      assert.deepEqual(read(headersOf(body)), ["a=1", "b=2"]);
      split(body);
      const { payloadStart, payloadSize } = parts;
      assert.equal(text(body.subarray(payloadStart, payloadStart + payloadSize)), "payload");
    }
  });

  test("may be missing, empty, long, or say the value first", () => {
    assert.deepEqual(read(headersOf(new Uint8Array())), []);
    assert.deepEqual(read(headersOf(bodyOf({}, "x"))), []);
    // An entry without fields, one with its value first, and one whose lengths take more bytes than they need.
    const odd = Buffer.from([
      0x12, 0, 0x12, 6, 0x12, 1, 0x76, 0x0a, 1, 0x6e, 0x92, 0x00, 0x84, 0x00, 0x0a, 0x81, 0x00, 0x6e,
    ]);
    assert.deepEqual(read(headersOf(odd)), ["=", "n=v", "n="]);
    const long = "v".repeat(100);
    assert.deepEqual(read(headersOf(bodyOf({ long }))), [`long=${long}`]);
  });
});

describe("a batch of jobs", () => {
  test("carries headers, and payloads up to a size, message by message", () => {
    const batch = new JobBatch();
    const item = (payload: string) => ({ ...messageTo("q"), body: bodyOf({ a: "1" }, payload) });
    batch.add(7, 1, 0, item("abc"), 3);
    batch.add(8, 2, 1, item("abcd"), 3);
    batch.add(9, 2, 2, item("ab"), -1);
    const { meta, bytes, at } = batch.take(55);
    const rows = Array.from({ length: 3 }, (_, row) => [...meta.subarray(row * metaFields, (row + 1) * metaFields)]);
    assert.deepEqual(rows, [
      [7, 1, 0, 3, 8, 3],
      [8, 2, 1, 4, 8, -1],
      [9, 2, 2, 2, 8, -1],
    ]);
    assert.equal(at, 55);
    assert.deepEqual(read(bytes.subarray(0, 8)), ["a=1"]);
    assert.equal(text(bytes.subarray(8, 11)), "abc");
    assert.equal(bytes.length, 27);
    assert.equal(batch.size, 0);
  });

  test("is full with 64 messages, or with many bytes", () => {
    const batch = new JobBatch();
    for (let at = 0; at < 63; at += 1) batch.add(at, 1, 0, messageTo("q"), -1);
    assert.equal(batch.full, false);
    batch.add(64, 1, 0, messageTo("q"), -1);
    assert.equal(batch.full, true);
    batch.take(0);
    const large = {
      ...messageTo("q"),
      body: Buffer.concat([Buffer.from([0x1a, 0x80, 0x80, 0x04]), Buffer.alloc(65_536)]),
    };
    for (let at = 0; at < 4; at += 1) batch.add(at, 1, 0, large, 65_536);
    assert.equal(batch.full, true);
    assert.equal(batch.take(0).bytes.length, 4 * 65_536);
  });
});
