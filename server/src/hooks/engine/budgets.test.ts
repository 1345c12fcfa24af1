// The budgets: each is charged before the work, none is lost, and none ends an innocent script.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Budgets } from "../script-engine.ts";
import { ScriptRig, enqueueCall, stillWorld } from "./testing/script-rig.ts";

const thousandIterations = `
function on_enqueue(msg)
  local sum = 0
  for i = 1, 1000 do sum = sum + i % 7 end
  return { weight = sum % 10 + 1 }
end`;

describe("budgets", () => {
  test("end a script one step beyond, and not before", () => {
    const loop = "for i = 1, 100 do end";
    const { steps } = new ScriptRig().answer(loop).usage;
    assert.equal(new ScriptRig(stillWorld(), { steps }).answer(loop).usage.steps, steps);
    const beyond = new ScriptRig(stillWorld(), { steps: steps - 1 });
    const result = beyond.engine.onEnqueue(
      beyond.compiled("on_enqueue", `function on_enqueue() ${loop} end`),
      enqueueCall(),
    );
    assert.deepEqual(result, {
      ok: false,
      failure: { reason: "instructions", line: 1, message: `took more than ${steps - 1} steps` },
      usage: { steps: steps - 1, bytes: result.usage.bytes },
    });
  });

  test("of bytes count what is garbage too", () => {
    const failing = new ScriptRig(stillWorld(), { bytes: 100_000 });
    assert.equal(failing.failure("for i = 1, 500 do local t = {} end").reason, "memory");
    const { usage } = new ScriptRig().answer("for i = 1, 100 do local t = { i } end");
    assert.ok(usage.bytes >= 100 * (250 + 200), String(usage.bytes));
  });

  test("are whole again at the next call", () => {
    const rig = new ScriptRig();
    const half = rig.compiled("on_enqueue", "function on_enqueue() for i = 1, 60000 do end return { cost = 2 } end");
    for (let i = 0; i < 5; i++) {
      const result = rig.engine.onEnqueue(half, enqueueCall());
      assert.ok(result.ok);
      assert.ok(result.usage.steps > 60_000);
    }
  });

  test("that are exhausted stay so: nothing runs on", () => {
    const told: string[] = [];
    const world = { ...stillWorld(), config: (key: string): undefined => void told.push(key) };
    const rig = new ScriptRig(world);
    const body = `
      local after = function() fila.get("after") end
      xpcall(function() pcall(function() while true do end end) after() end, after)
      after()`;
    assert.equal(rig.failure(body).reason, "instructions");
    assert.equal(rig.failure(body.replace("while true do end", "('x'):rep(1e6)")).reason, "string-length");
    assert.equal(
      rig.failure(body.replace("while true do end", "local t = {} while true do t[#t + 1] = {} end")).reason,
      "memory",
    );
    assert.deepEqual(told, []);
  });

  test("of library functions are charged before the work", () => {
    // What each would do takes hours, or more memory than there is.
    for (const body of [
      "table.concat({}, '', 1, math.maxinteger)",
      "table.move({}, 1, math.maxinteger - 1, 2)",
      "table.unpack({}, 1, math.maxinteger)",
      "table.remove(setmetatable({}, { __len = function() return math.maxinteger end }), 1)",
    ])
      assert.equal(new ScriptRig().failure(body).reason, "instructions", body);
    assert.equal(new ScriptRig().failure("('x'):rep(math.maxinteger)").reason, "string-length");
  });

  test("grow with the depth at which an error is caught, or a level of the stack is asked for", () => {
    const steps = (body: string): number =>
      new ScriptRig().answer(`local function f(n) if n > 0 then local r = f(n - 1) return r end ${body} end f(2000)`)
        .usage.steps;
    const none = steps("");
    assert.ok(steps("for i = 1, 10 do pcall(error) end") > none + 2_000);
    assert.ok(steps("for i = 1, 10 do pcall(error, '', 1500) end") > none + 4_000);
  });

  test("may be taken away", () => {
    const rig = new ScriptRig(stillWorld(), {
      steps: Infinity,
      bytes: Infinity,
      stringBytes: Infinity,
      clockMs: Infinity,
    });
    const { decision, usage } = rig.answer("for i = 1, 300000 do end return { delay_ms = #('x'):rep(3000000) }");
    assert.equal(decision.delayMs, 3_000_000);
    assert.ok(usage.steps > 300_000 && usage.bytes > 3_000_000);
  });
});

describe("the clock", () => {
  /** Each look at the clock finds it so much later. */
  function rigWithClock(stepMs: number, budgets: Partial<Budgets> = {}): ScriptRig {
    let now = 0;
    return new ScriptRig({ ...stillWorld(), monotonic: () => (now += stepMs) }, budgets);
  }

  test("ends what runs for too long", () => {
    const failure = rigWithClock(100).failure("\nwhile true do end");
    assert.deepEqual(failure, { reason: "clock", line: 2, message: "took more than 250 ms" });
    assert.equal(rigWithClock(10, { clockMs: 5 }).failure("pcall(function() while true do end end)").reason, "clock");
  });

  test("counts a standstill of the machine for a tenth of the budget at most", () => {
    let now = 0;
    let stands = 9;
    const rig = new ScriptRig({ ...stillWorld(), monotonic: () => (now += stands-- > 0 ? 3_600_000 : 0.01) });
    rig.answer("for i = 1, 10000 do end");
    stands = 20;
    assert.equal(rig.failure("for i = 1, 10000 do end").reason, "clock");
  });

  test("is not even looked at by a short script", () => {
    const rig = new ScriptRig({
      ...stillWorld(),
      monotonic: () => {
        throw new Error("looked at the clock");
      },
    });
    rig.answer("return { cost = 1 }");
    assert.match(rig.failure("for i = 1, 1000 do end").message, /looked at the clock/);
  });

  test("and the budgets end no innocent script: 1,000 iterations, 20,000 times, on a machine that is 400 times too slow", () => {
    const rig = rigWithClock(4);
    const script = rig.compiled("on_enqueue", thousandIterations);
    const call = enqueueCall();
    for (let i = 0; i < 20_000; i++) {
      const result = rig.engine.onEnqueue(script, call);
      if (!result.ok || result.decision.weight !== 4) assert.fail(JSON.stringify(result));
    }
  });
});
