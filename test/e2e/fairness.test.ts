// The main job, on made-up lines as skewed as a real access log: everybody is served at once, nothing is lost or mixed up.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, type Fila, type Lease } from "@fila/sdk";
import { type KeyedLine, skewedLines } from "./access-lines.ts";
import { type Scope, ServerProcess } from "./server-process.ts";

const QUEUE = "logs";
const KEYS = 400;
const LINES = 4_000;

async function clientOf(scope: Scope, server: ServerProcess): Promise<Fila> {
  const fila = connect(server.url);
  scope.after(() => fila.close());
  return fila;
}

/** Stores all lines; returns their ids. */
async function enqueueAll(fila: Fila, lines: readonly KeyedLine[]): Promise<string[]> {
  const ids: string[] = [];
  const messages = lines.map(({ key, text }) => ({ payload: text, fairnessKey: key }));
  for await (const result of fila.enqueueMany(QUEUE, messages)) {
    assert.ok(result.ok);
    ids.push(result.id);
  }
  return ids;
}

/** Leases and acks until `enough`. */
async function consume(fila: Fila, enough: (lease: Lease) => boolean): Promise<void> {
  const acks: Promise<void>[] = [];
  for await (const lease of fila.leases(QUEUE)) {
    acks.push(lease.ack());
    if (enough(lease)) break;
  }
  await Promise.all(acks);
}

const textOf = (lease: Lease): string => Buffer.from(lease.payload).toString();

describe("skewed input", () => {
  const lines = skewedLines(LINES, KEYS, 1);

  test("one consumer meets every key before any key twice, each key in order, every line as often as it was sent", async (t) => {
    const server = await ServerProcess.start(t);
    const fila = await clientOf(t, server);
    await fila.admin.createQueue(QUEUE);
    await enqueueAll(fila, lines);
    const delivered: KeyedLine[] = [];
    await consume(fila, (lease) => delivered.push({ key: lease.fairnessKey, text: textOf(lease) }) === LINES);
    assert.equal(new Set(delivered.slice(0, KEYS).map(({ key }) => key)).size, KEYS);
    assert.deepEqual(
      Map.groupBy(delivered, ({ key }) => key),
      Map.groupBy(lines, ({ key }) => key),
    );
    assert.deepEqual(await server.stats(QUEUE), { depth: 0, inFlight: 0, activeConsumers: 0 });
  });

  test("four workers at once: every message id once", async (t) => {
    const server = await ServerProcess.start(t);
    const fila = await clientOf(t, server);
    await fila.admin.createQueue(QUEUE);
    const [ids, workers] = [new Set(await enqueueAll(fila, lines)), [1, 2, 3, 4]];
    assert.equal(ids.size, LINES);
    const clients = await Promise.all(workers.map(() => clientOf(t, server)));
    const delivered: string[] = [];
    const shares = new Map<Fila, number>();
    const stop = new AbortController();
    await Promise.all(
      clients.map(async (worker) => {
        for await (const lease of worker.leases(QUEUE, { signal: stop.signal })) {
          delivered.push(lease.id);
          shares.set(worker, (shares.get(worker) ?? 0) + 1);
          await lease.ack();
          if (delivered.length === LINES) stop.abort();
        }
      }),
    );
    assert.equal(delivered.length, LINES);
    assert.deepEqual(new Set(delivered), ids);
    assert.equal(shares.size, 4, "each worker had some");
    assert.deepEqual(await server.stats(QUEUE), { depth: 0, inFlight: 0, activeConsumers: 0 });
  });

  test("lines that arrive while a worker waits are leased in the turn that stores them", async (t) => {
    const server = await ServerProcess.start(t);
    const fila = await clientOf(t, server);
    await fila.admin.createQueue(QUEUE);
    const waiting = fila.lease(QUEUE, { maxMessages: 10, wait: "30s" });
    await server.until(
      () => server.stats(QUEUE),
      ({ activeConsumers }) => activeConsumers === 1,
    );
    const id = await fila.enqueue(QUEUE, "now");
    const [lease] = await waiting;
    assert.equal(lease?.id, id);
    assert.equal(lease.leasedAt.getTime(), lease.enqueuedAt.getTime(), "one turn, one time");
    await lease.ack();
  });
});
