// Workers that die, are slow, or let go in good order: who gets their messages, and what counts as an attempt.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connect } from "@fila/sdk";
import type { LeasedMessage } from "@fila/sdk/gen";
import { type Scope, ServerProcess } from "./server-process.ts";
import { WorkerStream } from "./worker-stream.ts";

const QUEUE = "jobs";

interface Worker {
  readonly child: ChildProcess;
  /** Resolves when it has printed so many lines. */
  printed(lines: number): Promise<string[]>;
  /** Resolves when it reads nothing more: with the ids that it has printed. */
  deaf(): Promise<string[]>;
}

function spawnWorker(scope: Scope, server: ServerProcess, ...mode: string[]): Worker {
  const program = join(import.meta.dirname, "worker-child.ts");
  const child = spawn(process.execPath, ["--conditions=@fila/source", program, server.url, QUEUE, ...mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  scope.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return {
    child,
    async printed(lines) {
      while (output.split("\n").length <= lines) await Promise.race([once(child.stdout, "data"), ended]);
      return output.split("\n").slice(0, lines);
    },
    async deaf() {
      while (!output.endsWith("deaf\n")) await Promise.race([once(child.stdout, "data"), ended]);
      return output.split("\n").slice(0, -2);
    },
  };
}

async function withMessages(scope: Scope, count: number, bytes = 10): Promise<ServerProcess> {
  const server = await ServerProcess.start(scope);
  await server.ok("FilaAdmin/CreateQueue", { name: QUEUE });
  await enqueue(server, count, bytes);
  return server;
}

async function enqueue(server: ServerProcess, count: number, bytes: number): Promise<void> {
  const { service } = server.clients("connect");
  for (let at = 0; at < count; at++) await service.enqueue({ queue: QUEUE, payload: Buffer.alloc(bytes, at) });
}

const attemptsOf = (leases: readonly LeasedMessage[]): (number | undefined)[] =>
  leases.map(({ message }) => message?.metadata?.attemptCount);

describe("a worker that is killed", () => {
  test("loses what it held to the next one, who was waiting, with an attempt counted", async (t) => {
    const server = await withMessages(t, 20);
    const victim = spawnWorker(t, server, "holds");
    const ids = await victim.printed(20);
    const heir = new WorkerStream(server.clients("grpc").service, { queue: QUEUE }, 100);
    await heir.until(() => heir.adopted !== undefined);
    assert.equal(heir.messages.length, 0);
    const killed = performance.now();
    victim.child.kill("SIGKILL");
    await heir.holds(20);
    t.diagnostic(`offered to the other ${Math.round(performance.now() - killed)} ms after the kill`);
    assert.deepEqual(new Set(heir.messages.map(({ message }) => message?.id)), new Set(ids));
    assert.deepEqual(attemptsOf(heir.messages), Array(20).fill(1));
    assert.deepEqual(await heir.settle("ACK", heir.messages), []);
    assert.equal((await server.stats(QUEUE)).depth, 0);
    await heir.cancel();
  });

  test("is not blamed for what was never written to it", async (t) => {
    const server = await withMessages(t, 3);
    const victim = spawnWorker(t, server, "StreamLease", "3");
    await victim.deaf();
    // Each is larger than its HTTP/2 window: leased to it as far as may wait unwritten, and none of them ever written.
    await enqueue(server, 8, 256 * 1024);
    await server.until(
      () => server.stats(QUEUE),
      ({ inFlight }) => inFlight >= 3 + 3,
    );
    const heir = new WorkerStream(server.clients("grpc").service, { queue: QUEUE }, 0);
    victim.child.kill("SIGKILL");
    await server.until(
      () => server.stats(QUEUE),
      ({ inFlight }) => inFlight === 0,
    );
    heir.send({ credit: 11 });
    await heir.holds(11);
    const [small, large] = [10, 256 * 1024].map((bytes) =>
      heir.messages.filter(({ message }) => message?.payload.length === bytes),
    );
    assert.deepEqual(attemptsOf(small!), [1, 1, 1]);
    assert.deepEqual(attemptsOf(large!), Array(8).fill(0));
    assert.deepEqual(
      large!.map(({ message }) => message?.payload[0]),
      Array.from({ length: 8 }, (_, at) => at),
      "and they are back in their places",
    );
    await heir.cancel();
  });
});

describe("a worker that dies of a message while more is on its way to it", () => {
  for (const method of ["StreamLease", "Consume"] as const) {
    test(`ends an attempt of what has reached it (${method})`, async (t) => {
      // All of it is leased at once, and does not fit into its HTTP/2 window.
      const server = await withMessages(t, 90, 10 * 1024);
      const met: string[] = [];
      for (let deaths = 0; deaths < 2; deaths++) {
        const victim = spawnWorker(t, server, method, "1");
        const ids = await victim.deaf();
        met.push(...ids);
        victim.child.kill("SIGKILL");
        await server.until(
          () => server.stats(QUEUE),
          ({ inFlight }) => inFlight === 0,
        );
        // What has killed it must not be the first that the next one meets: it went to the end of the line.
        assert.ok(deaths === 0 || !ids.includes(met[0]!), "the same message kills worker after worker, uncounted");
      }
      const heir = new WorkerStream(server.clients("grpc").service, { queue: QUEUE }, 90);
      await heir.holds(90);
      const first = heir.messages.find(({ message }) => message?.id === met[0]);
      assert.equal(first?.message?.metadata?.attemptCount, 1);
      assert.ok(attemptsOf(heir.messages).includes(0), "and what has not reached any has none");
      await heir.cancel();
    });
  }
});

describe("a worker that leaves in good order", () => {
  test("releases by name what it has not begun: no attempt, the old place; what it keeps ends an attempt", async (t) => {
    const server = await withMessages(t, 12);
    const fila = connect(server.url);
    t.after(() => fila.close());
    const begun: string[] = [];
    for await (const lease of fila.leases(QUEUE, { prefetch: 8 })) {
      if (begun.push(lease.id) === 2) break;
    }
    // The stream lives on for the two that were begun, and holds nothing else.
    assert.equal((await server.stats(QUEUE)).inFlight, 2);
    const heir = new WorkerStream(server.clients("grpc").service, { queue: QUEUE }, 12);
    await heir.holds(10);
    assert.deepEqual(attemptsOf(heir.messages), Array(10).fill(0));
    assert.deepEqual(
      heir.messages.map(({ message }) => message?.payload[0]),
      [2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    );
    await fila.close();
    await heir.holds(12);
    assert.deepEqual(attemptsOf(heir.messages.slice(10)), [1, 1]);
    assert.deepEqual(new Set(heir.messages.slice(10).map(({ message }) => message?.id)), new Set(begun));
    await heir.cancel();
  });
});

describe("a worker that is too slow", () => {
  for (const protocol of ["grpc", "connect"] as const) {
    test(`gets LEASE_LOST for ack, nack, extend and release, and the new holder is untouched (${protocol})`, async (t) => {
      const server = await withMessages(t, 1);
      const { service } = server.clients(protocol);
      const slow = new WorkerStream(service, { queue: QUEUE, visibilityTimeoutMs: 1_000n }, 1);
      const [old] = await slow.holds(1);
      await slow.until(() => slow.lost.length === 1);
      assert.equal(slow.lost[0]?.messageId, old?.message?.id);
      assert.deepEqual(slow.lost[0]?.leaseToken, old?.leaseToken);
      const holder = new WorkerStream(service, { queue: QUEUE, visibilityTimeoutMs: 60_000n }, 1);
      const [current] = await holder.holds(1);
      assert.equal(current?.message?.id, old?.message?.id);
      assert.equal(current?.message?.metadata?.attemptCount, 1);

      for (const action of ["ACK", "NACK", "EXTEND", "RELEASE"] as const) {
        const [refused] = await slow.settle(action, [old!]);
        assert.deepEqual([refused?.error?.code, refused?.error?.reason], [9, "LEASE_LOST"], action);
        assert.match(refused?.error?.message ?? "", new RegExp(old?.message?.id ?? "?"));
      }
      const name = { queue: QUEUE, messageId: old?.message?.id ?? "", leaseToken: old!.leaseToken };
      await assert.rejects(service.ack(name), /failed_precondition.*lease of message/);
      await assert.rejects(service.nack(name), /failed_precondition.*lease of message/);
      const { results } = await service.settle({ queue: QUEUE, settlements: [{ ...name, action: 3 }] });
      assert.equal(results[0]?.error?.reason, "LEASE_LOST");

      assert.deepEqual(await server.stats(QUEUE), { depth: 1, inFlight: 1, activeConsumers: 2 });
      assert.deepEqual(await holder.settle("EXTEND", [current]), []);
      assert.deepEqual(await holder.settle("ACK", [current]), []);
      assert.deepEqual([holder.lost.length, (await server.stats(QUEUE)).depth], [0, 0]);
      await Promise.all([slow.cancel(), holder.cancel()]);
    });
  }
});
