import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { EnqueueRequestSchema, MessageSchema } from "@fila/sdk/gen";
import fc from "fast-check";
import type { EnqueueItem } from "../../core/commands.ts";
import type { Failure } from "../../core/errors.ts";
import { isItem, parseEnqueueRequest } from "./enqueue-wire.ts";
import { defaultMessageLimits } from "./limits.ts";

const parse = (bytes: Uint8Array, queue = ""): EnqueueItem | Failure =>
  parseEnqueueRequest(bytes, queue, defaultMessageLimits);

function item(bytes: Uint8Array, queue = ""): EnqueueItem {
  const parsed = parse(bytes, queue);
  assert.ok(isItem(parsed), JSON.stringify(parsed));
  return parsed;
}

function refusal(bytes: Uint8Array): Failure {
  const parsed = parse(bytes);
  assert.ok(!isItem(parsed), "was accepted");
  return parsed;
}

const encode = (init: Parameters<typeof create<typeof EnqueueRequestSchema>>[1]): Uint8Array =>
  toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, init));

const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((s) => !/\p{Cc}/u.test(s));
const request = fc.record(
  {
    queue: name.map((s) => s.replace(/\.dlq$/, "x")),
    headers: fc
      .array(fc.tuple(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" })), { maxLength: 8 })
      .map((entries) => Object.fromEntries(entries.filter(([key]) => key !== "__proto__"))),
    payload: fc.uint8Array({ maxLength: 300 }),
    fairnessKey: fc.string({ unit: "grapheme", maxLength: 40 }),
    weight: fc.integer({ min: 1, max: 1000 }),
    cost: fc.integer({ min: 1, max: 1000 }),
    throttleKeys: fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }), { maxLength: 16 }),
    delayMs: fc.bigInt({ min: 0n, max: 31_536_000_000n }),
    ttlMs: fc.bigInt({ min: 0n, max: 31_536_000_000n }),
    idempotencyKey: fc.string({ unit: "grapheme", maxLength: 40 }),
  },
  { requiredKeys: ["queue"] },
);

/** The top-level fields of a message, each with its tag, so that a test can put them together anew. */
function fieldsOf(bytes: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const fields: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [, wireType] = reader.tag();
    reader.skip(wireType);
    fields.push(bytes.subarray(start, reader.pos));
  }
  return fields;
}

const unknownField = fc
  .tuple(
    fc.constantFrom(4, 5, 7, 15, 24, 1000, 536870911),
    fc.integer({ min: 0, max: 3 }),
    fc.uint8Array({ maxLength: 9 }),
  )
  .map(([no, kind, bytes]) => {
    const out = new BinaryWriter();
    if (kind === 0) out.tag(no, WireType.Varint).uint64(0xffff_ffff_ffffn);
    else if (kind === 1) out.tag(no, WireType.Bit64).fixed64(1n);
    else if (kind === 2) out.tag(no, WireType.LengthDelimited).bytes(bytes);
    else out.tag(no, WireType.StartGroup).tag(1, WireType.Bit32).fixed32(7).tag(no, WireType.EndGroup);
    return out.finish();
  });

function agrees(bytes: Uint8Array): void {
  const want = fromBinary(EnqueueRequestSchema, bytes);
  const got = item(bytes);
  assert.equal(got.queue, want.queue);
  assert.equal(got.fairnessKey, want.fairnessKey === "" ? "default" : want.fairnessKey);
  assert.equal(got.weight, want.weight ?? 0);
  assert.equal(got.cost, want.cost ?? 1);
  assert.deepEqual(got.throttleKeys, [...new Set(want.throttleKeys)].sort());
  assert.equal(got.delayMs ?? 0, Number(want.delayMs));
  assert.equal(got.ttlMs ?? 0, Number(want.ttlMs));
  assert.equal(got.idempotencyKey?.text ?? "", want.idempotencyKey);
  const delivered = toBinary(
    MessageSchema,
    create(MessageSchema, { id: "id", metadata: { queueId: "q", attemptCount: 2 }, timestamps: {} }),
  );
  const message = fromBinary(MessageSchema, Buffer.concat([delivered, got.body]));
  assert.deepEqual(message.headers, want.headers);
  assert.deepEqual(Buffer.from(message.payload), Buffer.from(want.payload));
  assert.equal(message.metadata?.attemptCount, 2);
  assert.equal(message.$unknown, undefined);
}

test("it agrees with the generated code on any request", () => {
  fc.assert(
    fc.property(request, (init) => agrees(encode(init))),
    { numRuns: 500 },
  );
});

test("it agrees with the generated code in any order of fields, with unknown ones and scalars sent twice", () => {
  fc.assert(
    fc.property(request, request, fc.array(unknownField, { maxLength: 4 }), fc.nat(), (one, two, unknown, seed) => {
      const twice = fieldsOf(encode({ ...two, headers: {}, throttleKeys: [] }));
      const fields = [...fieldsOf(encode(one)), ...twice, ...unknown];
      for (let i = fields.length - 1, state = seed; i > 0; i--) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        const j = state % (i + 1);
        [fields[i], fields[j]] = [fields[j]!, fields[i]!];
      }
      agrees(Buffer.concat(fields));
    }),
    { numRuns: 500 },
  );
});

test("random bytes are an answer, never an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const parsed = parse(bytes, "q");
      if (isItem(parsed)) fromBinary(MessageSchema, parsed.body);
      else assert.ok(parsed.message.length > 0);
    }),
    { numRuns: 2000 },
  );
});

test("damaged requests are an answer, and what is accepted decodes", () => {
  fc.assert(
    fc.property(request, fc.nat(), fc.nat(255), fc.nat(), (init, at, value, cut) => {
      const bytes = encode(init).slice();
      bytes[at % bytes.length] = value;
      const parsed = parse(bytes.subarray(0, cut % (bytes.length + 1)), "q");
      if (isItem(parsed)) fromBinary(MessageSchema, parsed.body);
    }),
    { numRuns: 2000 },
  );
});

test("a plain body is a view into the input; queue and keys stand beside it", () => {
  const bytes = encode({ queue: "q", headers: { a: "b" }, payload: Buffer.from("payload"), fairnessKey: "k" });
  const { body } = item(bytes);
  assert.equal(body.buffer, bytes.buffer);
  const message = fromBinary(MessageSchema, body);
  assert.deepEqual({ ...message.headers }, { a: "b" });
  assert.equal(message.id, "");
});

test("metadata cannot be forged by a field 4, at the top or inside a header", () => {
  const forged = new BinaryWriter()
    .tag(4, WireType.LengthDelimited)
    .bytes(Buffer.from([0x20, 9]))
    .finish();
  const plain = encode({ queue: "q", headers: { a: "b" }, payload: Buffer.from("x") });
  const fields = fieldsOf(plain);
  for (let at = 0; at <= fields.length; at++) {
    const { body } = item(Buffer.concat([...fields.slice(0, at), forged, ...fields.slice(at)]));
    assert.equal(fromBinary(MessageSchema, body).metadata, undefined);
    assert.deepEqual({ ...fromBinary(MessageSchema, body).headers }, { a: "b" });
  }
  const entry = Buffer.concat([Buffer.from([0x0a, 1, 0x61]), forged, Buffer.from([0x12, 1, 0x62])]);
  const { body } = item(new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(entry).finish(), "q");
  assert.deepEqual([...body], [0x12, 6, 0x0a, 1, 0x61, 0x12, 1, 0x62]);
});

test("a payload sent twice is stored once", () => {
  const twice = Buffer.concat([
    encode({ queue: "q", payload: Buffer.alloc(100) }),
    encode({ payload: Buffer.from("z") }),
  ]);
  assert.deepEqual([...item(twice).body], [0x1a, 1, 0x7a]);
});

test("known fields of the wrong wire type are refused", () => {
  for (const field of [1, 2, 3, 16, 19, 20, 23]) {
    const bytes = new BinaryWriter().tag(field, WireType.Varint).uint32(1).finish();
    assert.equal(refusal(bytes).reason, "INVALID_REQUEST");
  }
  for (const field of [17, 18, 21, 22]) {
    const bytes = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(Buffer.from("1")).finish();
    assert.equal(refusal(bytes).reason, "INVALID_REQUEST");
  }
});

test("strings that are not UTF-8 are refused, short and long", () => {
  for (const length of [1, 100]) {
    const bad = Buffer.alloc(length, 0x61);
    bad[length - 1] = 0xff;
    for (const field of [1, 16, 19, 23]) {
      const bytes = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bad).finish();
      assert.equal(refusal(bytes).reason, "INVALID_FIELD", `field ${field}`);
    }
    for (const part of [1, 2]) {
      const entry = new BinaryWriter().tag(part, WireType.LengthDelimited).bytes(bad).finish();
      const bytes = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(entry).finish();
      assert.equal(refusal(bytes).field, "headers");
    }
  }
});

test("each limit has its failure, and what is just within it passes", () => {
  const many = (n: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: n }, (_, i) => [`h${i}`, ""]));
  const year = 31_536_000_000n;
  const cases: [Parameters<typeof encode>[0], Failure["reason"] | undefined][] = [
    [{ queue: "" }, "INVALID_QUEUE_NAME"],
    [{ queue: "q".repeat(255) }, undefined],
    [{ queue: `${"q".repeat(255)}.dlq` }, undefined],
    [{ queue: "q".repeat(256) }, "INVALID_QUEUE_NAME"],
    [{ queue: "é".repeat(127) }, undefined],
    [{ queue: "é".repeat(128) }, "INVALID_QUEUE_NAME"],
    [{ queue: "q".repeat(5000) }, "INVALID_QUEUE_NAME"],
    [{ queue: "a\nb" }, "INVALID_QUEUE_NAME"],
    [{ queue: ".dlq" }, "INVALID_QUEUE_NAME"],
    [{ queue: "q", payload: Buffer.alloc(1024 * 1024) }, undefined],
    [{ queue: "q", payload: Buffer.alloc(1024 * 1024 + 1) }, "MESSAGE_TOO_LARGE"],
    [{ queue: "q", headers: many(64) }, undefined],
    [{ queue: "q", headers: many(65) }, "TOO_MANY_HEADERS"],
    [{ queue: "q", headers: { k: "v".repeat(8191) } }, undefined],
    [{ queue: "q", headers: { k: "v".repeat(8192) } }, "TOO_MANY_HEADERS"],
    [{ queue: "q", weight: 0 }, "INVALID_FIELD"],
    [{ queue: "q", weight: 1000 }, undefined],
    [{ queue: "q", weight: 1001 }, "INVALID_FIELD"],
    [{ queue: "q", cost: 0 }, "INVALID_FIELD"],
    [{ queue: "q", cost: 1001 }, "INVALID_FIELD"],
    [{ queue: "q", fairnessKey: "k".repeat(256) }, undefined],
    [{ queue: "q", fairnessKey: "k".repeat(257) }, "INVALID_FIELD"],
    [{ queue: "q", throttleKeys: [""] }, "INVALID_FIELD"],
    [{ queue: "q", throttleKeys: ["t".repeat(247)] }, undefined],
    [{ queue: "q", throttleKeys: ["t".repeat(248)] }, "INVALID_FIELD"],
    [{ queue: "q", throttleKeys: Array.from({ length: 40 }, (_, i) => `t${i % 16}`) }, undefined],
    [{ queue: "q", throttleKeys: Array.from({ length: 17 }, (_, i) => `t${i}`) }, "INVALID_FIELD"],
    [{ queue: "q", delayMs: year }, undefined],
    [{ queue: "q", delayMs: year + 1n }, "INVALID_FIELD"],
    // What a client that reckons with signed numbers makes of -1.
    [{ queue: "q", delayMs: 2n ** 64n - 1n }, "INVALID_FIELD"],
    [{ queue: "q", ttlMs: year }, undefined],
    [{ queue: "q", ttlMs: year + 1n }, "INVALID_FIELD"],
    [{ queue: "q", ttlMs: 2n ** 64n - 1n }, "INVALID_FIELD"],
    [{ queue: "q", deliverAt: { seconds: 1n }, delayMs: 1n }, "INVALID_FIELD"],
    [{ queue: "q", deliverAt: { seconds: 1n }, delayMs: 0n }, undefined],
    [{ queue: "q", deliverAt: { seconds: 1n, nanos: 1_000_000_000 } }, "INVALID_FIELD"],
    [{ queue: "q", deliverAt: { seconds: 1n, nanos: -1 } }, "INVALID_FIELD"],
    [{ queue: "q", deliverAt: { seconds: 253_402_300_800n } }, "INVALID_FIELD"],
    [{ queue: "q", idempotencyKey: "k".repeat(256) }, undefined],
    [{ queue: "q", idempotencyKey: "é".repeat(129) }, "INVALID_FIELD"],
  ];
  for (const [init, reason] of cases) {
    const parsed = parse(encode(init));
    assert.equal(isItem(parsed) ? undefined : parsed.reason, reason, JSON.stringify(parsed).slice(0, 200));
  }
});

test("absent fields have their defaults, and the frame's queue stands in for none", () => {
  assert.deepEqual(
    { ...item(encode({ payload: Buffer.from("x") }), "frame"), body: undefined },
    { queue: "frame", fairnessKey: "default", weight: 0, cost: 1, throttleKeys: [], body: undefined },
  );
  assert.equal(item(encode({ queue: "own" }), "frame").queue, "own");
});

test("the field at fault is named", () => {
  const year = 31_536_000_001n;
  for (const [init, field] of [
    [{ delayMs: year }, "delay_ms"],
    [{ ttlMs: year }, "ttl_ms"],
    [{ deliverAt: { nanos: -1 } }, "deliver_at"],
    [{ deliverAt: {}, delayMs: 1n }, "delay_ms"],
    [{ idempotencyKey: "k".repeat(257) }, "idempotency_key"],
  ] as const) {
    assert.equal(refusal(encode({ queue: "q", ...init })).field, field);
  }
});

test("deliver_at is rounded up to a millisecond, merged when sent twice, and at once when it lies before 1970", () => {
  const at = (seconds: bigint, nanos = 0) => item(encode({ queue: "q", deliverAt: { seconds, nanos } })).deliverAt;
  assert.equal(at(1_700_000_000n, 1), 1_700_000_000_001);
  assert.equal(at(1_700_000_000n, 5_000_000), 1_700_000_000_005);
  assert.equal(at(-1n), 0);
  assert.equal(at(-62_135_596_800n), 0);
  const twice = Buffer.concat([encode({ deliverAt: { seconds: 5n } }), encode({ deliverAt: { nanos: 2_000_000 } })]);
  assert.equal(item(twice, "q").deliverAt, 5_002);
});

test("an idempotency key is known by the first 128 bits of its SHA-256", () => {
  // The digest of "abc" stands in FIPS 180.
  const { idempotencyKey } = item(encode({ queue: "q", idempotencyKey: "abc" }));
  assert.deepEqual(idempotencyKey, { a: 0xba7816bf, b: 0x8f01cfea, c: 0x414140de, d: 0x5dae2223, text: "abc" });
  assert.equal(item(encode({ queue: "q", ttlMs: 1n })).idempotencyKey, undefined);
});
