import assert from "node:assert/strict";
import test from "node:test";
import { withBroker } from "./fake/with-broker.ts";
import { connect } from "./index.ts";

test("queues: create, list over pages, stats, delete", () =>
  withBroker(async (fila) => {
    for (const name of ["a", "b", "c", "d"]) await fila.admin.createQueue(name, { visibilityTimeout: "1m" });
    await assert.rejects(fila.admin.createQueue("a"), { code: "already_exists" });
    await assert.rejects(fila.admin.createQueue(""), { reason: "INVALID_QUEUE_NAME" });
    const names: string[] = [];
    for await (const queue of fila.admin.listQueues()) names.push(queue.name);
    assert.deepEqual(names, ["a", "b", "c", "d", "q"]);
    await fila.enqueue("a", "x");
    assert.equal((await fila.admin.stats("a")).depth, 1);
    await fila.admin.deleteQueue("a");
    await assert.rejects(fila.admin.stats("a"), { code: "not_found", reason: "QUEUE_NOT_FOUND" });
  }));

test("connect is lazy and refuses what is no address", async () => {
  assert.throws(() => connect("http://"), { code: "invalid_argument", reason: "INVALID_URL" });
  assert.throws(() => connect("x", { requestTimeout: "soon" as "1s" }), { reason: "INVALID_DURATION" });
  await connect("127.0.0.1:1").close();
});
