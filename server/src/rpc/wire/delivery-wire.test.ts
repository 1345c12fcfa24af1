import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ConsumeResponseSchema, EnqueueRequestSchema, LeaseResponseSchema } from "@fila/sdk/gen";
import fc from "fast-check";
import type { LoadedDelivery } from "../../broker/contract.ts";
import { writeLeasedMessage, writeMessage } from "./delivery-wire.ts";
import { ResponseFrames } from "./response-frames.ts";
import { WireWriter } from "./wire-writer.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const timeMs = fc.integer({ min: 1, max: 8_640_000_000_000 });
const text = fc.string({ unit: "grapheme", maxLength: 60 });
const delivery: fc.Arbitrary<LoadedDelivery> = fc.record({
  ordinal: fc.nat(),
  id: fc.uuid(),
  queue: text,
  queueNumber: fc.nat(),
  sequence: fc.nat(),
  fairnessKey: text,
  weight: fc.integer({ min: 1, max: 1000 }),
  throttleKeys: fc.array(text, { maxLength: 16 }),
  attempts: u32,
  enqueuedAt: timeMs,
  leasedAt: timeMs,
  leaseExpiresAt: timeMs,
  token: fc.record({ high: u32, low: u32 }),
  slot: fc.nat(),
  body: fc
    .tuple(fc.dictionary(text, text, { maxKeys: 4 }), fc.nat(300), fc.constantFrom(1, 1, 1, 100, 1000))
    .map(([headers, bytes, times]) => {
      const payload = Buffer.alloc(bytes * times, 0x61);
      return toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, { headers, payload }));
    }),
});

test("LeasedMessage decodes to what was delivered", () => {
  const out = new WireWriter(64);
  const check = (deliveries: LoadedDelivery[]): void => {
    for (const each of deliveries) writeLeasedMessage(out, 1, each);
    const { messages } = fromBinary(LeaseResponseSchema, out.take());
    assert.equal(messages.length, deliveries.length);
    deliveries.forEach((want, i) => {
      const { message, leaseToken, leaseExpiresAt } = messages[i]!;
      const sent = fromBinary(EnqueueRequestSchema, want.body);
      const token = Buffer.from(leaseToken);
      assert.deepEqual(
        [token.readUInt32BE(0), token.readUInt32BE(4), token.length],
        [want.token.high, want.token.low, 8],
      );
      assert.equal(timestampMs(leaseExpiresAt!), want.leaseExpiresAt);
      assert.equal(message?.id, want.id);
      assert.deepEqual(message.headers, sent.headers);
      assert.deepEqual(Buffer.from(message.payload), Buffer.from(sent.payload));
      const { fairnessKey, weight, throttleKeys, attemptCount, queueId } = message.metadata!;
      assert.deepEqual(
        { fairnessKey, weight, throttleKeys, attempts: attemptCount, queue: queueId },
        {
          fairnessKey: want.fairnessKey,
          weight: want.weight,
          throttleKeys: want.throttleKeys,
          attempts: want.attempts,
          queue: want.queue,
        },
      );
      assert.equal(timestampMs(message.timestamps!.enqueuedAt!), want.enqueuedAt);
      assert.equal(timestampMs(message.timestamps!.leasedAt!), want.leasedAt);
    });
  };
  fc.assert(fc.property(fc.array(delivery, { maxLength: 5 }), check), { numRuns: 300 });
});

test("responses end at about 256 KiB, hold at least one message, and lose none", () => {
  const sizes = [200_000, 100_000, 10, 600_000, 10, 10];
  const frames = new ResponseFrames();
  const [base] = fc.sample(delivery, 1);
  for (const size of sizes) {
    const payload = Buffer.alloc(size);
    const body = toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, { payload }));
    writeMessage(frames.room(size), 1, { ...base!, body });
    frames.close();
  }
  const bytes = frames.take()!;
  const got: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    got.push(fromBinary(ConsumeResponseSchema, bytes.subarray(at + 5, end)).message!.payload.length);
    at = end;
  }
  assert.deepEqual(got, sizes);

  for (const size of sizes) writeLeasedMessage(frames.room(size), 1, { ...base!, body: Buffer.alloc(0) });
  const lengths: number[] = [];
  const capped = frames.take()!;
  for (let at = 0; at < capped.length; at += 5 + capped.readUInt32BE(at + 1)) {
    lengths.push(
      fromBinary(LeaseResponseSchema, capped.subarray(at + 5, at + 5 + capped.readUInt32BE(at + 1))).messages.length,
    );
  }
  assert.equal(
    lengths.reduce((a, b) => a + b),
    sizes.length,
  );
  assert.equal(frames.take(), undefined);
});

test("what was taken is never written to again", () => {
  const out = new WireWriter(32);
  const taken: { readonly bytes: Buffer; readonly want: string }[] = [];
  for (let i = 0; i < 50; i++) {
    const want = String(i).repeat(i * 40);
    out.stringField(1, want);
    const bytes = out.take();
    taken.push({ bytes, want: bytes.toString("hex") });
  }
  for (const { bytes, want } of taken) assert.equal(bytes.toString("hex"), want);
});

test("a nested message whose length was estimated too low or too high comes out right", () => {
  for (const estimate of [0, 127, 128, 20_000, 3_000_000]) {
    for (const length of [0, 100, 130, 20_000, 100_000]) {
      const out = new WireWriter(16);
      out.begin(1, estimate);
      out.begin(3, estimate);
      out.raw(Buffer.alloc(length));
      out.finish();
      out.finish();
      out.stringField(2, "behind");
      const bytes = out.take();
      const reader = fromBinary(ConsumeResponseSchema, bytes);
      assert.equal(reader.message?.payload.length, length);
    }
  }
});
