// What operators change while 100,000 messages wait acts on all of them, and stands over a kill -9: weights, a limit, a cap.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type Fila } from "@fila/sdk";
import { ServerProcess } from "./server-process.ts";

const queue = "backlog";
const keys = 100;
const messagesPerKey = 1_000;
const rounds = 100;
const capped = "key-98";
const throttled = "key-99";

/** As its messages say. */
const ownWeight = (key: number): number => 1 + (key % 10);
/** As the operator says: the first ten have the largest. */
const weight = (key: number): number => (key < 10 ? 10 : ownWeight(key));

async function fill(fila: Fila): Promise<void> {
  const messages = Array.from({ length: keys * messagesPerKey }, (_, at) => {
    const key = Math.floor(at / messagesPerKey);
    const fairnessKey = `key-${key}`;
    return { payload: "x", fairnessKey, weight: ownWeight(key), throttleKeys: key === 99 ? ["provider"] : [] };
  });
  for await (const result of fila.enqueueMany(queue, messages)) assert.ok(result.ok);
}

test("shares of a backlog of 100,000 after changes and a kill -9", async (t) => {
  const server = await ServerProcess.start(t);
  const before = connect(server.url);
  await before.admin.createQueue(queue);
  await fill(before);
  for (let key = 0; key < 10; key += 1) await before.admin.setKey(queue, `key-${key}`, { weight: 10 });
  await before.admin.setKey(queue, capped, { maxInFlight: 1 });
  await before.admin.setConfig("throttle.provider", "0,5");
  await before.close();
  await server.kill();
  await server.restart();

  const fila = connect(server.url);
  t.after(() => fila.close());
  const expected = new Map<string, number>([
    [capped, 1],
    [throttled, 5],
  ]);
  for (let key = 0; key < 98; key += 1) expected.set(`key-${key}`, rounds * weight(key));
  const counts = new Map<string, number>();
  let left = expected.values().reduce((sum, count) => sum + count, 0);
  while (left > 0) {
    // Nothing is settled, so that the cap stays full.
    const leases = await fila.lease(queue, { maxMessages: Math.min(1_000, left), visibilityTimeout: "1h" });
    assert.ok(leases.length > 0, `${left} are still to come`);
    for (const { fairnessKey } of leases) counts.set(fairnessKey, (counts.get(fairnessKey) ?? 0) + 1);
    left -= leases.length;
  }
  assert.deepEqual([counts.get(capped), counts.get(throttled)], [1, 5]);
  for (const [key, count] of expected) {
    const off = Math.abs(counts.get(key)! - count);
    assert.ok(off * 100 <= count, `${key} was to have ${count} and had ${counts.get(key)}`);
  }
});
