// Scripts of queues over the wire: set, described, tried, and what they failed of.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BreakerState, Hook, HookErrorMode } from "@fila/sdk/gen";
import { GrantedPrincipal } from "../access/granted-principal.ts";
import { refusalOf, startLive } from "../testing/live-server.ts";

const byTenant = `function on_enqueue(msg)
  return { fairness_key = msg.headers.tenant, throttle_keys = { fila.get("provider") }, weight = 0 }
end`;

describe("scripts of a queue", () => {
  test("are described with how they do, and survive a restart", async (t) => {
    const first = await startLive(t);
    const onFailureScript = `function on_failure(msg) return { action = "dlq" } end`;
    await first.admin.createQueue({
      name: "q",
      config: { onEnqueueScript: byTenant, onFailureScript, onHookError: HookErrorMode.REJECT, hooksSeePayload: true },
    });
    await first.fila.enqueue({ queue: "q", headers: { tenant: "acme" } });
    const { onEnqueue, onFailure, ...rest } = await first.admin.describeQueue({ queue: "q" });
    assert.equal(onEnqueue?.source, byTenant);
    assert.match(onEnqueue.sha256, /^[0-9a-f]{64}$/);
    assert.equal(onEnqueue.breaker, BreakerState.CLOSED);
    assert.deepEqual([onEnqueue.calls, onEnqueue.failures, onEnqueue.warnings], [1n, 0n, 1n]);
    assert.equal(onFailure?.source, onFailureScript);
    assert.deepEqual([rest.onHookError, rest.hooksSeePayload], [HookErrorMode.REJECT, true]);
    const second = await first.restart();
    await second.fila.enqueue({ queue: "q", headers: { tenant: "acme" } });
    const { keys } = await second.admin.listKeys({ queue: "q" });
    assert.deepEqual(
      keys.map(({ key, total }) => [key, total]),
      [["acme", 2n]],
    );
    await second.admin.updateQueue({ queue: "q", onEnqueueScript: "", onHookError: HookErrorMode.DEFAULT });
    const after = await second.admin.describeQueue({ queue: "q" });
    assert.equal(after.onEnqueue, undefined);
    assert.equal(after.onFailure?.source, onFailureScript);
    assert.deepEqual([after.onHookError, after.hooksSeePayload], [HookErrorMode.DEFAULT, true]);
  });

  test("are refused with field, line and message when they are none", async (t) => {
    const { admin } = await startLive(t);
    await admin.createQueue({ name: "q" });
    const onEnqueueScript = "function on_enqueue(msg)\n  return = 1\nend";
    const made = await refusalOf(admin.createQueue({ name: "r", config: { onEnqueueScript } }));
    assert.deepEqual(
      [made.reason, made.field, made.metadata?.["line"]],
      ["SCRIPT_INVALID", "config.on_enqueue_script", "2"],
    );
    assert.match(made.message, /line 2: /);
    const updated = await refusalOf(admin.updateQueue({ queue: "q", onFailureScript: onEnqueueScript }));
    assert.deepEqual([updated.reason, updated.field], ["SCRIPT_INVALID", "on_failure_script"]);
    const long = await refusalOf(admin.updateQueue({ queue: "q", onFailureScript: "-".repeat(65_537) }));
    assert.deepEqual([long.reason, long.field], ["INVALID_FIELD", "on_failure_script"]);
    const dlq = await refusalOf(admin.updateQueue({ queue: "q.dlq", onEnqueueScript: byTenant }));
    assert.deepEqual([dlq.reason, dlq.field], ["INVALID_FIELD", "on_enqueue_script"]);
    const mode = await refusalOf(admin.updateQueue({ queue: "q", onHookError: 9 as HookErrorMode }));
    assert.deepEqual([mode.reason, mode.field], ["INVALID_FIELD", "on_hook_error"]);
  });

  test("are shown to those who may change them", async (t) => {
    const who = { principal: new GrantedPrincipal("c", [{ kind: "consume", pattern: "q" }]) };
    const { admin, broker } = await startLive(t, { authenticate: () => who.principal });
    const made = await broker.createQueue("q", { onEnqueueScript: byTenant });
    assert.ok(made.ok);
    const seen = (await admin.describeQueue({ queue: "q" })).onEnqueue;
    assert.deepEqual([seen?.source, seen?.sha256.length], ["", 64]);
    who.principal = new GrantedPrincipal("a", [{ kind: "admin", pattern: "q" }]);
    assert.equal((await admin.describeQueue({ queue: "q" })).onEnqueue?.source, byTenant);
  });
});

describe("TestHook", () => {
  test("tries the queue's script with a sample: the decision, warnings, keys read and what it used", async (t) => {
    const { admin } = await startLive(t);
    await admin.createQueue({ name: "q", config: { onEnqueueScript: byTenant } });
    await admin.setConfig({ key: "provider", value: "set" });
    const sample = { hook: Hook.ON_ENQUEUE, queue: "q", headers: { tenant: "acme" } };
    const tried = await admin.testHook(sample);
    assert.equal(tried.outcome.case, "enqueue");
    const { fairnessKey, weight, cost, throttleKeys, setsThrottleKeys, delayMs } = tried.outcome.value;
    assert.deepEqual(
      [fairnessKey, weight, cost, throttleKeys, setsThrottleKeys, delayMs],
      ["acme", 0, 0, ["set"], true, undefined],
    );
    assert.equal(tried.warnings.length, 1);
    assert.match(tried.warnings[0] ?? "", /weight/);
    assert.deepEqual(tried.configKeys, ["provider"]);
    assert.ok(tried.steps > 0n && tried.steps < tried.stepBudget && tried.bytes > 0n);
    assert.deepEqual([tried.stepBudget, tried.byteBudget], [100_000n, 1_048_576n]);
    const { onEnqueue } = await admin.describeQueue({ queue: "q" });
    assert.deepEqual([tried.sha256, onEnqueue?.calls], [onEnqueue?.sha256, 0n]);
    const other = await admin.testHook({ ...sample, config: { provider: "other" } });
    assert.ok(other.outcome.case === "enqueue");
    assert.deepEqual(other.outcome.value.throttleKeys, ["other"]);
    const unset = await admin.testHook({ ...sample, config: { provider: "" } });
    assert.ok(unset.outcome.case === "enqueue");
    assert.deepEqual(unset.outcome.value.throttleKeys, []);
  });

  test("tries a script of its own, with or without a queue", async (t) => {
    const { admin } = await startLive(t);
    await admin.createQueue({ name: "q", config: { hooksSeePayload: true } });
    const script = `function on_failure(msg)
      if msg.do_not_retry then return { action = "dlq" } end
      if msg.attempts == 2 then return { action = "retry", delay_ms = msg.requested_delay_ms * 2 } end
      return {}
    end`;
    const about = { hook: Hook.ON_FAILURE, script };
    const outcome = async (more: object) => (await admin.testHook({ ...about, ...more })).outcome;
    const retried = await outcome({ attempts: 2, requestedDelayMs: 50n });
    assert.ok(retried.case === "failure");
    assert.deepEqual([retried.value.retry, retried.value.delayMs, retried.value.undecided], [true, 100n, false]);
    const dead = await outcome({ queue: "q", doNotRetry: true });
    assert.ok(dead.case === "failure");
    assert.deepEqual([dead.value.retry, dead.value.undecided], [false, false]);
    const undecided = await outcome({ queue: "none", attempts: 3 });
    assert.ok(undecided.case === "failure");
    assert.deepEqual([undecided.value.retry, undecided.value.undecided], [false, true]);
    const payload = `function on_enqueue(msg) return { fairness_key = tostring(msg.payload) } end`;
    const sees = async (more: object): Promise<unknown> => {
      const bytes = Buffer.from("bytes");
      const tried = await admin.testHook({ hook: Hook.ON_ENQUEUE, script: payload, payload: bytes, ...more });
      return tried.outcome.case === "enqueue" ? tried.outcome.value.fairnessKey : tried.outcome.case;
    };
    assert.deepEqual(
      [await sees({}), await sees({ queue: "q" }), await sees({ queue: "q", seePayload: false })],
      ["nil", "bytes", "nil"],
    );
  });

  test("takes samples that could come, and no others", async (t) => {
    const { admin } = await startLive(t);
    const about = { hook: Hook.ON_ENQUEUE, script: byTenant };
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`n${at}`, "v"]));
    await admin.testHook({ ...about, headers: many(64), config: many(1_000) });
    for (const [field, sample] of [
      ["headers", { headers: many(65) }],
      ["headers", { headers: { long: "v".repeat(8_192) } }],
      ["config", { config: many(1_001) }],
      ["config", { config: { ["k".repeat(257)]: "v" } }],
      ["config", { config: { long: "v".repeat(1_025) } }],
    ] as const) {
      const refused = await refusalOf(admin.testHook({ ...about, ...sample }));
      assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", field]);
    }
  });

  test("says how a script fails, and what is missing", async (t) => {
    const { admin } = await startLive(t);
    await admin.createQueue({ name: "q" });
    const failing = async (script: string) => (await admin.testHook({ hook: Hook.ON_ENQUEUE, script })).outcome;
    const syntax = await failing("function on_enqueue(");
    assert.ok(syntax.case === "error");
    assert.deepEqual([syntax.value.reason, syntax.value.line], ["syntax", 1]);
    const loops = await failing("function on_enqueue(msg)\n  while true do end\nend");
    assert.ok(loops.case === "error");
    assert.deepEqual([loops.value.reason, loops.value.line], ["instructions", 2]);
    const refusals = [
      [{}, "hook"],
      [{ hook: Hook.ON_ENQUEUE, queue: "q" }, "script"],
      [{ hook: Hook.ON_ENQUEUE, script: "-".repeat(65_537) }, "script"],
      [{ hook: Hook.ON_FAILURE, queue: "q", error: "x".repeat(4_097) }, "error"],
      [{ hook: Hook.ON_FAILURE, queue: "q", requestedDelayMs: 1n << 60n }, "requested_delay_ms"],
    ] as const;
    for (const [request, field] of refusals) {
      const refused = await refusalOf(admin.testHook(request));
      assert.deepEqual([refused.reason, refused.field], ["INVALID_FIELD", field]);
    }
    const nowhere = await refusalOf(admin.testHook({ hook: Hook.ON_ENQUEUE, queue: "none" }));
    assert.equal(nowhere.reason, "QUEUE_NOT_FOUND");
  });
});

test("ListHookErrors: what the scripts of a queue failed of, newest first", async (t) => {
  const { admin, fila, clock } = await startLive(t);
  const onEnqueueScript = `function on_enqueue(msg)\n  error("tenant\\n" .. msg.headers.tenant)\nend`;
  await admin.createQueue({ name: "q", config: { onEnqueueScript, onHookError: HookErrorMode.REJECT } });
  for (const tenant of ["a", "b"]) {
    assert.equal((await refusalOf(fila.enqueue({ queue: "q", headers: { tenant } }))).reason, "HOOK_FAILED");
    clock.advance(1_000);
  }
  const { errors } = await admin.listHookErrors({ queue: "q" });
  assert.deepEqual(
    errors.map(({ hook, reason, line, messageId }) => [hook, reason, line, messageId]),
    new Array(2).fill([Hook.ON_ENQUEUE, "error", 2, ""]),
  );
  assert.match(errors[0]?.message ?? "", /tenant\\nb/);
  assert.equal(Number(errors[0]?.at?.seconds) - Number(errors[1]?.at?.seconds), 1);
  assert.equal((await refusalOf(admin.listHookErrors({ queue: "none" }))).reason, "QUEUE_NOT_FOUND");
});
