import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter, MalformedRecordError } from "./bytes.ts";

test("numbers and strings come back as they were written", () => {
  const field = fc.oneof(
    fc.record({ kind: fc.constant("varint" as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant("signed" as const), value: fc.integer({ min: -(2 ** 51), max: 2 ** 51 }) }),
    fc.record({ kind: fc.constant("uint32" as const), value: fc.nat(0xffff_ffff) }),
    fc.record({ kind: fc.constant("string" as const), value: fc.string({ unit: "grapheme", maxLength: 5_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(field, { maxLength: 50 }), (fields) => {
      const out = new ByteWriter();
      for (const { kind, value } of fields) {
        if (kind === "string") out.string(value);
        else out[kind](value);
      }
      const reader = new ByteReader(out.take(3), 3);
      for (const { kind, value } of fields) assert.equal(reader[kind](), value);
      assert.ok(reader.done);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("a record that ends early or holds an endless number is refused", () => {
  assert.throws(() => new ByteReader(Uint8Array.of(0x80)).varint(), MalformedRecordError);
  assert.throws(() => new ByteReader(Uint8Array.of(5, 65)).string(), MalformedRecordError);
  assert.throws(() => new ByteReader(new Uint8Array(20).fill(0xff)).varint(), MalformedRecordError);
});

test("a text keeps the byte order mark that it begins with: no two names become one over a restart", () => {
  const out = new ByteWriter();
  for (const name of ["\ufefforders", "orders", "\ufeff"]) out.string(name);
  const reader = new ByteReader(out.take(0));
  assert.deepEqual([reader.string(), reader.string(), reader.string()], ["\ufefforders", "orders", "\ufeff"]);
});
