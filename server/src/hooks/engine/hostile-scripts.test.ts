// Every hostile script ends as it must while all clocks stand still, twice in the same way, and leaves no trace: one engine
// runs them all, and a good script, compiled before them, gives the right answer after each.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hostileScripts, sourceOf } from "./testing/hostile-scripts.ts";
import type { HostileScript } from "./testing/hostile-scripts.ts";
import { ScriptRig, enqueueCall, stillWorld } from "./testing/script-rig.ts";

const goodSource = `
local calls = 0
function on_enqueue(msg)
  calls = calls + 1
  kept = (kept or 0) + 1
  local functions = 0
  for _ in pairs(string) do functions = functions + 1 end
  local keys = { "tenant:" .. msg.headers.tenant, "all" }
  table.sort(keys, function(a, b) return a > b end)
  return {
    fairness_key = table.concat({ msg.headers.tenant:upper(), fila.get("limit"), calls, kept, functions, tostring(keys) }, " "),
    weight = math.max(2, 3, 1),
    cost = utf8.len(msg.queue),
    throttle_keys = keys,
  }
end`;

const rig = new ScriptRig(stillWorld({ limit: "7", long: "x".repeat(60_000) }));
const good = rig.compiled("on_enqueue", goodSource);
const call = enqueueCall({ tenant: "acme" });
const rightAnswer = rig.engine.onEnqueue(good, call);

function outcome(hostile: HostileScript) {
  const script = rig.engine.compile("on_enqueue", sourceOf(hostile));
  if (!("hook" in script)) return { ok: false, failure: script } as const;
  return rig.engine.onEnqueue(script, call);
}

test("the good script's answer is right", () => {
  assert.ok(rightAnswer.ok);
  assert.match(rightAnswer.decision.fairnessKey!, /^ACME 7 1 1 13 table: 0x[0-9a-f]+$/);
  assert.deepEqual(
    { ...rightAnswer.decision, fairnessKey: "" },
    {
      fairnessKey: "",
      weight: 3,
      cost: 6,
      throttleKeys: ["all", "tenant:acme"],
      delayMs: undefined,
    },
  );
  assert.deepEqual(rightAnswer.warnings, []);
});

test("there are many hostile scripts, each with a name of its own", () => {
  assert.ok(hostileScripts.length >= 200);
  assert.equal(new Set(hostileScripts.map(({ name }) => name)).size, hostileScripts.length);
});

describe("hostile scripts", () => {
  for (const hostile of hostileScripts) {
    test(hostile.name, () => {
      const first = outcome(hostile);
      const reason = first.ok ? "none" : first.failure.reason;
      if (hostile.ends === "harmless") assert.ok(first.ok || reason === "error", JSON.stringify(first));
      else assert.equal(reason, hostile.ends, JSON.stringify(first));
      if (!first.ok) {
        assert.ok(Buffer.byteLength(first.failure.message) <= 512);
        assert.doesNotMatch(first.failure.message, /internal error|[\p{Cc}\p{Bidi_Control}]/u);
      }
      assert.deepEqual(rig.engine.onEnqueue(good, call), rightAnswer, "the good script's answer");
      assert.deepEqual(outcome(hostile), first, "the second time");
    });
  }
});
