// A worker against a broker that does everything a broker may do to it, in any order.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { FakeClock } from "../fake/fake-clock.ts";
import { FakeStreams, turn } from "../fake/fake-streams.ts";
import { ModelBroker } from "../fake/model-broker.ts";
import { bytes, LeaseLost, type MessageInfo } from "../index.ts";
import { WorkerEngine } from "./worker.ts";
import { checkWorkOptions } from "./worker-options.ts";

interface Run {
  readonly end: PromiseWithResolvers<undefined>;
  outcome: "running" | "returned" | "threw";
  told: unknown[];
}

/** What happened, so that a property that never met it does not pass for proven. */
const met = { acked: 0, nacked: 0, lost: 0, resumed: 0, full: 0, firstTry: 0 };

class World {
  readonly clock = new FakeClock();
  readonly streams = new FakeStreams();
  readonly broker = new ModelBroker(this.streams);
  readonly worker: WorkerEngine<Uint8Array>;
  readonly runs: Run[] = [];
  readonly #room: number;
  readonly #concurrency: number;
  #most = 0;
  #wrong = "";

  constructor(concurrency: number, prefetch: number) {
    this.#concurrency = concurrency;
    this.#room = concurrency + prefetch;
    // Each attempt has at most one run.
    const byAttempt = new Map<string, Run>();
    const handler = async ({ id, attempt }: MessageInfo): Promise<void> => {
      const run: Run = { end: Promise.withResolvers(), outcome: "running", told: [] };
      if (byAttempt.has(`${id} ${attempt}`)) this.#wrong = "an attempt has a second run";
      if (!this.broker.connected) this.#wrong = "a handler began on a lease of which nobody knows whether it stands";
      byAttempt.set(`${id} ${attempt}`, run);
      this.runs.push(run);
      this.#most = Math.max(this.#most, this.running.length);
      await run.end.promise;
    };
    this.worker = new WorkerEngine(
      { queue: "q", session: "s", workerId: "", visibilityTimeoutMs: 0 },
      bytes,
      handler,
      checkWorkOptions({
        concurrency,
        prefetch,
        onError: (error, { id, attempt }) => {
          byAttempt.get(`${id} ${attempt}`)?.told.push(error);
          throw new Error("a callback that throws");
        },
      }),
      {
        open: this.streams.open,
        fallback: { settle: ({ sink }) => sink.settled(undefined) },
        clock: this.clock,
        finishTimeoutMs: 5_000,
        gone: () => undefined,
      },
    );
  }

  get running(): Run[] {
    return this.runs.filter(({ outcome }) => outcome === "running");
  }

  end(which: number, fails: boolean): void {
    const run = this.running[which % Math.max(1, this.running.length)];
    if (run === undefined) return;
    run.outcome = fails ? "threw" : "returned";
    if (fails) run.end.reject(new Error("it failed"));
    else run.end.resolve(undefined);
  }

  check(): void {
    const { inFlight } = this.worker;
    assert.equal(this.#wrong, "");
    assert.ok(this.#most <= this.#concurrency, `${this.#most} handlers ran at once`);
    assert.equal(inFlight, this.running.length);
    assert.ok(inFlight + this.broker.credit <= this.#room, `${inFlight} run, and ${this.broker.credit} may come`);
    if (this.#most === this.#concurrency) met.full++;
  }

  /** Whatever happened: what is left is worked off, each run is settled or visibly lost, and the worker stops. */
  async finish(): Promise<void> {
    if (this.broker.draining) this.broker.lose(true);
    for (let round = 0; !this.broker.done; round++) {
      assert.ok(round < 500, "the worker does not go on");
      this.clock.advance(5_000);
      this.broker.read(true);
      this.broker.deliver(10);
      while (this.running.length > 0) this.end(0, false);
      await turn();
      this.check();
    }
    const stopped = this.worker.stop({});
    await turn();
    // It may still be on its way back to the broker, for the answers to its acks.
    for (let round = 0; this.worker.state === "stopping" && round < 25; round++) {
      this.broker.read(true);
      await turn();
      this.clock.advance(1_000);
    }
    await stopped;
    assert.equal(this.worker.state, "stopped");
    assert.equal(this.clock.armed, 0);
    for (const { outcome, told } of this.runs) {
      const lost = told.filter((error) => error instanceof LeaseLost).length;
      assert.ok(lost <= 1 && told.length - lost <= 1, "told once");
      if (outcome === "threw") assert.ok(told.length >= 1);
      met.lost += lost;
      if (outcome === "returned") met.acked += 1 - lost;
      else met.nacked++;
    }
    // Each return is an ack that was done, or a loss that was told.
    const returned = this.runs.filter(({ outcome }) => outcome === "returned");
    const acked = returned.filter(({ told }) => told.length === 0).length;
    assert.equal(acked, this.broker.acked.size);
    assert.equal(this.broker.acked.size, this.broker.messages.length);
    if (this.streams.all.length > 1) met.resumed++;
    met.firstTry += this.broker.messages.filter(({ attempts }) => attempts === 0).length;
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant("enqueue" as const), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ do: fc.constant("read" as const), answers: fc.boolean() }),
  fc.record({ do: fc.constant("deliver" as const), count: fc.integer({ min: 1, max: 10 }) }),
  fc.record({ do: fc.constant("deliver" as const), count: fc.integer({ min: 1, max: 10 }) }),
  fc.record({ do: fc.constant("end" as const), which: fc.nat(20), fails: fc.boolean() }),
  fc.record({ do: fc.constant("end" as const), which: fc.nat(20), fails: fc.constant(false) }),
  fc.record({ do: fc.constant("expire" as const), which: fc.nat(20), tells: fc.boolean() }),
  fc.record({ do: fc.constant("lose" as const), restart: fc.boolean() }),
  fc.record({ do: fc.constant("drain" as const) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(10, 1_000, 12_000) }),
);

async function take(world: World, now: typeof step extends fc.Arbitrary<infer Step> ? Step : never): Promise<void> {
  const { broker } = world;
  switch (now.do) {
    case "enqueue":
      for (let at = 0; at < now.count; at++) broker.enqueue();
      break;
    case "read":
      // An answer that is lost is lost with its connection.
      broker.read(now.answers);
      if (!now.answers) broker.lose(true);
      break;
    case "deliver":
      broker.read(true);
      broker.deliver(now.count);
      break;
    case "end":
      world.end(now.which, now.fails);
      break;
    case "expire":
      broker.expire(now.which, now.tells);
      break;
    case "lose":
      broker.lose(now.restart);
      break;
    case "drain":
      broker.drain();
      break;
    case "wait":
      world.clock.advance(now.ms);
      break;
  }
  await turn();
  world.check();
}

test("never more handlers than allowed, never more credit than room; each message is acked in the end, each loss told", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 5 }),
      fc.array(step, { minLength: 5, maxLength: 60 }),
      async (concurrency, prefetch, steps) => {
        const world = new World(concurrency, prefetch);
        for (const now of steps) await take(world, now);
        await world.finish();
      },
    ),
    { numRuns: 150, timeout: 5_000 },
  );
  for (const [what, times] of Object.entries(met)) assert.ok(times > 0, `no ${what}`);
});
