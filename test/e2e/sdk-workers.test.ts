// Workers of the SDK against the real broker: restarts, stops, and a loop that stands still.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { connect, json, type LeaseLost, queue, type Worker } from "@fila/sdk";
import { type Scope, ServerProcess } from "./server-process.ts";

const jobs = queue("jobs", json<{ readonly job: number }>());

async function withJobs(scope: Scope, count: number): Promise<ServerProcess> {
  const server = await ServerProcess.start(scope, { env: { FILA_SERVER_DRAIN_DEADLINE_MS: "300" } });
  await using fila = connect(server.url);
  await fila.admin.createQueue(jobs.name);
  const messages = Array.from({ length: count }, (_, job) => ({ payload: { job }, fairnessKey: `k${job % 7}` }));
  for await (const result of fila.enqueueMany(jobs, messages)) assert.ok(result.ok);
  return server;
}

/** Resolves with each new value that pleases; `tell` gives values. */
class Watch<T> {
  #waiting: { pleases: (value: T) => boolean; resolve: (value: undefined) => void }[] = [];
  tell(value: T): void {
    for (const { pleases, resolve } of this.#waiting) if (pleases(value)) resolve(undefined);
  }
  until(pleases: (value: T) => boolean): Promise<undefined> {
    return new Promise((resolve) => this.#waiting.push({ pleases, resolve }));
  }
}

interface Handled {
  readonly id: string;
  readonly job: number;
  readonly attempt: number;
  returned: boolean;
  lost: LeaseLost | undefined;
}

describe("a broker that goes away under eight workers", () => {
  const workers = 8;
  const concurrency = 4;
  const count = 600;
  for (const [how, end] of [
    ["SIGTERM", (server: ServerProcess) => server.stop()],
    ["kill -9", (server: ServerProcess) => server.kill()],
  ] as const) {
    test(`by ${how}: no message is lost, each handler's work is acked once or visibly lost, and work goes on`, async (t) => {
      const server = await withJobs(t, count);
      const runs: Handled[] = [];
      const byAttempt = new Map<string, Handled>();
      const errors: unknown[] = [];
      const progress = new Watch<number>();
      const gate = Promise.withResolvers<undefined>();
      const all: Worker[] = [];
      const changed = new Watch<undefined>();
      for (let at = 0; at < workers; at++) {
        const fila = connect(server.url);
        t.after(() => fila.close());
        const worker = fila.work(
          jobs,
          async ({ id, attempt, payload }) => {
            const run: Handled = { id, job: payload.job, attempt, returned: false, lost: undefined };
            runs.push(run);
            byAttempt.set(`${id} ${attempt}`, run);
            progress.tell(all.reduce((sum, { inFlight }) => sum + inFlight, 0));
            // From here on every handler has its work in hand while the broker goes away.
            if (runs.length > 100) await gate.promise;
            run.returned = true;
          },
          {
            concurrency,
            prefetch: 4,
            onStateChange: () => changed.tell(undefined),
            onError: (error, { id, attempt }) => {
              const run = byAttempt.get(`${id} ${attempt}`);
              if ((error as Error).name === "LeaseLost" && run?.lost === undefined) run!.lost = error as LeaseLost;
              else errors.push(error);
            },
          },
        );
        all.push(worker);
      }
      await progress.until((inFlight) => inFlight === workers * concurrency);
      const inHand = runs.filter(({ returned }) => !returned);
      await end(server);
      await server.restart();
      while (!all.every(({ state }) => state === "running")) await changed.until(() => true);
      gate.resolve(undefined);
      await server.until(
        () => server.stats(jobs.name),
        ({ depth }) => depth === 0,
      );
      await Promise.all(all.map((worker) => worker.stop()));

      assert.deepEqual(errors, []);
      assert.equal(new Set(runs.map(({ job }) => job)).size, count);
      assert.ok(runs.every(({ returned }) => returned));
      const acked = runs.filter(({ lost }) => lost === undefined);
      assert.equal(acked.length, count, "each message is acked once");
      assert.equal(new Set(acked.map(({ id }) => id)).size, count);
      const kept = inHand.filter(({ lost }) => lost === undefined).length;
      t.diagnostic(`${kept} of ${inHand.length} leases in hand stood; ${runs.length - acked.length} were lost in all`);
      assert.ok(inHand.length === workers * concurrency && kept > 0);
    });
  }
});

test("what a worker has not begun goes to another one when it stops, without an attempt", async (t) => {
  const server = await withJobs(t, 10);
  const fila = connect(server.url);
  t.after(() => fila.close());
  const go = Promise.withResolvers<undefined>();
  const leaving = fila.work(jobs, () => go.promise.then(() => undefined), { concurrency: 1, prefetch: 9 });
  await server.until(
    () => server.stats(jobs.name),
    ({ inFlight }) => inFlight === 10,
  );
  const attempts: number[] = [];
  const nine = Promise.withResolvers<undefined>();
  const stopped = leaving.stop();
  const heir = fila.work(jobs, ({ attempt }) => {
    if (attempts.push(attempt) === 9) nine.resolve(undefined);
  });
  await nine.promise;
  assert.deepEqual(attempts, Array(9).fill(0));
  assert.equal(leaving.state, "stopping");
  go.resolve(undefined);
  await stopped;
  await heir.stop();
  assert.equal((await server.stats(jobs.name)).depth, 0);
});

describe("a worker whose event loop stands still for longer than its lease", () => {
  for (const [mode, says] of [
    ["waits", ["told LeaseLost", "aborted LeaseLost"]],
    ["returns", ["told LeaseLost"]],
  ] as const) {
    test(`has lost it to another one: the signal aborts, or the ack is refused (its handler ${mode})`, async (t) => {
      const server = await withJobs(t, 1);
      const program = join(import.meta.dirname, "blocked-worker-child.ts");
      const child = spawn(process.execPath, ["--conditions=@fila/source", program, server.url, jobs.name, mode], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const ended = once(child, "close");
      t.after(async () => {
        child.kill("SIGKILL");
        await ended;
      });
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      assert.equal((await lines.next()).value, "begun 0");

      const fila = connect(server.url);
      t.after(() => fila.close());
      const taken = Promise.withResolvers<number>();
      const go = Promise.withResolvers<undefined>();
      const heir = fila.work(jobs, async ({ attempt }) => {
        taken.resolve(attempt);
        await go.promise;
      });
      assert.equal(await taken.promise, 1);
      child.stdin.write("x");
      for (const line of says) assert.equal((await lines.next()).value, line);
      // The first worker's ack did nothing: the message is still the second one's.
      assert.equal((await server.stats(jobs.name)).depth, 1);
      go.resolve(undefined);
      await heir.stop();
      assert.equal((await server.stats(jobs.name)).depth, 0);
    });
  }
});
