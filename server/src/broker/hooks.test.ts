// Messages that go through a script before they are enqueued, and ended attempts that one decides about: through the whole
// broker, with Lua, in the broker's own thread.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EnqueueItem } from "../core/commands.ts";
import type { Duplicate } from "../core/effects.ts";
import type { Failure } from "../core/errors.ts";
import type { QueueSettings } from "../core/queue-settings.ts";
import { openHooks } from "../hooks/open-hooks.ts";
import { bodyOf } from "../hooks/testing/hook-rig.ts";
import { BrokerRig, itemOf, keyOf, settlement, valueOf } from "./testing/broker-rig.ts";
import type { LoadedDelivery } from "./contract.ts";
import { GatedStorage } from "./testing/gated-storage.ts";
import { ManualClock } from "./testing/manual-clock.ts";

const byTenant = `function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end`;
const broken = `function on_enqueue(msg)
  error("no")
end`;

interface Options {
  readonly storage?: GatedStorage;
  readonly clock?: ManualClock;
}

async function open({ storage = new GatedStorage(), clock = new ManualClock() }: Options = {}): Promise<BrokerRig> {
  return BrokerRig.open({ storage, clock, hooks: openHooks({ clock }) });
}

async function withQueue(settings: Partial<QueueSettings>, name = "q"): Promise<BrokerRig> {
  const rig = await open();
  valueOf(await rig.broker.createQueue(name, settings));
  return rig;
}

function tenant(name: string, more: Partial<EnqueueItem> = {}): EnqueueItem {
  return { ...itemOf("q", ""), fairnessKey: "own", body: bodyOf({ tenant: name }), ...more };
}

/** Fairness keys, by name, and how many messages each has. */
async function keys(rig: BrokerRig, queue = "q"): Promise<Record<string, number>> {
  const page = valueOf(await rig.broker.operations.listKeys(queue, "", 100));
  return Object.fromEntries(page.keys.map(({ key, total }) => [key, total]));
}

const reasonOf = (outcome: string | Duplicate | Failure | undefined): string =>
  typeof outcome === "object" && "reason" in outcome ? outcome.reason : "ok";

const breakerOf = async (rig: BrokerRig): Promise<string | undefined> =>
  valueOf(await rig.broker.operations.describeQueue("q", 0)).onEnqueue?.breaker;

describe("on_enqueue", () => {
  test("what it names wins, field by field, and the rest is as the request says", async () => {
    const rig = await withQueue({
      onEnqueueScript: `function on_enqueue(msg)
        if msg.headers.tenant == "all" then
          return { fairness_key = "hook", weight = 7, cost = 3, throttle_keys = { "b", "a" }, delay_ms = 500 }
        elseif msg.headers.tenant == "now" then
          return { delay_ms = 0 }
        end
        return { cost = 4 }
      end`,
    });
    const own = { weight: 2, cost: 2, throttleKeys: ["t"] };
    const deliverAt = rig.clock.wall() + 90_000;
    await rig.enqueue(tenant("all", { ...own, deliverAt }), tenant("some", own), tenant("now", { ...own, deliverAt }));
    const query = { queue: "q", filter: {}, after: undefined, limit: 10, withBodies: false };
    const { messages } = valueOf(await rig.broker.operations.listMessages(query));
    const seen = messages.map(({ view }) => {
      const { fairnessKey, weight, cost, throttleKeys, state, dueAt } = view;
      return [fairnessKey, weight, cost, throttleKeys, state, dueAt === 0 ? 0 : dueAt - rig.clock.wall()];
    });
    assert.deepEqual(seen, [
      ["hook", 7, 3, ["a", "b"], "delayed", 500],
      ["own", 2, 4, ["t"], "ready", 0],
      ["own", 2, 2, ["t"], "ready", 0],
    ]);
  });

  test("the script sees headers, size, queue and time, and the payload where the queue shows it", async () => {
    const script = `function on_enqueue(msg)
      return { fairness_key = table.concat({ msg.queue, msg.headers.tenant, msg.payload_size, tostring(msg.payload),
        tostring(msg.id), tostring(msg.enqueued_at) }, " ") }
    end`;
    const rig = await withQueue({ onEnqueueScript: script });
    const message = tenant("a", { body: bodyOf({ tenant: "t" }, "four") });
    for (const hooksSeePayload of [false, true, false]) {
      valueOf(await rig.broker.operations.updateQueue("q", { hooksSeePayload }));
      await rig.enqueue(message);
    }
    const at = `${rig.clock.wall()}.0`;
    assert.deepEqual(await keys(rig), { [`q t 4 four nil ${at}`]: 1, [`q t 4 nil nil ${at}`]: 2 });
  });

  test("a frame of hooked and other queues is answered once, and the others wait for no script", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    for (const name of ["plain", "hooked"]) {
      valueOf(await rig.broker.createQueue(name, name === "plain" ? {} : { onEnqueueScript: byTenant }));
    }
    const plain = (): EnqueueItem => tenant("x", { queue: "plain" });
    const items = [tenant("a"), plain(), tenant("b", { queue: "hooked" }), tenant("c", { queue: "none" }), tenant("d")];
    const outcomes = await rig.enqueue(...items, plain());
    assert.deepEqual(outcomes.map(reasonOf), ["ok", "ok", "ok", "QUEUE_NOT_FOUND", "ok", "ok"]);
    assert.deepEqual(await keys(rig), { a: 1, d: 1 });
    assert.deepEqual(await keys(rig, "hooked"), { b: 1 });
    assert.deepEqual(await keys(rig, "plain"), { own: 2 });
    assert.equal(new Set(outcomes.map(String)).size, 6);
  });

  test("what was stored before is told by its idempotency key, also when the queue refuses for its broken script", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant, onHookError: "reject" });
    const once = (key: string): EnqueueItem => tenant("a", { idempotencyKey: keyOf(key) });
    const [first] = await rig.enqueue(once("k"));
    valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript: broken }));
    const outcomes = await rig.enqueue(once("k"), once("other"), tenant("a"));
    assert.deepEqual(outcomes[0], { duplicateOf: first });
    assert.deepEqual(outcomes.slice(1).map(reasonOf), ["HOOK_FAILED", "HOOK_FAILED"]);
    valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript: byTenant }));
    assert.deepEqual((await rig.enqueue(once("other"))).map(reasonOf), ["ok"]);
    assert.deepEqual(await keys(rig), { a: 2 });
  });

  test("messages of a queue stay in their order, also when the script is taken away while some wait for it", async () => {
    const rig = await withQueue({ onEnqueueScript: `function on_enqueue(msg) return {} end` });
    const calls = Array.from({ length: 300 }, (_, at) => rig.enqueue(itemOf("q", String(at))));
    const updated = rig.broker.operations.updateQueue("q", { onEnqueueScript: "" });
    for (let at = 300; at < 600; at += 1) calls.push(rig.enqueue(itemOf("q", String(at))));
    valueOf(await updated);
    for (let at = 600; at < 700; at += 1) calls.push(rig.enqueue(itemOf("q", String(at))));
    await Promise.all(calls);
    const order = (await rig.lease("q")).map(({ body: bytes }) => Number(Buffer.from(bytes.subarray(2)).toString()));
    assert.deepEqual(
      order,
      Array.from({ length: 700 }, (_, at) => at),
    );
  });

  test("a script that does not compile, or lacks its function, is refused with its line; the queue stays as it was", async () => {
    const rig = await open();
    const refused = await rig.broker.createQueue("q", {
      onEnqueueScript: "function on_enqueue(msg)\n  return {{\nend",
    });
    assert.equal(refused.ok, false);
    assert.equal(!refused.ok && refused.failure.reason, "SCRIPT_INVALID");
    assert.equal(!refused.ok && refused.failure.metadata?.["line"], "3");
    assert.equal(!refused.ok && refused.failure.field, "on_enqueue_script");
    assert.equal((await rig.enqueue(tenant("a"))).map(reasonOf)[0], "QUEUE_NOT_FOUND");
    valueOf(await rig.broker.createQueue("q", { onEnqueueScript: byTenant }));
    const update = await rig.broker.operations.updateQueue("q", { maxAttempts: 3, onFailureScript: "local x = 1" });
    assert.equal(!update.ok && update.failure.reason, "SCRIPT_INVALID");
    const { settings } = valueOf(await rig.broker.operations.describeQueue("q", 0));
    assert.deepEqual([settings.maxAttempts, settings.onFailureScript], [16, ""]);
  });

  test("a change of script applies from the next enqueue", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    for (let version = 0; version < 20; version += 1) {
      const onEnqueueScript = `function on_enqueue(msg) return { fairness_key = "v${version}" } end`;
      valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript }));
      await rig.enqueue(tenant("a"));
    }
    assert.deepEqual(Object.values(await keys(rig)), new Array(20).fill(1));
  });

  test("a queue that is deleted meanwhile is not found, also when another one has its name by then", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    const under = rig.enqueue(tenant("a"), tenant("b"));
    const gone = rig.broker.deleteQueue("q");
    const made = rig.broker.createQueue("q", {});
    valueOf(await gone);
    valueOf(await made);
    assert.deepEqual((await under).map(reasonOf), ["QUEUE_NOT_FOUND", "QUEUE_NOT_FOUND"]);
    assert.deepEqual(await keys(rig), {});
  });

  test("an enqueue that is sent after the answer to SetConfig sees the new value: 10,000 times", async () => {
    const rig = await withQueue({
      onEnqueueScript: `function on_enqueue(msg) return { fairness_key = fila.get("round") } end`,
    });
    const { operations } = rig.broker;
    const own = "n";
    for (let round = 0; round < 10_000; round += 1) {
      valueOf(await operations.setConfig("round", String(round)));
      const [id] = await rig.enqueue(itemOf("q", own));
      if (round % 500 !== 0) continue;
      const { view } = valueOf(await operations.getMessage("q", id as string));
      assert.equal(view.fairnessKey, String(round));
    }
    assert.equal(Object.keys(await keys(rig)).length, 100);
    assert.equal(valueOf(await operations.listKeys("q", "", 10_000)).total, 10_000);
  });

  test("more than may wait for a script is refused, and what was taken is stored", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    const outcomes = await rig.enqueue(...new Array<EnqueueItem>(12_000).fill(tenant("a")));
    const counts = Map.groupBy(outcomes, reasonOf);
    assert.deepEqual([...counts.keys()].sort(), ["HOOK_OVERLOADED", "ok"]);
    assert.equal(valueOf(await rig.broker.queueStats("q", 1)).depth, counts.get("ok")?.length);
    assert.equal((await rig.enqueue(tenant("a"))).map(reasonOf)[0], "ok");
  });
});

describe("a script that fails", () => {
  const lastGood = { onHookError: "last_good" } as const;

  async function fails(rig: BrokerRig, messages: number): Promise<string[]> {
    const reasons: string[] = [];
    for (let at = 0; at < messages; at += 1) reasons.push(reasonOf((await rig.enqueue(tenant("a")))[0]));
    return reasons;
  }

  test("default: every message keeps the fairness key of its request", async () => {
    const rig = await withQueue({ onEnqueueScript: broken });
    assert.deepEqual(await fails(rig, 8), new Array(8).fill("ok"));
    assert.deepEqual(await keys(rig), { own: 8 });
  });

  test("last_good: every message is decided by the last script that worked, also after a restart", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant, ...lastGood });
    await fails(rig, 1);
    valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript: broken }));
    assert.deepEqual(await fails(rig, 8), new Array(8).fill("ok"));
    assert.deepEqual(await keys(rig), { a: 9 });
    await rig.broker.stop(0);
    const again = await open(rig);
    assert.equal((await again.enqueue(tenant("b"))).map(reasonOf)[0], "ok");
    assert.deepEqual(await keys(again), { a: 9, b: 1 });
  });

  test("last_good without a script that ever worked: as default", async () => {
    const rig = await withQueue({ onEnqueueScript: broken, ...lastGood });
    await fails(rig, 5);
    assert.deepEqual(await keys(rig), { own: 5 });
  });

  test("last_good whose last good script fails, too: as default", async () => {
    const picky = `function on_enqueue(msg) if msg.headers.tenant == "a" then error("a") end return {} end`;
    const rig = await withQueue({ onEnqueueScript: picky, ...lastGood });
    await rig.enqueue(tenant("b"));
    valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript: broken }));
    await fails(rig, 5);
    assert.deepEqual(await keys(rig), { own: 6 });
  });

  test("reject: every message is refused with the reason, while the breaker is open, too", async () => {
    const rig = await withQueue({ onEnqueueScript: broken, onHookError: "reject" });
    assert.deepEqual(await fails(rig, 8), new Array(8).fill("HOOK_FAILED"));
    const [outcome] = await rig.enqueue(tenant("a"));
    assert.match((outcome as Failure).message, /queue "q" failed 3 times in a row \(error in line 2: .*no/);
    assert.deepEqual(await keys(rig), {});
  });

  test("three failures in a row open the breaker for ten seconds; one probe, whose success closes it", async () => {
    const picky = `function on_enqueue(msg)
      if fila.get("mend") ~= nil then return { fairness_key = "good" } end
      error("bad")
    end`;
    const rig = await withQueue({ onEnqueueScript: picky });
    const { operations } = rig.broker;
    const calls = async (): Promise<number[]> => {
      const { onEnqueue } = valueOf(await operations.describeQueue("q", 0));
      return [onEnqueue?.calls ?? -1, onEnqueue?.failures ?? -1];
    };
    await fails(rig, 2);
    valueOf(await operations.setConfig("mend", "1"));
    await fails(rig, 1);
    valueOf(await operations.setConfig("mend", ""));
    await fails(rig, 2);
    assert.deepEqual([await breakerOf(rig), ...(await calls())], ["closed", 5, 4]);
    // One frame: those behind the third failure are not called any more.
    await rig.enqueue(...new Array<EnqueueItem>(200).fill(tenant("a")));
    assert.deepEqual([await breakerOf(rig), ...(await calls())], ["open", 6, 5]);
    rig.clock.advance(9_999);
    await fails(rig, 3);
    assert.deepEqual([await breakerOf(rig), ...(await calls())], ["open", 6, 5]);
    rig.clock.advance(1);
    assert.equal(await breakerOf(rig), "half-open");
    await rig.enqueue(...new Array<EnqueueItem>(200).fill(tenant("a")));
    assert.deepEqual([await breakerOf(rig), ...(await calls())], ["open", 7, 6]);
    rig.clock.advance(10_000);
    valueOf(await operations.setConfig("mend", "1"));
    await fails(rig, 1);
    assert.deepEqual([await breakerOf(rig), ...(await calls())], ["closed", 8, 6]);
    await fails(rig, 1);
    assert.equal((await keys(rig))["good"], 3);
  });

  test("replacing the script closes the breaker, also by the same script", async () => {
    const rig = await withQueue({ onEnqueueScript: broken });
    for (const onEnqueueScript of [broken, byTenant]) {
      await fails(rig, 4);
      assert.equal(await breakerOf(rig), "open");
      valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript }));
      assert.equal(await breakerOf(rig), "closed");
    }
    await fails(rig, 1);
    assert.deepEqual(await keys(rig), { a: 1, own: 8 });
    valueOf(await rig.broker.operations.updateQueue("q", { paused: true }));
    assert.equal(await breakerOf(rig), "closed");
  });

  test("a change of other settings does not close the breaker", async () => {
    const rig = await withQueue({ onEnqueueScript: broken });
    await fails(rig, 3);
    valueOf(await rig.broker.operations.updateQueue("q", { maxAttempts: 2 }));
    assert.equal(await breakerOf(rig), "open");
  });

  test("operators see the last 16: time, script, reason, line and message", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    const picky = `function on_enqueue(msg)
      if msg.headers.tenant == "x" then return {} end
      error("tenant " .. msg.headers.tenant)
    end`;
    valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript: picky }));
    for (let at = 0; at < 20; at += 1) await rig.enqueue(tenant(String(at)), tenant("x"));
    const { onEnqueue } = valueOf(await rig.broker.operations.describeQueue("q", 0));
    const errors = valueOf(await rig.broker.operations.hookErrors("q"));
    assert.equal(errors.length, 16);
    assert.deepEqual(
      { ...errors[0], message: "" },
      {
        at: rig.clock.wall(),
        hook: "on_enqueue",
        sha256: onEnqueue?.sha256,
        reason: "error",
        line: 3,
        message: "",
        messageId: "",
      },
    );
    assert.match(errors[0]?.message ?? "", /tenant 19/);
    assert.match(errors[15]?.message ?? "", /tenant 4/);
    assert.match(onEnqueue?.sha256 ?? "", /^[0-9a-f]{64}$/);
  });

  test("budgets count as failures; invalid fields are warnings", async () => {
    const rig = await withQueue({ onEnqueueScript: `function on_enqueue(msg) while true do end end` });
    await fails(rig, 1);
    const [error] = valueOf(await rig.broker.operations.hookErrors("q"));
    assert.equal(error?.reason, "instructions");
    const onEnqueueScript = `function on_enqueue(msg) return { weight = 0, cost = "much", fairness_key = "k" } end`;
    valueOf(await rig.broker.operations.updateQueue("q", { onEnqueueScript }));
    await fails(rig, 1);
    const { onEnqueue } = valueOf(await rig.broker.operations.describeQueue("q", 0));
    assert.deepEqual([onEnqueue?.failures, onEnqueue?.warnings], [1, 2]);
  });
});

describe("on_failure", () => {
  /** One message whose attempt has ended by a nack. */
  async function nacked(settings: Partial<QueueSettings>, more: object = {}): Promise<BrokerRig> {
    const rig = await withQueue({ initialBackoffMs: 1_000, ...settings });
    await rig.enqueue(tenant("a"));
    const [held] = await rig.lease("q");
    assert.ok(held !== undefined);
    await rig.settle("q", settlement(held, "nack", { error: "boom", ...more }));
    // The hook's answer is a turn of its own; a call behind it says that it is over.
    await settled(rig);
    return rig;
  }

  async function settled(rig: BrokerRig): Promise<void> {
    for (;;) {
      const { deciding } = valueOf(await rig.broker.queueStats("q", 1));
      if (deciding === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  const decides = (body: string): string => `function on_failure(msg) ${body} end`;

  test("decides about delay and dead letters, and sees what there is to see", async () => {
    const rig = await nacked(
      {
        onFailureScript: decides(
          `if msg.headers.tenant == "a" and msg.attempts == 1 and msg.error == "boom" and msg.queue == "q"
           and msg.requested_delay_ms == 70 and msg.do_not_retry and #msg.id == 36 then
           return { action = "retry", delay_ms = 250.9 }
         end`,
        ),
      },
      { delayMs: 70, deadLetter: true },
    );
    rig.clock.advance(249);
    assert.equal((await rig.lease("q")).length, 0);
    rig.clock.advance(1);
    assert.equal((await rig.lease("q"))[0]?.attempts, 1);
    const dead = await nacked({ onFailureScript: decides(`return { action = "dlq" }`) });
    assert.equal(valueOf(await dead.broker.queueStats("q.dlq", 1)).depth, 1);
    assert.equal(valueOf(await dead.broker.queueStats("q", 1)).depth, 0);
  });

  test("a valid answer holds beyond max_attempts", async () => {
    const rig = await nacked({ maxAttempts: 1, onFailureScript: decides(`return { action = "retry", delay_ms = 0 }`) });
    assert.equal((await rig.lease("q"))[0]?.attempts, 1);
  });

  test("without an action the retry policy decides; without a delay its backoff holds", async () => {
    const none = await nacked({ maxAttempts: 1, onFailureScript: decides(`return {}`) });
    assert.equal(valueOf(await none.broker.queueStats("q.dlq", 1)).depth, 1);
    const backoff = await nacked({ onFailureScript: decides(`return { action = "retry" }`) });
    backoff.clock.advance(999);
    assert.equal((await backoff.lease("q")).length, 0);
    backoff.clock.advance(251);
    assert.equal((await backoff.lease("q")).length, 1);
  });

  test("a broken one leaves it to the policy, and max_attempts leads to the dead-letter queue, whatever the mode", async () => {
    for (const onHookError of ["default", "last_good", "reject"] as const) {
      const settings = { initialBackoffMs: 0, maxAttempts: 6, onHookError, onFailureScript: decides(`error("no")`) };
      const rig = await nacked(settings);
      for (let attempt = 2; attempt <= 6; attempt += 1) {
        const [held] = await rig.lease("q");
        assert.equal(held?.attempts, attempt - 1);
        await rig.settle("q", settlement(held, "nack"));
        await settled(rig);
      }
      assert.equal(valueOf(await rig.broker.queueStats("q.dlq", 1)).depth, 1);
      const errors = valueOf(await rig.broker.operations.hookErrors("q"));
      assert.equal(errors.length, 3);
      assert.match(errors[0]?.messageId ?? "", /^[0-9a-f-]{36}$/);
    }
  });

  test("payloads, which it does not see, take no room among what waits for it", async () => {
    const rig = await withQueue({ maxAttempts: 0, onFailureScript: decides(`return { action = "dlq" }`) });
    const messages = 20;
    const large = Buffer.concat([Buffer.of((3 << 3) | 2, 0x80, 0x80, 0x40), Buffer.alloc(1 << 20)]);
    await rig.enqueue(...new Array<EnqueueItem>(messages).fill(tenant("a", { body: large })));
    const held: LoadedDelivery[] = [];
    while (held.length < messages) held.push(...(await rig.lease("q")));
    await rig.settle("q", ...held.map((each) => settlement(each, "nack")));
    await settled(rig);
    assert.equal(valueOf(await rig.broker.queueStats("q.dlq", 1)).depth, messages);
  });

  test("is asked again after a restart", async () => {
    const clock = new ManualClock();
    const storage = new GatedStorage();
    const rig = await open({ clock, storage });
    valueOf(await rig.broker.createQueue("q", { onFailureScript: decides(`return { action = "dlq" }`) }));
    await rig.enqueue(tenant("a"));
    const [held] = await rig.lease("q");
    assert.ok(held !== undefined);
    await rig.settle("q", settlement(held, "nack"));
    await rig.broker.stop(0);
    const again = await open({ clock, storage });
    await settled(again);
    assert.equal(valueOf(await again.broker.queueStats("q.dlq", 1)).depth, 1);
  });
});

describe("a broker that ends", () => {
  test("draining: what was taken in is stored and answered, what comes later is refused", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    const under = rig.enqueue(tenant("a"), tenant("b"));
    const stopping = rig.broker.stop(60_000);
    const late = assert.rejects(rig.enqueue(tenant("c")), /DRAINING/);
    assert.deepEqual((await under).map(reasonOf), ["ok", "ok"]);
    await late;
    await stopping;
    const again = await open(rig);
    assert.deepEqual(await keys(again), { a: 1, b: 1 });
  });

  test("stopped before the script was asked: refused as a whole", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    const under = rig.enqueue(...new Array<EnqueueItem>(5_000).fill(tenant("a")));
    const stopping = rig.broker.stop(0);
    rig.clock.advance(1);
    assert.deepEqual(new Set((await under).map(reasonOf)), new Set(["DRAINING"]));
    await stopping;
  });

  test("a rejected write: what waits for a script is answered once, and scripts go on when the store is open again", async () => {
    const rig = await withQueue({ onEnqueueScript: byTenant });
    rig.storage.gated = true;
    const doubtful = rig.enqueue(tenant("a"));
    const held = await rig.storage.nextHeld();
    const waits = rig.enqueue(tenant("b"));
    held.reject("failed", false);
    rig.storage.gated = false;
    await assert.rejects(doubtful, /STORAGE_UNAVAILABLE/);
    const [outcome] = await waits.catch((error: unknown) => [{ reason: String(error) }]);
    assert.ok(outcome !== undefined);
    await rig.reopened();
    assert.deepEqual((await rig.enqueue(tenant("c"))).map(reasonOf), ["ok"]);
    const after = await keys(rig);
    assert.equal(after["c"], 1);
    assert.equal(after["own"], undefined);
  });
});
