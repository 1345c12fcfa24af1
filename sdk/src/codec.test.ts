import assert from "node:assert/strict";
import test from "node:test";
import { withBroker } from "./fake/with-broker.ts";
import { bytes, json, queue, type Codec } from "./index.ts";

interface Job {
  readonly name: string;
}
const jobs = queue("q", json<Job>());

test("a queue with its codec goes where its name goes", () =>
  withBroker(async (fila) => {
    await fila.enqueue(jobs, { name: "one é" });
    for await (const result of fila.enqueueMany(jobs, [{ payload: { name: "two" } }])) assert.ok(result.ok);
    const [one] = await fila.lease(jobs);
    assert.equal(one?.decode().name, "one é");
    assert.deepEqual(Buffer.from(one.payload), Buffer.from('{"name":"one é"}'));
    for await (const lease of fila.leases(jobs)) {
      const job: Job = lease.decode();
      assert.equal(job.name, "two");
      break;
    }
    await fila.enqueue("q", "three");
    const [plain] = await fila.lease("q");
    const raw: Uint8Array = plain!.decode();
    assert.equal(Buffer.from(raw).toString(), "three");
  }));

test("what has no JSON text is refused before anything is sent", () =>
  withBroker(async (fila, broker) => {
    const any = queue("q", json<unknown>());
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const throwing = { toJSON: () => assert.fail("its own error") };
    for (const value of [undefined, () => 1, Symbol("s"), 5n, { deep: 5n }, circle, throwing]) {
      await assert.rejects(fila.enqueue(any, value), {
        code: "invalid_argument",
        reason: "INVALID_FIELD",
        message: /^payload cannot be encoded: ./,
      });
    }
    for await (const result of fila.enqueueMany(any, [{ payload: 5n }])) assert.equal(result.ok, false);
    assert.equal(broker.frames.length, 0);
    await fila.enqueue(any, null);
  }));

test("what cannot be decoded says which message, and why", () =>
  withBroker(async (fila) => {
    for (const payload of [Buffer.from([0xff]), Buffer.from("{")]) await fila.enqueue("q", payload);
    for (const lease of await fila.lease(jobs, { maxMessages: 2 })) {
      assert.throws(() => lease.decode(), {
        code: "invalid_argument",
        reason: "INVALID_PAYLOAD",
        message: new RegExp(`^the payload of message ${lease.id} cannot be decoded: .`),
      });
    }
  }));

test("codecs of one's own, and plain bytes", () =>
  withBroker(async (fila) => {
    const upper: Codec<string> = {
      encode: (value) => Buffer.from(value.toUpperCase()),
      decode: (payload) => Buffer.from(payload).toString(),
    };
    await fila.enqueue(queue("q", upper), "loud");
    await fila.enqueue(queue("q", bytes), new Uint8Array([1, 2]));
    const [one, two] = await fila.lease(queue("q", upper), { maxMessages: 2 });
    assert.equal(one?.decode(), "LOUD");
    assert.deepEqual(Buffer.from(two!.payload), Buffer.from([1, 2]));
    const wrong: Codec<number> = {
      encode: (value) => value as unknown as Uint8Array,
      decode: (payload) => payload.length,
    };
    await assert.rejects(fila.enqueue(queue("q", wrong), 5), { reason: "INVALID_FIELD" });
    assert.throws(() => queue("", bytes), { reason: "INVALID_QUEUE_NAME" });
    assert.throws(() => queue(5 as unknown as string, bytes), { reason: "INVALID_QUEUE_NAME" });
  }));
