// The service under random work over a runner that dies at any moment: every message has exactly one outcome, calls for one queue
// are answered in their order, and nothing is left behind.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { failure } from "../core/errors.ts";
import { type QueueSettings, defaultQueueSettings } from "../core/queue-settings.ts";
import type { FromRunner, ToRunner } from "./protocol.ts";
import type { RunnerEvents, RunnerLink } from "./runner-link.ts";
import { Runner } from "./runner.ts";
import { type CompiledScript, type ScriptEngine, defaultBudgets } from "./script-engine.ts";
import { HookService } from "./service.ts";
import { keyOrReason, messageTo } from "./testing/hook-rig.ts";

const usage = { steps: 1, bytes: 1 };

/** A source is a fairness key, or "fails". */
const engine: ScriptEngine = {
  compile: (hook, source) => ({ hook, source }) as CompiledScript,
  onEnqueue(script) {
    const { source } = script as CompiledScript & { readonly source: string };
    if (source === "fails") return { ok: false, failure: { reason: "error", line: 1, message: "no" }, usage };
    const rest = { weight: undefined, cost: undefined, throttleKeys: undefined, delayMs: undefined };
    return { ok: true, decision: { fairnessKey: source, ...rest }, warnings: [], usage };
  },
  onFailure: () => ({ ok: true, decision: { action: "dlq", delayMs: undefined }, warnings: [], usage }),
};

/** Does nothing by itself. */
class SlowLink implements RunnerLink {
  readonly #events: RunnerEvents;
  #messages: ToRunner[] = [];
  #told: Exclude<FromRunner, { type: "ready" }>[] = [];
  #job = 0;
  #runner = this.#newRunner();

  constructor(events: RunnerEvents) {
    this.#events = events;
  }

  #newRunner(): Runner {
    const tell = (message: FromRunner): void => {
      if (message.type !== "ready") this.#told.push(message);
    };
    const begins = (job: number): void => {
      if (job !== 0) this.#job = job;
    };
    return new Runner(() => engine, defaultBudgets, { tell, begins, wall: () => 0, mono: () => 0, random: () => 0 });
  }

  post(message: ToRunner): void {
    this.#messages.push(message);
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  receive(): void {
    for (const message of this.#messages.splice(0)) this.#runner.receive(structuredClone(message));
    this.#runner.slice();
  }

  tell(): void {
    for (const message of this.#told.splice(0)) this.#events.told(message);
  }

  /** What it was told and what it has not told yet is gone; it was about its last job, or about none. */
  die(within: boolean): void {
    this.#messages = [];
    this.#told = [];
    this.#runner = this.#newRunner();
    const job = this.#job;
    this.#job = 0;
    this.#events.lost(within ? job : 0, "died");
  }
}

const queues = ["a", "b", "c"] as const;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constant("enqueue" as const), fc.constantFrom(...queues), fc.integer({ min: 1, max: 150 })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant("script" as const),
      fc.constantFrom(...queues),
      fc.constantFrom("x", "y", "fails", ""),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("mode" as const),
      fc.constantFrom(...queues),
      fc.constantFrom("default", "last_good", "reject"),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant("delete" as const), fc.constantFrom(...queues)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("decide" as const), fc.constantFrom(...queues)) },
  { weight: 4, arbitrary: fc.constant(["receive"] as const) },
  { weight: 4, arbitrary: fc.constant(["tell"] as const) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("die" as const), fc.boolean()) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("pass" as const), fc.constantFrom(1, 9_999, 10_000)) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class World {
  mono = 0;
  link: SlowLink | undefined;
  readonly settings = new Map<string, QueueSettings>();
  readonly numbers = new Map<string, number>();
  readonly asked = new Map<string, number>();
  readonly answered = new Map<string, number>();
  /** How calls have ended. */
  readonly measured: (string | undefined)[] = [];
  readonly logged: (object | undefined)[] = [];
  questions = 0;
  answers = 0;
  #next = 1;
  readonly service = new HookService({
    clock: { mono: () => this.mono, wall: () => 0, after: () => () => undefined },
    budgets: defaultBudgets,
    threshold: 3,
    cooldownMs: 10_000,
    openLink: (events) => (this.link = new SlowLink(events)),
    openTrialLink: (events) => new SlowLink(events),
    log: { warn: (_message, fields) => this.logged.push(fields) },
    observer: {
      hookCalled: (_queue, _ms, failed) => this.measured.push(failed),
      hookSkipped: () => undefined,
      hookThreadLost: () => undefined,
    },
  });

  set(queue: string, change: Partial<QueueSettings>): void {
    if (!this.numbers.has(queue)) {
      this.numbers.set(queue, this.#next);
      this.#next += 1;
    }
    const settings = { ...(this.settings.get(queue) ?? defaultQueueSettings), ...change };
    this.settings.set(queue, settings);
    this.service.queueSet({ number: this.numbers.get(queue)!, name: queue, settings });
  }

  enqueue(queue: string, count: number): void {
    if (!this.service.takes(queue)) return;
    const number = this.numbers.get(queue);
    // A queue of the same name that comes later has an order of its own.
    const order = `${queue} ${number}`;
    const call = this.asked.get(order) ?? 0;
    this.asked.set(order, call + 1);
    const items = Array.from({ length: count }, (_, at) => messageTo(queue, { at: String(at) }));
    this.service.enqueue(queue, items, (verdicts) => {
      assert.equal(this.answered.get(order) ?? 0, call, "in their order, and once");
      this.answered.set(order, call + 1);
      assert.equal(verdicts.length, count);
      for (const [at, verdict] of verdicts.entries()) {
        if ("reason" in verdict) assert.match(verdict.reason, /^(HOOK_FAILED|HOOK_OVERLOADED|DRAINING)$/);
        else {
          assert.equal(verdict.body, items[at]?.body);
          assert.equal(verdict.queueNumber, number);
          assert.match(verdict.fairnessKey, /^(own|x|y)$/);
        }
      }
    });
  }

  decide(queue: string): void {
    const rest = { attempts: 1, error: "", requestedDelayMs: undefined, doNotRetry: false };
    this.questions += 1;
    this.service.decide({ queue, id: "i", ...rest, body: messageTo(queue).body }, () => (this.answers += 1));
  }

  do(work: Step): void {
    switch (work[0]) {
      case "enqueue":
        this.enqueue(work[1], work[2]);
        return;
      case "script":
        this.set(work[1], { onEnqueueScript: work[2], onFailureScript: work[2] });
        return;
      case "mode":
        this.set(work[1], {
          onHookError: work[2],
          provenOnEnqueue: { current: true, before: "y" },
        });
        return;
      case "delete": {
        const number = this.numbers.get(work[1]);
        this.numbers.delete(work[1]);
        this.settings.delete(work[1]);
        if (number !== undefined) this.service.queueDeleted(number);
        return;
      }
      case "decide":
        this.decide(work[1]);
        return;
      case "pass":
        this.mono += work[1];
        return;
      case "receive":
        this.link?.receive();
        return;
      case "tell":
        this.link?.tell();
        return;
      case "die":
        this.link?.die(work[1]);
    }
  }

  /** What waits for the end of this round of the event loop is posted then. */
  async settle(): Promise<void> {
    for (let round = 0; this.service.read().waiting > 0; round += 1) {
      assert.ok(round < 1_000, "it comes to an end");
      await new Promise((resolve) => setImmediate(resolve));
      this.link?.receive();
      this.link?.tell();
    }
  }
}

test("every message has exactly one outcome, in order, whatever becomes of queues, scripts and the runner", async () => {
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 120 }), fc.boolean(), async (steps, stop) => {
      const world = new World();
      world.service.load([], new Map());
      for (const queue of queues) world.set(queue, { onEnqueueScript: "x", onFailureScript: "x" });
      for (const [at, work] of steps.entries()) {
        world.do(work);
        if (at % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      if (stop) await world.service.stop(failure("DRAINING", "stopped"));
      else await world.settle();
      assert.deepEqual(world.answered, world.asked);
      assert.equal(world.answers, world.questions);
      assert.equal(world.service.read().waiting, 0);
      for (const count of world.answered.values()) answered += count;
    }),
    { numRuns: 300 },
  );
  assert.ok(answered > 1_000, "calls were answered");
});

describe("the service", () => {
  /** What was gathered in this round of the event loop reaches the runner, which works on it. */
  const received = async (world: World): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    world.link?.receive();
  };
  const fails = async (world: World, queue: string): Promise<void> => {
    world.enqueue(queue, 1);
    await received(world);
    world.link?.tell();
  };
  const enqueued = (world: World, queue: string, items = [messageTo(queue)]): Promise<readonly string[]> =>
    new Promise((resolve) => world.service.enqueue(queue, items, (verdicts) => resolve(verdicts.map(keyOrReason))));

  test("a probe that is given up with its thread leaves the breaker open, and the next call is one", async () => {
    const world = new World();
    world.set("a", { onEnqueueScript: "fails" });
    for (let call = 0; call < 3; call += 1) await fails(world, "a");
    world.mono += 10_000;
    const probe = enqueued(world, "a");
    for (let loss = 0; loss < 3; loss += 1) world.link?.die(false);
    assert.deepEqual(await probe, ["own"]);
    assert.equal(world.service.stateOf("a", "on_enqueue")?.breaker, "half-open");
    await fails(world, "a");
    assert.equal(world.service.stateOf("a", "on_enqueue")?.calls, 4);
  });

  test("what was decided leaves its room to others: of its script's, and of all", async () => {
    const world = new World();
    const body = new Uint8Array(1 << 20);
    // One payload.
    body.set([0x1a, 0xfc, 0xff, 0x3f]);
    for (const queue of ["a", "a", "b", "c", "d", "e"]) {
      world.set(queue, { onEnqueueScript: "x" });
      const items = Array.from({ length: 14 }, () => ({ ...messageTo(queue), body }));
      const keys = enqueued(world, queue, items);
      await received(world);
      world.link?.tell();
      assert.deepEqual(new Set(await keys), new Set(["x"]));
    }
  });

  test("the log tells once which script is not called any more, and why", async () => {
    const world = new World();
    world.set("a", { onEnqueueScript: "fails" });
    for (let call = 0; call < 5; call += 1) await fails(world, "a");
    const script = world.service.stateOf("a", "on_enqueue")?.sha256;
    assert.deepEqual(world.logged, [{ queue: "a", hook: "on_enqueue", script, reason: "error", line: 1, error: "no" }]);
  });

  test("a breaker stays open when a last good script is to be asked from now on", async () => {
    const world = new World();
    world.set("a", { onEnqueueScript: "fails", provenOnEnqueue: { current: false, before: "x" } });
    for (let call = 0; call < 3; call += 1) await fails(world, "a");
    world.set("a", { onHookError: "last_good" });
    assert.equal(world.service.stateOf("a", "on_enqueue")?.breaker, "open");
  });

  test("a call of a script that is lost with its thread is measured as one that failed", async () => {
    const world = new World();
    world.set("a", { onEnqueueScript: "x" });
    world.enqueue("a", 1);
    await received(world);
    world.link?.die(true);
    assert.deepEqual(world.measured, ["watchdog"]);
  });

  test("a last good script that has ended a thread is not asked again when another setting changes", async () => {
    const world = new World();
    world.set("a", {
      ...{ onEnqueueScript: "fails", onHookError: "last_good" },
      provenOnEnqueue: { current: false, before: "x" },
    });
    for (let call = 0; call < 3; call += 1) await fails(world, "a");
    const culprit = enqueued(world, "a");
    await received(world);
    world.link?.die(true);
    assert.deepEqual(await culprit, ["own"]);
    world.set("a", { maxAttempts: 2 });
    assert.deepEqual(await enqueued(world, "a"), ["own"]);
    world.set("a", { onHookError: "default" });
    world.set("a", { onHookError: "last_good" });
    const asked = enqueued(world, "a");
    await received(world);
    world.link?.tell();
    assert.deepEqual(await asked, ["x"]);
  });

  test("a failure that comes after the same script was set again names that script", async () => {
    const world = new World();
    world.set("a", { onEnqueueScript: "fails" });
    await fails(world, "a");
    world.enqueue("a", 1);
    await received(world);
    world.service.scriptSet("a", "on_enqueue");
    world.link?.tell();
    const [late, first] = world.service.errorsOf("a");
    assert.equal(late?.sha256, first?.sha256);
    assert.match(late?.sha256 ?? "", /^[0-9a-f]{64}$/);
  });

  test("that is stopped answers at once, and opens nothing", async () => {
    const world = new World();
    world.set("a", { onEnqueueScript: "x", onFailureScript: "x" });
    await world.service.stop(failure("DRAINING", "stopped"));
    world.link = undefined;
    assert.deepEqual(await enqueued(world, "a"), ["DRAINING"]);
    world.decide("a");
    assert.equal(world.answers, 1);
    assert.equal(world.link, undefined);
  });
});
