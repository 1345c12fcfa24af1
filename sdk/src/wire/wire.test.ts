// The hand-written encoders and readers against the generated code.
import assert from "node:assert/strict";
import test from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { deliveryFromMessage, deliveryFromWire } from "../consuming/delivery.ts";
import { FilaError } from "../errors.ts";
import { EnqueueRequestSchema, LeasedMessageSchema } from "../gen/index.ts";
import { FrameWriter, utf8Size, varintSize } from "./frame-writer.ts";
import { outgoingSize, writeOutgoing } from "./outgoing-message.ts";

const text = fc.string({ unit: "binary", maxLength: 40 });
const headers = fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true });
const milliseconds = fc.integer({ min: 0, max: 4_000_000_000_000 });

test("an outgoing message is what the generated code reads, in exactly the announced size", () => {
  const message = fc.record({
    queue: text,
    payload: fc.uint8Array({ maxLength: 300 }),
    headers: fc.option(headers, { nil: undefined }),
    fairnessKey: fc.option(text, { nil: undefined }),
    weight: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
    cost: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
    throttleKeys: fc.option(fc.array(text, { maxLength: 3 }), { nil: undefined }),
    timing: fc.option(
      fc.record({
        delayMs: fc.nat({ max: 31_536_000_000 }),
        deliverAtMs: fc.option(milliseconds, { nil: undefined }),
        ttlMs: fc.nat({ max: 31_536_000_000 }),
      }),
      { nil: undefined },
    ),
    idempotencyKey: fc.option(text, { nil: undefined }),
  });
  fc.assert(
    fc.property(message, text, (outgoing, frameQueue) => {
      const size = outgoingSize(outgoing, frameQueue);
      const writer = new FrameWriter(0);
      writer.reserve(size);
      writeOutgoing(writer, outgoing, frameQueue);
      assert.equal(writer.size, size);
      const read = fromBinary(EnqueueRequestSchema, writer.content());
      assert.equal(read.queue, outgoing.queue === frameQueue ? "" : outgoing.queue);
      assert.deepEqual(Buffer.from(read.payload), Buffer.from(outgoing.payload));
      assert.deepEqual({ ...read.headers }, { ...outgoing.headers });
      assert.equal(read.fairnessKey, outgoing.fairnessKey ?? "");
      assert.equal(read.weight, outgoing.weight);
      assert.equal(read.cost, outgoing.cost);
      assert.deepEqual(read.throttleKeys, outgoing.throttleKeys ?? []);
      const { delayMs = 0, deliverAtMs, ttlMs = 0 } = outgoing.timing ?? {};
      assert.deepEqual([read.delayMs, read.ttlMs], [BigInt(delayMs), BigInt(ttlMs)]);
      assert.equal(read.deliverAt && timestampMs(read.deliverAt), deliverAtMs);
      assert.equal(read.idempotencyKey, outgoing.idempotencyKey ?? "");
    }),
  );
});

test("sizes of text and integers", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => assert.equal(utf8Size(value), Buffer.byteLength(value))),
  );
  for (const lone of ["\ud800", "a\udc00b", "\ud800\ud800\udc00"])
    assert.equal(utf8Size(lone), Buffer.byteLength(lone));
  fc.assert(
    fc.property(fc.nat(), (value) => {
      const writer = new FrameWriter(16);
      writer.varint(value);
      assert.equal(writer.size, varintSize(value));
    }),
  );
});

test("a delivery reads like the generated code, also when the message comes in pieces", () => {
  const leased = fc.record({
    id: fc.uuid(),
    headers,
    payload: fc.uint8Array({ maxLength: 300 }),
    fairnessKey: text,
    weight: fc.integer({ min: 0, max: 1000 }),
    throttleKeys: fc.array(text, { maxLength: 3 }),
    attemptCount: fc.nat(),
    enqueuedAt: milliseconds,
    leasedAt: milliseconds,
    token: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  });
  fc.assert(
    fc.property(leased, ({ id, payload, token, enqueuedAt, leasedAt, ...rest }) => {
      const body = create(LeasedMessageSchema, { message: { headers: rest.headers, payload } });
      const broker = create(LeasedMessageSchema, {
        message: {
          id,
          metadata: { ...rest, queueId: "q" },
          timestamps: { enqueuedAt: timestampFromMs(enqueuedAt), leasedAt: timestampFromMs(leasedAt) },
        },
        leaseToken: token,
        leaseExpiresAt: timestampFromMs(leasedAt + 30_000),
      });
      const wire = Buffer.concat([toBinary(LeasedMessageSchema, body), toBinary(LeasedMessageSchema, broker)]);
      const byHand = deliveryFromWire(wire, 0, wire.length);
      const generated = deliveryFromMessage(fromBinary(LeasedMessageSchema, wire));
      assert.equal(byHand.id, generated.id);
      assert.deepEqual(Buffer.from(byHand.payload), Buffer.from(generated.payload));
      assert.deepEqual(Buffer.from(byHand.token), Buffer.from(generated.token));
      assert.equal(byHand.expiresAtMs, generated.expiresAtMs);
      assert.deepEqual(byHand.details(), { ...generated.details(), headers: { ...generated.details().headers } });
    }),
  );
});

test("malformed bytes are a protocol error, never a hang or a read beyond the end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        deliveryFromWire(bytes, 0, bytes.length).details();
      } catch (error) {
        assert.ok(error instanceof FilaError && error.reason === "PROTOCOL_ERROR");
      }
    }),
  );
});
