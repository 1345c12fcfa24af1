// Nothing goes from call to call, from script to script or out of the VM.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ScriptRig, enqueueCall, failureCall, stillWorld } from "./testing/script-rig.ts";

const rig = new ScriptRig();

function keyOf(script: ReturnType<ScriptRig["compiled"]>, headers: Record<string, string> = {}): string | undefined {
  const result = rig.engine.onEnqueue(script, enqueueCall(headers));
  assert.ok(result.ok, JSON.stringify(result));
  return result.decision.fairnessKey;
}

describe("calls", () => {
  test("begin with the chunk: its locals and globals are new", () => {
    const script = rig.compiled(
      "on_enqueue",
      "local own, list = 0, {} total = 0 function on_enqueue() own = own + 1 total = total + 1 list[#list + 1] = 1 " +
        "return { fairness_key = own .. total .. #list } end",
    );
    for (let i = 0; i < 3; i++) assert.equal(keyOf(script), "111");
  });

  test("see the same numbers of objects each time", () => {
    const names = "tostring({}) .. tostring(on_enqueue) .. tostring(pairs) .. tostring(msg) .. tostring(_ENV)";
    const script = rig.compiled("on_enqueue", `function on_enqueue(msg) return { fairness_key = ${names} } end`);
    const first = keyOf(script);
    assert.match(first!, /^table: 0x[0-9a-f]+function: 0x[0-9a-f]+function: builtin(table: 0x[0-9a-f]+){2}$/);
    for (const body of ["for i = 1, 100 do tostring({}) end error('x')", "while true do local t = {} end"]) {
      rig.failure(body);
      assert.equal(keyOf(script), first);
    }
    rig.answer("for i = 1, 100 do local t = {} end");
    assert.equal(keyOf(script), first);
  });

  test("do not see in the numbers of the message how much the call before has made", () => {
    const script = rig.compiled(
      "on_enqueue",
      "function on_enqueue(msg) return { fairness_key = tostring(msg) .. tostring(msg.headers) .. tostring({}) } end",
    );
    const first = keyOf(script);
    rig.answer("for i = 1, 100 do local t = {} end");
    assert.equal(keyOf(script), first);
  });

  test("of one script do not see those of another", () => {
    const one = rig.compiled("on_enqueue", "function on_enqueue() secret = 'one' return { fairness_key = 'x' } end");
    const two = rig.compiled("on_enqueue", "function on_enqueue() return { fairness_key = tostring(secret) } end");
    keyOf(one);
    assert.equal(keyOf(two), "nil");
  });

  test("may be of both hooks in turn", () => {
    const failing = rig.compiled("on_failure", "function on_failure(msg) return { action = 'dlq' } end");
    for (let i = 0; i < 3; i++) {
      assert.equal(rig.value("msg.headers.a", enqueueCall({ a: String(i) })), String(i));
      const result = rig.engine.onFailure(failing, failureCall());
      assert.ok(result.ok);
      assert.equal(result.decision.action, "dlq");
    }
  });

  test("of engines in one thread do not mix their worlds", () => {
    const other = new ScriptRig({ ...stillWorld({ name: "other" }), random: () => 0.25 });
    const mine = new ScriptRig(stillWorld({ name: "mine" }));
    assert.equal(mine.value("fila.get('name') .. math.random()"), "mine0.5");
    assert.equal(other.value("fila.get('name') .. math.random()"), "other0.25");
    assert.equal(mine.value("fila.get('name') .. math.random()"), "mine0.5");
  });
});

describe("what all calls share", () => {
  test("cannot be changed", () => {
    for (const body of [
      "string.upper = nil",
      "fila.mine = 1",
      "table.insert(math, 1)",
      "setmetatable(utf8, {})",
      "for k in pairs(string) do string[k] = nil end",
    ])
      assert.match(rig.failure(body).message, /attempt to change a read-only table/, body);
    assert.match(rig.failure("setmetatable(_ENV, {})").message, /cannot change a protected metatable/);
    assert.equal(rig.value("tostring(getmetatable('')) .. tostring(getmetatable(_ENV))"), "falsefalse");
    assert.equal(rig.value("('abc'):upper()"), "ABC");
  });

  test("may be shadowed for one call", () => {
    assert.equal(rig.value("string.x", enqueueCall(), "string = { x = 5 }"), "5");
    assert.equal(rig.value("type(string.upper)"), "function");
  });

  test("are not the bytes of the message: a script cannot change them", () => {
    const call = enqueueCall({ tenant: "acme" });
    rig.answer("msg.headers.tenant = nil msg.headers = {}", call);
    assert.equal(rig.value("msg.headers.tenant", call), "acme");
  });
});

describe("after a failure of any kind", () => {
  const good = rig.compiled("on_enqueue", "function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end");
  const failing: Readonly<Record<string, string>> = {
    "deep in the stack": "local function f() return 1 + f() end f()",
    "in a metamethod": "return setmetatable({}, { __add = function() error('x') end }) + 1",
    "in a sort": "table.sort({ 3, 2, 1 }, function() error('x') end)",
    "in a replacement": "('abc'):gsub('.', function() error('x') end)",
    "in a handler": "xpcall(error, function() while true do end end)",
    "between calls of the library": "pcall(string.rep, 'x', 1e9)",
    "of the configuration's reader": "fila.get('throws')",
  };
  const world = {
    ...stillWorld(),
    config: (key: string): string | undefined => {
      if (key === "throws") throw new Error("no configuration");
      return undefined;
    },
  };

  for (const [name, body] of Object.entries(failing)) {
    test(name, () => {
      const own = new ScriptRig(world);
      const mine = own.compiled(
        "on_enqueue",
        "function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end",
      );
      for (let i = 0; i < 3; i++) {
        own.failure(body);
        const result = own.engine.onEnqueue(mine, enqueueCall({ tenant: "acme" }));
        assert.ok(result.ok);
        assert.equal(result.decision.fairnessKey, "acme");
      }
    });
  }

  test("no thread is left behind", () => {
    const own = new ScriptRig(world, { steps: 1_000 });
    const mine = own.compiled(
      "on_enqueue",
      "function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end",
    );
    // What a thread keeps of the calls that it was in would fill it by then.
    for (let i = 0; i < 500; i++) own.failure("pcall(function() pcall(function() while true do end end) end)");
    const result = own.engine.onEnqueue(mine, enqueueCall({ tenant: "acme" }));
    assert.ok(result.ok);
    assert.equal(result.decision.fairnessKey, "acme");
  });

  test("an overflow of JavaScript's own stack is one, too", () => {
    // The engine is called where little of the stack is left, as a broker with deep calls might.
    function deeper(): string[] {
      let outcome: string[];
      try {
        outcome = deeper();
      } catch {
        outcome = [];
      }
      if (outcome.length >= 50) return outcome;
      try {
        const result = rig.enqueue(
          "function on_enqueue(msg) local function f(s) return (s:gsub('.', f)) end return f('x') end",
        );
        return [...outcome, result.ok ? "ok" : `${result.failure.reason}: ${result.failure.message}`];
      } catch {
        // Not even the call itself had room: the caller's affair.
        return outcome;
      }
    }
    const outcomes = deeper();
    assert.ok(outcomes.includes("error: stack overflow"), outcomes.join("\n"));
    assert.equal(keyOf(good, { tenant: "acme" }), "acme");
  });
});
