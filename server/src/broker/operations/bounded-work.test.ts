// Long operations go in slices: what one turn does is bounded, and others are served in between. Counted, not timed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultLimits } from "../../core/limits.ts";
import type { ScanPlace } from "../../core/scan.ts";
import type { Outcome } from "../contract.ts";
import type { MessagePage, RedriveOrder } from "../operations-contract.ts";
import { BrokerRig, itemOf, settlement, valueOf } from "../testing/broker-rig.ts";
import { Listener } from "../testing/listener.ts";
import { messagesPerSlice } from "./redriver.ts";

const all: RedriveOrder = { queue: "q.dlq", filter: {}, count: 0, dryRun: false, ratePerSecond: 0 };
const unheard = new AbortController().signal;
const nothing = (): void => undefined;

async function rigWith(queue: string, messages: number): Promise<BrokerRig> {
  const rig = await BrokerRig.open();
  for (const name of ["q", "other"]) valueOf(await rig.broker.createQueue(name, { initialBackoffMs: 0 }));
  for (let from = 0; from < messages; from += 5_000) {
    const count = Math.min(5_000, messages - from);
    await rig.enqueue(...Array.from({ length: count }, (_, at) => itemOf(queue, `m${from + at}`)));
  }
  return rig;
}

interface Observed<T> {
  readonly result: T;
  /** Of the queue, as each commit left it. */
  readonly depths: readonly number[];
  /** For each commit: whether an enqueue to another queue that came in with it was answered before the operation was. */
  readonly served: readonly boolean[];
}

/** Lets one commit after the other through, and looks at what each has done. */
async function commitByCommit<T>(
  rig: BrokerRig,
  queue: string,
  operation: () => Promise<Outcome<T>>,
): Promise<Observed<T>> {
  const { broker, storage } = rig;
  const depths: Promise<number>[] = [];
  const served: Promise<boolean>[] = [];
  let done = false;
  storage.gated = true;
  const result = operation().finally(() => (done = true));
  while (!done) {
    const commit = await storage.nextHeld();
    // Both come into the next turn; a purge's slice goes before what comes in, a redrive's after it.
    depths.push(broker.queueStats(queue, 1).then((stats) => valueOf(stats).depth));
    served.push(rig.enqueue(itemOf("other", "x")).then(() => !done));
    commit.allow();
    await new Promise((resolve) => setImmediate(resolve));
  }
  storage.gated = false;
  for (const { allow } of storage.held.splice(0)) allow();
  return { result: valueOf(await result), depths: await Promise.all(depths), served: await Promise.all(served) };
}

test("a purge goes slice by slice, and another queue is served in each of its turns", async () => {
  const { dropsPerTurn: slice, dropsPerIdleTurn } = defaultLimits;
  const messages = dropsPerIdleTurn + slice + 1;
  const rig = await rigWith("q", messages);
  const { result, depths, served } = await commitByCommit(rig, "q", () => rig.broker.operations.purgeQueue("q"));
  assert.equal(result, messages);
  // The first commit has the slice of an idle turn already; the next turn adds another one before it tells the depth.
  assert.deepEqual(depths, [1, 0, 0]);
  assert.deepEqual(served, [true, true, false]);
});

test("a redrive moves at most 1,000 a turn, and another queue is served in each of its turns", async () => {
  const rig = await rigWith("q.dlq", 2_500);
  const { result, depths, served } = await commitByCommit(rig, "q", () =>
    rig.broker.operations.redrive(all, nothing, unheard),
  );
  assert.equal(messagesPerSlice, 1_000);
  assert.deepEqual(result, { redriven: 2_500, examined: 2_500 });
  const moved = depths.map((depth, at) => depth - (depths[at - 1] ?? 0));
  assert.ok(
    moved.every((count) => count <= messagesPerSlice),
    moved.join(),
  );
  assert.equal(depths.at(-1), 2_500);
  assert.ok(served.filter(Boolean).length >= 2, served.join());
});

test("a redrive of more than one walk finds every message once, though each fails again at once and more come in", async () => {
  const messages = 10_500;
  const rig = await rigWith("q.dlq", messages);
  const { broker, clock } = rig;
  const seen = new Map<string, number>();
  const refusing = new Listener();
  const worker = broker.openConsumer(
    {
      queue: "q",
      kind: "stream",
      session: "",
      visibilityMs: 0,
      credit: 1_000,
      connection: 1,
      principal: "",
      worker: "",
    },
    Object.assign(refusing, {
      deliver(deliveries: Listener["deliveries"]): void {
        for (const { id } of deliveries) seen.set(id, (seen.get(id) ?? 0) + 1);
        const nacks = deliveries.map((delivery) => settlement(delivery, "nack", { deadLetter: true }));
        broker.settle("q", nacks, { connection: 1, principal: "" }, nothing);
        // New ones of the same kind, enqueued after the run has begun.
        clock.advance(1);
        if (seen.size < 3 * messages)
          broker.enqueue(
            deliveries.map(() => itemOf("q", "new")),
            nothing,
          );
        worker.credit(deliveries.length);
        worker.written(deliveries.at(-1)!.ordinal);
      },
    }),
  );
  const result = valueOf(await broker.operations.redrive(all, nothing, unheard));
  assert.deepEqual(result, { redriven: messages, examined: messages });
  worker.close(0);
  assert.ok(Math.max(...seen.values()) === 1, "none came twice");
});

test("a redrive finds what was enqueued before somebody set the wall clock back, as its dry run does", async () => {
  const rig = await rigWith("q.dlq", 30);
  rig.clock.set(-86_400_000);
  await rig.enqueue(itemOf("q.dlq", "of today"));
  for (const [dryRun, redriven] of [
    [true, 31],
    [false, 31],
    [false, 0],
  ] as const) {
    const result = valueOf(await rig.broker.operations.redrive({ ...all, dryRun }, nothing, unheard));
    assert.equal(result.redriven, redriven);
  }
});

test("progress is told a few times a second at most", async () => {
  const rig = await rigWith("q.dlq", 60);
  const told: { readonly at: number; readonly redriven: number }[] = [];
  let done = false;
  const run = rig.broker.operations
    .redrive({ ...all, ratePerSecond: 30 }, ({ redriven }) => told.push({ at: rig.clock.mono(), redriven }), unheard)
    .finally(() => (done = true));
  while (!done) {
    rig.clock.advance(1_000 / 30);
    await rig.broker.queueStats("q", 1);
  }
  assert.deepEqual(valueOf(await run), { redriven: 60, examined: 60 });
  const distances = told.slice(1).map(({ at }, index) => at - told[index]!.at);
  assert.ok(told.length >= 4, `told ${told.length} times`);
  assert.ok(Math.min(...distances) >= 250);
});

test("a redrive whose caller is gone stops between two slices, and holds no timer", async () => {
  const rig = await rigWith("q.dlq", 100);
  const caller = new AbortController();
  const run = rig.broker.operations.redrive({ ...all, ratePerSecond: 1 }, nothing, caller.signal);
  while (valueOf(await rig.broker.queueStats("q", 1)).depth === 0);
  const timers = rig.clock.timers;
  const gone = new Error("gone");
  const rejected = assert.rejects(run, gone);
  caller.abort(gone);
  await rejected;
  assert.ok(rig.clock.timers < timers || timers === 0);
  assert.equal(valueOf(await rig.broker.queueStats("q", 1)).depth, 1);
});

test("a list that filters by bodies looks at 10,000 messages a page, and goes on behind them", async () => {
  const rig = await rigWith("q", 25_000);
  const { operations } = rig.broker;
  let looked = 0;
  const wanted = Buffer.from("m24999");
  const filter = { body: (body: Uint8Array) => ((looked += 1), Buffer.from(body).includes(wanted)) };
  const query = { queue: "q", filter, limit: 10, withBodies: false };
  const pages: (readonly string[])[] = [];
  for (let after: ScanPlace | undefined, at = 0; at === 0 || after !== undefined; at += 1) {
    const before = looked;
    const page: MessagePage = valueOf(await operations.listMessages({ ...query, after }));
    assert.ok(looked - before <= 10_000);
    pages.push(page.messages.map(({ view }) => view.fairnessKey));
    after = page.next;
  }
  assert.deepEqual(pages, [[], [], ["k"]]);
  assert.equal(looked, 25_000);
  // Of a queue that has no failures, none is looked for.
  const failed = { ...query, filter: { reason: "ttl" as const }, after: undefined };
  assert.deepEqual(valueOf(await operations.listMessages(failed)), { messages: [], next: undefined });
});

test("a list that filters by bodies reads 16 MiB a page, and goes on behind them", async () => {
  const rig = await BrokerRig.open({ payloadCacheBytes: 0 });
  valueOf(await rig.broker.createQueue("q", {}));
  const large = Buffer.alloc(1_048_576, 1);
  for (let at = 0; at < 20; at += 1) await rig.enqueue(itemOf("q", "", { body: large }));
  let looked = 0;
  const filter = { body: () => (looked += 1) < 0 };
  const query = { queue: "q", filter, limit: 10, withBodies: false };
  const first = valueOf(await rig.broker.operations.listMessages({ ...query, after: undefined }));
  assert.deepEqual([looked, first.messages.length], [16, 0]);
  const second = valueOf(await rig.broker.operations.listMessages({ ...query, after: first.next }));
  assert.deepEqual([looked, second.next], [20, undefined]);
});

test("while another queue is served, a purge goes along with its turns; alone it goes on when nobody is", async () => {
  const { dropsPerTurn: slice, dropsPerIdleTurn } = defaultLimits;
  const messages = dropsPerIdleTurn + 4 * slice;
  const rig = await rigWith("q", messages);
  const { broker, storage, clock } = rig;
  storage.gated = true;
  const purged = broker.operations.purgeQueue("q");
  const first = await storage.nextHeld();
  const served = rig.enqueue(itemOf("other", "x"));
  first.allow();
  const second = await storage.nextHeld();
  second.allow();
  await served;
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(storage.held.length, 0, "whoever comes next waits for no commit but its own");
  const depth = broker.queueStats("q", 1).then((stats) => valueOf(stats).depth);
  (await storage.nextHeld()).allow();
  assert.equal(await depth, 2 * slice);
  storage.gated = false;
  clock.advance(10);
  assert.equal(valueOf(await purged), messages);
});
