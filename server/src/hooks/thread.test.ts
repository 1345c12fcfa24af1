// Scripts in a thread of their own: its program as it is run, and one without budgets, whose loops only the watchdog ends.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { failure } from "../core/errors.ts";
import { defaultQueueSettings } from "../core/queue-settings.ts";
import { HookRig, keyOrReason, messageTo } from "./testing/hook-rig.ts";

const unbounded = new URL("./testing/unbounded-thread.ts", import.meta.url);
const byTenant = `function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end`;
const loopsFor = (tenant: string): string => `function on_enqueue(msg)
  if msg.headers.tenant == "${tenant}" then while true do end end
  return { fairness_key = msg.headers.tenant }
end`;
const stopped = failure("DRAINING", "stopped");
const tenants = (queue: string, count: number) =>
  Array.from({ length: count }, (_, at) => messageTo(queue, { tenant: `t${at}` }));
const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `t${at}`);

describe("a thread of scripts", () => {
  const rig = new HookRig({ thread: "worker" });
  after(() => rig.hooks.stop(stopped));

  test("decides about messages of many queues, each in its order", async () => {
    const queues = Array.from({ length: 20 }, (_, at) => `q${at}`);
    for (const queue of queues) rig.queue(queue, { onEnqueueScript: byTenant });
    const order: string[] = [];
    const calls = queues.flatMap((queue) =>
      [1, 2, 3].map(async (call) => {
        const verdicts = await rig.enqueue(queue, ...tenants(queue, 150));
        order.push(`${queue} ${call}`);
        assert.deepEqual(verdicts.map(keyOrReason), names(150));
      }),
    );
    await Promise.all(calls);
    for (const queue of queues) {
      assert.deepEqual(
        order.filter((each) => each.startsWith(`${queue} `)),
        [1, 2, 3].map((call) => `${queue} ${call}`),
      );
    }
  });

  test("sees the configuration that was set before, or that there is when the store was opened again", async () => {
    const onEnqueueScript = `function on_enqueue(msg) return { fairness_key = fila.get("k") } end`;
    const number = rig.queue("c", { onEnqueueScript });
    for (let round = 0; round < 500; round += 1) {
      rig.hooks.configSet("k", `r${round}`);
      assert.deepEqual((await rig.enqueue("c", messageTo("c"))).map(keyOrReason), [`r${round}`]);
    }
    const settings = { ...defaultQueueSettings, onEnqueueScript };
    rig.hooks.load([{ number, name: "c", settings }], new Map([["k", "anew"]]));
    assert.deepEqual((await rig.enqueue("c", messageTo("c"))).map(keyOrReason), ["anew"]);
  });

  test("checks and tries scripts beside the traffic", async () => {
    assert.equal(await rig.hooks.check("on_enqueue", byTenant), undefined);
    const wrong = await rig.hooks.check("on_failure", byTenant);
    assert.ok(typeof wrong === "object" && wrong.reason === "syntax");
    rig.hooks.configSet("seen", "set");
    const tried = await rig.hooks.try({
      ...{ hook: "on_enqueue", queue: "any", headers: [], payload: Buffer.alloc(3), seePayload: false },
      source: `function on_enqueue(msg) return { fairness_key = fila.get("seen") .. msg.payload_size } end`,
      ...{ config: new Map(), attempts: 0, error: "", requestedDelayMs: undefined, doNotRetry: false },
    });
    assert.ok(tried !== "overloaded" && tried.result.hook === "on_enqueue" && tried.result.called.ok);
    assert.equal(tried.result.called.decision.fairnessKey, "set3");
    assert.deepEqual(tried.configKeys, ["seen"]);
  });
});

// Each waits for a watchdog of its own.
describe("the watchdog", { concurrency: true }, () => {
  test("ends a script that loops: it alone has failed, the rest is decided, and other queues go on", async (t) => {
    const rig = new HookRig({ thread: "worker", program: unbounded });
    t.after(() => rig.hooks.stop(stopped));
    rig.queue("bad", { onEnqueueScript: loopsFor("t70") });
    rig.queue("good", { onEnqueueScript: byTenant });
    const bad = rig.enqueue("bad", ...tenants("bad", 200));
    const good = rig.enqueue("good", ...tenants("good", 200));
    assert.deepEqual((await good).map(keyOrReason), names(200));
    assert.deepEqual((await bad).map(keyOrReason), [...names(70), "own", ...names(200).slice(71)]);
    const errors = rig.hooks.errorsOf("bad");
    assert.deepEqual(
      errors.map(({ reason, line }) => [reason, line]),
      [["watchdog", 0]],
    );
    assert.equal(rig.hooks.stateOf("bad", "on_enqueue")?.breaker, "closed");
    assert.equal(rig.hooks.stateOf("good", "on_enqueue")?.failures, 0);
    assert.equal(rig.warnings.length, 1);
  });

  test("a script that always loops costs three threads, then its breaker is open", async (t) => {
    const rig = new HookRig({ thread: "worker", program: unbounded });
    t.after(() => rig.hooks.stop(stopped));
    const loops = `function on_enqueue(msg) while true do end end`;
    rig.queue("bad", { onEnqueueScript: loops, onHookError: "reject" });
    const verdicts = await rig.enqueue("bad", ...tenants("bad", 10));
    assert.deepEqual(verdicts.map(keyOrReason), new Array(10).fill("HOOK_FAILED"));
    const { breaker, calls, failures } = rig.hooks.stateOf("bad", "on_enqueue") ?? {};
    assert.deepEqual([breaker, calls, failures], ["open", 3, 3]);
  });

  test("a last good script that loops is asked no more, and what it was asked about goes as the request says", async (t) => {
    const rig = new HookRig({ thread: "worker", program: unbounded });
    t.after(() => rig.hooks.stop(stopped));
    rig.queue("q", {
      onEnqueueScript: `function on_enqueue(msg) error("no") end`,
      onHookError: "last_good",
      provenOnEnqueue: { current: false, before: loopsFor("t1") },
    });
    const verdicts = await rig.enqueue("q", ...tenants("q", 4));
    assert.deepEqual(verdicts.map(keyOrReason), ["t0", "own", "own", "own"]);
    assert.equal(rig.warnings.filter((warning) => warning.includes("lost")).length, 2);
  });

  test("a trial that loops ends by itself, and the next one is tried", async (t) => {
    const rig = new HookRig({ thread: "worker", program: unbounded });
    t.after(() => rig.hooks.stop(stopped));
    const looping = rig.hooks.check("on_enqueue", "while true do end");
    const next = rig.hooks.check("on_enqueue", byTenant);
    const failed = await looping;
    assert.ok(typeof failed === "object" && failed.reason === "watchdog");
    assert.equal(await next, undefined);
  });
});

describe("a thread that dies", { concurrency: true }, () => {
  test("in the middle of a batch: every message has exactly one outcome, and one has failed", async (t) => {
    const rig = new HookRig({ thread: "worker", program: unbounded });
    t.after(() => rig.hooks.stop(stopped));
    const queues = ["a", "b", "c"];
    for (const queue of queues) rig.queue(queue, { onEnqueueScript: byTenant });
    let answers = 0;
    const calls = queues.map(async (queue) => {
      const items = tenants(queue, 90);
      if (queue === "b") items[40] = messageTo(queue, { tenant: "t40", die: "1" });
      const verdicts = await rig.enqueue(queue, ...items);
      answers += 1;
      return verdicts.map(keyOrReason);
    });
    const [a, b, c] = await Promise.all(calls);
    assert.deepEqual([a, c], [names(90), names(90)]);
    assert.deepEqual(
      b,
      names(90).map((name) => (name === "t40" ? "own" : name)),
    );
    assert.equal(answers, 3);
    assert.deepEqual(
      queues.map((queue) => rig.hooks.stateOf(queue, "on_enqueue")?.failures),
      [0, 1, 0],
    );
  });

  test("before it can begin: what waits is given up after three threads, and goes by the mode", async (t) => {
    const rig = new HookRig({ thread: "worker", program: new URL("./testing/none.ts", import.meta.url) });
    t.after(() => rig.hooks.stop(stopped));
    rig.queue("q", { onEnqueueScript: byTenant });
    rig.queue("strict", { onEnqueueScript: byTenant, onHookError: "reject" });
    const calls = [rig.enqueue("q", messageTo("q")), rig.enqueue("strict", messageTo("strict"))];
    assert.deepEqual((await Promise.all(calls)).flat().map(keyOrReason), ["own", "HOOK_FAILED"]);
  });

  test("stopped in the middle: every message has the outcome that the broker gives", async () => {
    const rig = new HookRig({ thread: "worker", program: unbounded });
    rig.queue("q", { onEnqueueScript: loopsFor("t3") });
    const verdicts = rig.enqueue("q", ...tenants("q", 500));
    await rig.hooks.stop(stopped);
    assert.deepEqual(new Set((await verdicts).map(keyOrReason)), new Set(["DRAINING"]));
  });
});
