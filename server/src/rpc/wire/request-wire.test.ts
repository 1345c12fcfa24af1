import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  AckRequestSchema,
  BatchEnqueueRequestSchema,
  ConsumeRequestSchema,
  LeaseRequestSchema,
  NackRequestSchema,
  SettleRequestSchema,
  SettleResponseSchema,
  SettlementAction,
  StreamEnqueueRequestSchema,
  StreamEnqueueResponseSchema,
  StreamLeaseRequestSchema,
  StreamLeaseResponseSchema,
} from "@fila/sdk/gen";
import fc from "fast-check";
import type { SettleOutcome } from "../../core/effects.ts";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { splitBatchEnqueue, splitStreamEnqueue, writeStreamEnqueueResponse } from "./enqueue-frame.ts";
import { defaultMessageLimits } from "./limits.ts";
import { readAckOrNack, readConsume, readLease, readSettle, readStreamLease } from "./request-wire.ts";
import { writeSettleResults, writeSettlementResults } from "./settle-wire.ts";
import { WireWriter } from "./wire-writer.ts";

const encode = <D extends DescMessage>(schema: D, init: MessageInitShape<D>): Uint8Array =>
  toBinary(schema, create(schema, init));

const id = fc.uuid();
const token = fc.uint8Array({ minLength: 8, maxLength: 8 });
const settlement = fc.record(
  {
    messageId: id,
    leaseToken: token,
    action: fc.integer({ min: 1, max: 4 }),
    error: fc.string({ unit: "grapheme", maxLength: 30 }),
    extendMs: fc.constantFrom(0n, 1000n, 43_200_000n),
    retryDelayMs: fc.constantFrom(0n, 1n, 31_536_000_000n),
    deadLetter: fc.boolean(),
  },
  { requiredKeys: ["messageId", "leaseToken", "action"] },
);
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const actions = ["", "ack", "nack", "extend", "release"];

function ok<T extends object>(read: T | Failure): T {
  if ("reason" in read) throw new assert.AssertionError({ message: read.message });
  return read;
}

test("StreamLeaseRequest reads as the generated code does", () => {
  const request = fc.record(
    {
      subscribe: fc.record({
        queue: fc.stringMatching(/^[a-z]{1,20}$/),
        session: fc.string({ maxLength: 21 }),
        workerId: fc.string({ unit: "grapheme-ascii", maxLength: 80 }),
        visibilityTimeoutMs: fc.constantFrom(0n, 1000n, 43_200_000n),
      }),
      credit: fc.integer({ min: 0, max: 0xffff_ffff }),
      settlementFrame: u64,
      settlements: fc.array(settlement, { maxLength: 10 }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(request, (init) => {
      const bytes = encode(StreamLeaseRequestSchema, init as MessageInitShape<typeof StreamLeaseRequestSchema>);
      const want = fromBinary(StreamLeaseRequestSchema, bytes);
      const got = ok(readStreamLease(bytes));
      assert.equal(got.credit, want.credit);
      assert.equal(BigInt(got.settlementFrame), want.settlementFrame);
      assert.equal(got.subscribe?.queue, want.subscribe?.queue);
      assert.equal(got.subscribe?.session, want.subscribe?.session);
      assert.equal(got.subscribe?.worker, want.subscribe?.workerId);
      assert.equal(got.settlements.refused, undefined);
      got.settlements.items.forEach((item, i) => {
        const each = want.settlements[i]!;
        const bytesOfToken = Buffer.from(each.leaseToken);
        const ofNack = each.action === 2;
        assert.equal(item.delayMs, ofNack && each.retryDelayMs !== undefined ? Number(each.retryDelayMs) : undefined);
        assert.equal(item.deadLetter ?? false, ofNack && each.deadLetter);
        const { delayMs: _delayMs, deadLetter: _deadLetter, ...rest } = item;
        assert.deepEqual(rest, {
          id: each.messageId,
          token: { high: bytesOfToken.readUInt32BE(0), low: bytesOfToken.readUInt32BE(4) },
          action: actions[each.action],
          error: each.error,
          extendMs: Number(each.extendMs),
        });
      });
      assert.equal(got.settlements.items.length, want.settlements.length);
    }),
    { numRuns: 300 },
  );
});

test("no bytes make a reader throw, and what it accepts the generated code accepts", () => {
  const readers: [DescMessage, (bytes: Uint8Array) => object][] = [
    [ConsumeRequestSchema, readConsume],
    [AckRequestSchema, (bytes) => readAckOrNack(bytes, "ack")],
    [NackRequestSchema, (bytes) => readAckOrNack(bytes, "nack")],
    [SettleRequestSchema, readSettle],
    [LeaseRequestSchema, readLease],
    [StreamLeaseRequestSchema, readStreamLease],
    [BatchEnqueueRequestSchema, (bytes) => splitBatchEnqueue(bytes, defaultMessageLimits)],
    [StreamEnqueueRequestSchema, (bytes) => splitStreamEnqueue(bytes, defaultMessageLimits)],
  ];
  const seed = encode(StreamLeaseRequestSchema, {
    subscribe: { queue: "q" },
    settlements: [{ messageId: "i", leaseToken: Buffer.alloc(8), action: 1, error: "e" }],
  });
  const damaged = fc.tuple(fc.nat(seed.length - 1), fc.nat(255)).map(([at, value]) => {
    const bytes = seed.slice();
    bytes[at] = value;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), damaged), (bytes) => {
      for (const [schema, read] of readers) {
        const got = read(bytes);
        // A message of many that is malformed is refused by itself; the generated code refuses the request.
        const refused = "reason" in got || ("refused" in got && got.refused !== undefined);
        if (!refused) fromBinary(schema, bytes);
      }
    }),
    { numRuns: 2000 },
  );
});

test("Ack and Nack: a token may be absent, but not of another length; a long reason is cut between characters", () => {
  const ack = ok(readAckOrNack(encode(AckRequestSchema, { queue: "q", messageId: "i" }), "ack"));
  assert.equal(ack.settlements.items[0]?.token, undefined);
  for (const length of [1, 7, 9]) {
    const bytes = encode(AckRequestSchema, { queue: "q", messageId: "i", leaseToken: Buffer.alloc(length) });
    const refused = readAckOrNack(bytes, "ack");
    assert.ok("reason" in refused && refused.field === "lease_token");
  }
  const long = `x${"é".repeat(5000)}`;
  const nack = ok(readAckOrNack(encode(NackRequestSchema, { queue: "q", messageId: "i", error: long }), "nack"));
  assert.equal(nack.settlements.items[0]?.error, `x${"é".repeat(2047)}`);
});

test("Nack: a retry delay of 0 differs from none; one beyond a year is refused, in a settlement by itself", () => {
  const nack = (init: MessageInitShape<typeof NackRequestSchema>) =>
    readAckOrNack(encode(NackRequestSchema, { queue: "q", messageId: "i", ...init }), "nack");
  assert.equal(ok(nack({})).settlements.items[0]?.delayMs, undefined);
  assert.equal(ok(nack({ retryDelayMs: 0n })).settlements.items[0]?.delayMs, 0);
  assert.equal(ok(nack({ retryDelayMs: 31_536_000_000n })).settlements.items[0]?.delayMs, 31_536_000_000);
  const dead = ok(nack({ deadLetter: true })).settlements.items[0];
  assert.deepEqual([dead?.deadLetter, dead?.delayMs], [true, undefined]);
  for (const retryDelayMs of [31_536_000_001n, 2n ** 64n - 1n]) {
    const refused = nack({ retryDelayMs });
    assert.ok("reason" in refused && refused.reason === "INVALID_FIELD" && refused.field === "retry_delay_ms");
    const settlements = [SettlementAction.ACK, SettlementAction.NACK].map((action) => ({
      messageId: "i",
      leaseToken: new Uint8Array(8),
      action,
      retryDelayMs,
    }));
    const { items, refused: failures } = ok(
      readSettle(encode(SettleRequestSchema, { queue: "q", settlements })),
    ).settlements;
    assert.deepEqual([items[0]?.action, failures?.[0], failures?.[1]?.field], ["ack", undefined, "retry_delay_ms"]);
  }
  for (const field of [17, 18]) {
    const bytes = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(Buffer.from("1")).finish();
    const refused = readAckOrNack(bytes, "nack");
    assert.ok("reason" in refused && refused.reason === "INVALID_REQUEST");
  }
});

test("Lease: defaults and limits", () => {
  assert.deepEqual(ok(readLease(encode(LeaseRequestSchema, { queue: "q" }))), {
    queue: "q",
    maxMessages: 1,
    waitMs: 0,
    visibilityMs: 0,
    worker: "",
  });
  for (const init of [
    { queue: "" },
    { queue: "q", maxMessages: 1001 },
    { queue: "q", waitMs: 60_001n },
    { queue: "q", waitMs: 2n ** 64n - 1n },
    { queue: "q", visibilityTimeoutMs: 43_200_001n },
    { queue: "q", workerId: "w".repeat(257) },
  ]) {
    const refused = readLease(encode(LeaseRequestSchema, init));
    assert.ok("reason" in refused && refused.field !== undefined);
  }
});

test("a request of too many settlements or messages is refused as a whole", () => {
  const settlements = Array.from({ length: 10_001 }, () => ({}));
  assert.ok("reason" in readSettle(encode(SettleRequestSchema, { queue: "q", settlements })));
  assert.ok("reason" in readStreamLease(encode(StreamLeaseRequestSchema, { settlements })));
  const messages = settlements;
  assert.ok("reason" in splitBatchEnqueue(encode(BatchEnqueueRequestSchema, { messages }), defaultMessageLimits));
});

test("results decode to what was decided", () => {
  const refused = failure("LEASE_LOST", "lost; lease it anew");
  const outcomes: SettleOutcome[] = [undefined, 1_700_000_000_123, refused];
  const out = new WireWriter();
  writeSettleResults(out, 1, outcomes);
  const { results } = fromBinary(SettleResponseSchema, out.take());
  assert.deepEqual(
    results.map((r) => r.error?.reason),
    [undefined, undefined, "LEASE_LOST"],
  );
  assert.equal(results[2]?.error?.code, 9);
  assert.equal(timestampMs(results[1]!.leaseExpiresAt!), 1_700_000_000_123);

  writeSettlementResults(out, 3, 2n ** 64n - 1n, outcomes);
  const [settled] = fromBinary(StreamLeaseResponseSchema, out.take()).settled;
  assert.equal(settled?.settlementFrame, 2n ** 64n - 1n);
  assert.deepEqual([settled.failures[0]?.index, settled.extended[0]?.index], [2, 1]);

  fc.assert(
    fc.property(u64, (frame) => {
      const asRead = splitStreamEnqueue(encode(StreamEnqueueRequestSchema, { frame }), defaultMessageLimits);
      writeStreamEnqueueResponse(out, ok(asRead).frame, ["an id", refused, { duplicateOf: "the first" }]);
      const response = fromBinary(StreamEnqueueResponseSchema, out.take());
      assert.equal(response.frame, frame);
      assert.deepEqual(
        response.results.map((r) => [r.result.case, r.duplicate]),
        [
          ["messageId", false],
          ["error", false],
          ["messageId", true],
        ],
      );
      assert.equal(response.results[2]?.result.value, "the first");
    }),
  );
});
