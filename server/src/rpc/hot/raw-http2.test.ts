// What no well-behaved client sends, over bare HTTP/2.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, beforeEach, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ConsumeRequestSchema,
  EnqueueRequestSchema,
  LeaseRequestSchema,
  StreamEnqueueRequestSchema,
  StreamEnqueueResponseSchema,
  StreamLeaseRequestSchema,
} from "@fila/sdk/gen";
import { parseConnectTimeout, parseGrpcTimeout } from "./deadline.ts";
import { GrantedPrincipal } from "../access/granted-principal.ts";
import { unauthenticated } from "../access/refusals.ts";
import { delivery } from "./testing/fake-broker.ts";
import { startHotServer } from "./testing/hot-server.ts";
import { RawClient, answer, envelope } from "./testing/raw-client.ts";

const server = await startHotServer({ readMaxBytes: 1024 * 1024 });
const client = new RawClient(server.url);
after(async () => {
  client.close();
  await server.stop();
});
beforeEach(() => {
  server.left.length = 0;
  server.broker.held = undefined;
});

const grpc = "application/grpc";
const stream = "application/connect+proto";
const good = toBinary(EnqueueRequestSchema, create(EnqueueRequestSchema, { queue: "q", payload: Buffer.from("x") }));
const frame = (n: number, bytes = 1): Buffer =>
  envelope(
    toBinary(
      StreamEnqueueRequestSchema,
      create(StreamEnqueueRequestSchema, {
        frame: BigInt(n),
        queue: "q",
        messages: [{ payload: Buffer.alloc(bytes) }],
      }),
    ),
  );

test("what the headers show to be unusual is left to the library", async () => {
  const left: [string, string, Record<string, string>][] = [
    ["Enqueue", grpc, { "grpc-encoding": "gzip" }],
    ["Enqueue", "application/proto", { "content-encoding": "gzip" }],
    ["StreamEnqueue", stream, { "connect-content-encoding": "gzip" }],
    ["Enqueue", "application/json", {}],
    ["Enqueue", "application/grpc-web+proto", {}],
    ["Enqueue", "application/grpc+json", {}],
    ["Enqueue", stream, {}],
    ["StreamEnqueue", "application/proto", {}],
    ["Enqueue", "text/plain", {}],
    ["NoSuchMethod", grpc, {}],
    ["Enqueue", grpc, { ":method": "PUT" }],
  ];
  for (const [method, contentType, headers] of left) await client.call(method, contentType, good, headers);
  assert.equal(server.left.length, left.length);
});

test("a body that is no envelope, is cut off, empty or doubled", async () => {
  const cases: [string, Buffer, string][] = [
    ["nothing", Buffer.alloc(0), "3"],
    ["half a head", Buffer.alloc(3), "3"],
    ["half a message", envelope(good).subarray(0, -1), "3"],
    ["two messages", Buffer.concat([envelope(good), envelope(good)]), "3"],
    ["one and a half", Buffer.concat([envelope(good), Buffer.alloc(2)]), "3"],
    ["compressed", envelope(good, 1), "13"],
    ["end of stream", envelope(good, 2), "3"],
    ["unknown flags", envelope(good, 128), "3"],
    ["announced too large", envelope(good, 0, 0xffff_ffff), "3"],
    ["not protobuf", envelope(Buffer.from("hello world")), "3"],
  ];
  const before = server.broker.enqueued.length;
  for (const [what, body, status] of cases) {
    const got = await client.call("Enqueue", grpc, body);
    assert.equal(got.status, status, what);
    assert.equal(got.headers[":status"], 200);
    assert.ok(String(got.headers["grpc-message"]).length > 10, what);
    assert.ok(got.headers["grpc-status-details-bin"] !== undefined, what);
  }
  assert.equal(server.broker.enqueued.length, before, "nothing was stored");
  assert.equal((await client.call("Enqueue", grpc, envelope(good))).status, "0");
});

test("the same for Connect: an empty body is an empty message, errors are JSON", async () => {
  const empty = await client.call("Enqueue", "application/proto", Buffer.alloc(0));
  assert.equal(empty.headers[":status"], 400);
  const { code, details } = JSON.parse(empty.body.toString()) as { code: string; details: { type: string }[] };
  assert.equal(code, "invalid_argument");
  assert.deepEqual(
    details.map((d) => d.type),
    ["google.rpc.ErrorInfo", "google.rpc.BadRequest"],
  );
  const large = await client.call("Enqueue", "application/proto", Buffer.alloc(1024 * 1024 + 1));
  assert.equal(large.headers[":status"], 400);
  const ended = await client.call("StreamEnqueue", stream, envelope(good, 3));
  assert.equal(ended.headers[":status"], 200);
  assert.equal(ended.body[0], 2);
  assert.match(ended.body.subarray(5).toString(), /"code":"invalid_argument"/);
});

test("deadlines: malformed ones are refused, huge ones do not overflow", async () => {
  for (const value of ["", "1", "S", "123456789S", "-1S", "1x", "1.5S"]) {
    assert.equal((await client.call("Enqueue", grpc, envelope(good), { "grpc-timeout": value })).status, "3", value);
  }
  assert.equal((await client.call("Enqueue", grpc, envelope(good), { "grpc-timeout": "99999999H" })).status, "0");
  const opened = server.broker.nextConsumer();
  const lease = toBinary(LeaseRequestSchema, create(LeaseRequestSchema, { queue: "q", waitMs: 60_000n }));
  const call = client.call("Lease", grpc, envelope(lease), { "grpc-timeout": "99999999H" });
  const consumer = await opened;
  consumer.sink.deliver([delivery(1, Buffer.alloc(0))]);
  assert.equal((await call).status, "0");
  assert.equal(parseGrpcTimeout("99999999H", 1000), 1000);
  assert.equal(parseGrpcTimeout("5m", 1000), 5);
  assert.equal(parseConnectTimeout("9999999999", 1000), 1000);
  assert.equal(typeof parseConnectTimeout("99999999999", 1000), "object");
});

test("a message that comes byte by byte is one message", async () => {
  const open = client.open("Enqueue", grpc);
  const got = answer(open);
  for (const byte of envelope(good)) open.write(Buffer.from([byte]));
  open.end();
  assert.equal((await got).status, "0");
  assert.equal(server.broker.enqueued.at(-1)?.body.length, 3);
});

test("a reset in the middle of a request, or before its answer, leaves nothing behind", async () => {
  const half = client.open("Enqueue", grpc);
  half.write(envelope(good).subarray(0, 4));
  await new Promise((resolve) => setImmediate(resolve));
  half.close();
  await once(half, "close");
  server.broker.held = [];
  const open = client.open("Enqueue", grpc);
  open.end(envelope(good));
  while (server.broker.held.length === 0) await new Promise((resolve) => setImmediate(resolve));
  open.close();
  await once(open, "close");
  const reports = server.reports.length;
  assert.equal((await client.call("Enqueue", "application/proto", Buffer.alloc(0))).headers[":status"], 400);
  for (const answerLate of server.broker.held) answerLate();
  assert.ok(server.reports.length > reports);
  assert.equal(server.reports.at(-2)?.code, 1);
});

test("resets at every moment of every method: nothing throws, every consumer is closed", async () => {
  const lease = toBinary(LeaseRequestSchema, create(LeaseRequestSchema, { queue: "q", waitMs: 60_000n }));
  const subscribe = toBinary(
    StreamLeaseRequestSchema,
    create(StreamLeaseRequestSchema, { subscribe: { queue: "q" }, credit: 1 }),
  );
  const consume = toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { queue: "q" }));
  const calls: [string, Uint8Array][] = [
    ["Enqueue", good],
    ["Lease", lease],
    ["Consume", consume],
    ["StreamLease", subscribe],
    ["StreamEnqueue", frame(1).subarray(5)],
  ];
  const known = server.broker.consumers.length;
  for (const [method, request] of calls) {
    for (const rounds of [0, 1, 2, 3, 4, 5]) {
      for (const cut of [3, 8, undefined]) {
        const open = client.open(method, grpc);
        const closed = once(open, "close");
        open.write(envelope(request).subarray(0, cut));
        if (method === "Lease" || method === "Consume") open.end();
        for (let round = 0; round < rounds; round++) await new Promise((resolve) => setImmediate(resolve));
        for (const consumer of server.broker.consumers.slice(known)) {
          if (consumer.closedWith === undefined) consumer.sink.deliver([delivery(1, Buffer.alloc(100))]);
        }
        open.close(8);
        await closed;
      }
    }
  }
  assert.equal((await client.call("Enqueue", grpc, envelope(good))).status, "0");
  const opened = server.broker.consumers.slice(known);
  assert.ok(opened.length > 20);
  await Promise.all(opened.map((consumer) => consumer.closed.promise));
});

test("StreamEnqueue: a broken frame ends the stream after the results of those before it", async () => {
  for (const broken of [envelope(Buffer.from([0xff])), envelope(good, 1), envelope(good).subarray(0, 7)]) {
    const got = await client.call("StreamEnqueue", grpc, Buffer.concat([frame(1), frame(2), broken]));
    assert.notEqual(got.status, "0");
    assert.equal(got.headers["grpc-status"], undefined, "after results the status is a trailer");
    const length = got.body.readUInt32BE(1);
    assert.equal(fromBinary(StreamEnqueueResponseSchema, got.body.subarray(5, 5 + length)).frame, 1n);
    assert.equal(fromBinary(StreamEnqueueResponseSchema, got.body.subarray(10 + length)).frame, 2n);
  }
});

test("StreamEnqueue: what is under way is bounded, by frames and by bytes", async () => {
  for (const [frames, bytes, expected] of [
    [200, 1, 64],
    [40, 500_000, 9],
  ] as const) {
    const held: (() => void)[] = (server.broker.held = []);
    const open = client.open("StreamEnqueue", grpc);
    const got = answer(open);
    for (let n = 1; n <= frames; n++) open.write(frame(n, bytes));
    open.end();
    while (held.length < expected) await new Promise((resolve) => setImmediate(resolve));
    // Whatever else would be read is read within a few rounds of the loop.
    for (let round = 0; round < 20; round++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(held.length, expected);
    server.broker.held = undefined;
    for (const release of held) release();
    assert.equal((await got).status, "0");
  }
});

test("drain ends streams of producers after their results; close answers what has no answer", async () => {
  const other = await startHotServer();
  const otherClient = new RawClient(other.url);
  other.broker.held = [];
  const open = otherClient.open("StreamEnqueue", grpc);
  const got = answer(open);
  open.write(frame(1));
  while (other.broker.held.length === 0) await new Promise((resolve) => setImmediate(resolve));
  other.hot.drain();
  for (const release of other.broker.held) release();
  const ended = await got;
  assert.equal(ended.status, "14");
  assert.ok(ended.body.length > 40);
  const opened = other.broker.nextConsumer();
  const lease = toBinary(LeaseRequestSchema, create(LeaseRequestSchema, { queue: "q", waitMs: 60_000n }));
  const call = otherClient.call("Lease", grpc, envelope(lease));
  const consumer = await opened;
  const closed = other.hot.close();
  assert.equal((await call).status, "14");
  assert.equal(consumer.closedWith, 0);
  await closed;
  otherClient.close();
  await other.stop();
});

test("who reads late and sends on still learns how the call ended", async () => {
  const other = await startHotServer({ lateBodyMs: 0 });
  const otherClient = new RawClient(other.url);
  const open = otherClient.open("StreamEnqueue", grpc);
  // Results of more bytes than HTTP/2 lets a stream carry before its client has read any; then what is no frame.
  const messages = Array.from({ length: 3000 }, () => ({}));
  const request = create(StreamEnqueueRequestSchema, { frame: 1n, queue: "q", messages });
  open.write(Buffer.concat([envelope(toBinary(StreamEnqueueRequestSchema, request)), envelope(Buffer.from([0xff]))]));
  await once(open, "response");
  for (let round = 0; round < 50; round++) await new Promise((resolve) => otherClient.session.ping(resolve));
  const got = await answer(open);
  assert.equal(got.status, "3");
  assert.ok(got.body.length > 65_536);
  assert.equal(got.rstCode, 0);
  otherClient.close();
  await other.stop();
});

test("who may not call is told before anything else is looked at", async () => {
  const guarded = await startHotServer({}, (headers) =>
    headers.authorization === "Bearer k"
      ? new GrantedPrincipal("p", [{ kind: "consume", pattern: "q" }])
      : unauthenticated("no key; send authorization: Bearer <key>"),
  );
  const other = new RawClient(guarded.url);
  const open = other.open("Enqueue", grpc);
  assert.equal((await answer(open)).status, "16", "without waiting for a body");
  const opened = guarded.broker.nextConsumer();
  const consume = toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { queue: "q" }));
  other.open("Consume", grpc, { authorization: "Bearer k" }).end(envelope(consume));
  assert.equal((await opened).options.principal, "p");
  other.close();
  await guarded.stop();
});

test("a consumer that does not read is not told that it was written to", async () => {
  const slow = new RawClient(server.url);
  const opened = server.broker.nextConsumer();
  const consume = toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { queue: "q" }));
  const open = slow.open("Consume", grpc);
  open.end(envelope(consume));
  const consumer = await opened;
  await once(open, "response");
  const body = Buffer.concat([Buffer.from([0x1a, 0x80, 0x80, 0x40]), Buffer.alloc(1024 * 1024)]);
  consumer.sink.deliver([delivery(1, body)]);
  for (let round = 0; round < 20; round++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(consumer.writtenOrdinal, 0);
  slow.close();
  assert.equal(await consumer.closed.promise, 0);
});
