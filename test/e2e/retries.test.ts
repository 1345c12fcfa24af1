// The life of a message that nobody can handle, in real processes: when it comes again, and how it ends.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { SettlementAction, type StoredMessage } from "@fila/sdk/gen";
import { connect } from "@fila/sdk";
import { type Scope, ServerProcess } from "./server-process.ts";

type Clients = ReturnType<ServerProcess["clients"]>;

/** All that the queue holds, oldest first. */
async function held({ admin }: Clients, queue: string): Promise<StoredMessage[]> {
  const all: StoredMessage[] = [];
  for (let cursor = "", first = true; first || cursor !== ""; first = false) {
    const { messages, nextCursor } = await admin.listMessages({ queue, limit: 1_000, cursor });
    all.push(...messages);
    cursor = nextCursor;
  }
  return all;
}

/** The one dead letter, once it is there. */
async function deadLetter(server: ServerProcess, clients: Clients): Promise<StoredMessage> {
  await server.until(
    () => server.stats("q.dlq"),
    ({ depth }) => depth > 0,
  );
  assert.equal((await server.stats("q")).depth, 0);
  const [message, ...more] = await held(clients, "q.dlq");
  assert.equal(more.length, 0);
  return message!;
}

describe("a message that fails every time", () => {
  test("comes again as the policy says, never early, and then is a dead letter that says why", async (t) => {
    const server = await ServerProcess.start(t);
    const clients = server.clients("grpc");
    const config = { maxAttempts: 5, initialBackoffMs: 20n, maxBackoffMs: 60n };
    await clients.admin.createQueue({ name: "q", config });
    const fila = connect(server.url);
    t.after(() => fila.close());
    const deliveries: { readonly attempt: number; readonly leasedAt: number }[] = [];
    const worker = fila.work("q", ({ attempt, leasedAt }) => {
      deliveries.push({ attempt, leasedAt: leasedAt.getTime() });
      throw new TypeError(`no ${attempt}`);
    });
    const id = await fila.enqueue("q", "x", { fairnessKey: "k", headers: { h: "v" } });
    const { message, failure } = await deadLetter(server, clients);
    await worker.stop();

    assert.deepEqual(
      deliveries.map(({ attempt }) => attempt),
      [0, 1, 2, 3, 4],
    );
    // 20 ms, doubled each time, up to 60 ms: from the end of an attempt, which is behind its beginning.
    for (const [at, backoffMs] of [20, 40, 60, 60].entries()) {
      const passed = deliveries[at + 1]!.leasedAt - deliveries[at]!.leasedAt;
      assert.ok(
        passed >= backoffMs,
        `attempt ${at + 1} came ${passed} ms after the one before, in place of ${backoffMs}`,
      );
    }
    assert.equal(message?.id, id);
    assert.deepEqual([message.metadata?.fairnessKey, message.metadata?.attemptCount], ["k", 5]);
    const { reason, lastError, sourceQueue, firstFailedAt, lastFailedAt } = failure!;
    assert.deepEqual([reason, sourceQueue], ["max_attempts", "q"]);
    assert.match(lastError, /no 4/);
    const [first, last] = [timestampMs(firstFailedAt!), timestampMs(lastFailedAt!)];
    assert.ok(deliveries[0]!.leasedAt <= first && first + 20 <= deliveries[1]!.leasedAt, "first failure");
    assert.ok(deliveries[4]!.leasedAt <= last && first < last, "last failure");
  });

  test("that kills its workers comes at once each time, and then is a dead letter too", async (t) => {
    const server = await ServerProcess.start(t);
    const clients = server.clients("grpc");
    // With the backoff of a nack it would come again in an hour.
    const config = { maxAttempts: 3, initialBackoffMs: 3_600_000n, maxBackoffMs: 3_600_000n };
    await clients.admin.createQueue({ name: "q", config });
    const { messageId } = await clients.service.enqueue({ queue: "q" });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const worker = workerProcess(t, server);
      const [line] = (await once(createInterface(worker.stdout!), "line")) as [string];
      assert.equal(line, messageId);
      worker.kill("SIGKILL");
    }
    const { message, failure } = await deadLetter(server, clients);
    assert.deepEqual([message?.id, message?.metadata?.attemptCount], [messageId, 3]);
    assert.deepEqual([failure?.reason, failure?.sourceQueue], ["max_attempts", "q"]);
    assert.match(failure?.lastError ?? "", /stream ended before it settled/);
    assert.ok(timestampMs(failure!.firstFailedAt!) <= timestampMs(failure!.lastFailedAt!));
  });
});

function workerProcess(scope: Scope, server: ServerProcess): ChildProcess {
  const program = join(import.meta.dirname, "worker-child.ts");
  const child = spawn(process.execPath, ["--conditions=@fila/source", program, server.url, "q", "holds"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  scope.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return child;
}

/** Dead letters of two fairness keys and with two errors, in turns of four; ids by "key error". */
async function deadLetters({ service, admin }: Clients, count: number): Promise<Map<string, string[]>> {
  await admin.createQueue({ name: "q" });
  const keys = Array.from({ length: count }, (_, at) => (at % 2 === 0 ? "a" : "b"));
  await service.batchEnqueue({ messages: keys.map((fairnessKey) => ({ queue: "q", fairnessKey })) });
  const ids = new Map<string, string[]>();
  for (let left = count; left > 0;) {
    const { messages } = await service.lease({ queue: "q", maxMessages: 1_000 });
    left -= messages.length;
    const settlements = messages.map(({ message, leaseToken }, at) => {
      const error = at % 4 < 2 ? "timeout of the shop" : "no such order";
      const group = `${message!.metadata!.fairnessKey} ${error}`;
      ids.set(group, [...(ids.get(group) ?? []), message!.id]);
      return { messageId: message!.id, leaseToken, action: SettlementAction.NACK, error, deadLetter: true };
    });
    const { results } = await service.settle({ queue: "q", settlements });
    assert.ok(results.every(({ error }) => error === undefined));
  }
  return ids;
}

async function redriven(
  { admin }: Clients,
  filter: { readonly fairnessKey?: string; readonly errorContains?: string },
  dryRun = false,
): Promise<number> {
  let last;
  for await (const progress of admin.redriveMessages({ dlqQueue: "q.dlq", filter, dryRun })) last = progress;
  assert.equal(last?.done, true);
  return Number(last.redriven);
}

test("a redrive moves what its dry run counted; killed in its middle and begun again it moves the rest", async (t) => {
  const server = await ServerProcess.start(t);
  const count = 1_600;
  const before = server.clients("grpc");
  const ids = await deadLetters(before, count);
  const wanted = ids.get("a timeout of the shop")!;
  const filter = { fairnessKey: "a", errorContains: "timeout" };
  assert.equal(await redriven(before, filter, true), wanted.length);
  assert.equal((await server.stats("q.dlq")).depth, count, "a dry run moves nothing");

  // Slow enough to be seen in its middle: the first answer tells that some are moved, and that it is not done.
  const slow = before.admin.redriveMessages({ dlqQueue: "q.dlq", filter, ratePerSecond: 200 });
  const progress = slow[Symbol.asyncIterator]();
  const { value } = await progress.next();
  assert.equal(value?.done, false);
  const broken = progress.next().then(
    () => false,
    () => true,
  );
  await server.kill();
  assert.equal(await broken, true);
  await server.restart();

  const clients = server.clients("grpc");
  const moved = (await held(clients, "q")).map(({ message }) => message!.id);
  assert.ok(moved.length >= Number(value.redriven) && moved.length < wanted.length, `${moved.length} were moved`);
  const left = wanted.length - moved.length;
  assert.equal(await redriven(clients, filter, true), left);
  assert.equal(await redriven(clients, filter), left);
  assert.equal(await redriven(clients, filter), 0, "nothing is left");

  const back = await held(clients, "q");
  assert.deepEqual(back.map(({ message }) => message!.id).sort(), [...wanted].sort(), "those and no others, each once");
  assert.ok(back.every(({ message, failure }) => message!.metadata!.attemptCount === 0 && failure === undefined));
  const rest = (await held(clients, "q.dlq")).map(({ message }) => message!.id);
  const others = [...ids].flatMap(([group, list]) => (group === "a timeout of the shop" ? [] : list));
  assert.deepEqual(rest.sort(), others.sort());
});
