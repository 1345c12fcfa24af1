// The contract with the authors of scripts, field by field.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { maxThrottleKeys } from "../../rpc/wire/limits.ts";
import { maxScriptBytes } from "../script-engine.ts";
import { answerLimits } from "./decisions.ts";
import { ScriptRig, enqueueCall, failureCall, stillTime, stillWorld } from "./testing/script-rig.ts";

const year = 365 * 86_400_000;
const rig = new ScriptRig();
const nothing = {
  fairnessKey: undefined,
  weight: undefined,
  cost: undefined,
  throttleKeys: undefined,
  delayMs: undefined,
};

describe("what on_enqueue sees", () => {
  test("headers, of equal names the last", () => {
    const headers = [
      ["tenant", "one"],
      ["größe", "4"],
      ["tenant", "two"],
    ].map(([name, value]) => [Buffer.from(name!), Buffer.from(value!)] as const);
    const call = enqueueCall({}, { headers });
    assert.equal(rig.value("msg.headers.tenant .. msg.headers['größe']", call), "two4");
    assert.equal(rig.value("msg.headers.missing", call), "nil");
  });

  test("queue, size, time, and the payload only when it is given", () => {
    assert.equal(rig.value("msg.queue", enqueueCall({}, { queue: "grüße" })), "grüße");
    assert.equal(rig.value("msg.queue"), "orders");
    assert.equal(rig.value("msg.payload_size"), "1024");
    assert.equal(rig.value("math.type(msg.payload_size)", enqueueCall({}, { payloadSize: 2 ** 31 })), "float");
    assert.equal(rig.value("string.format('%.0f', msg.enqueued_at)"), String(stillTime));
    assert.equal(rig.value("msg.payload"), "nil");
    const payload = new Uint8Array([0, 255, 10]);
    assert.equal(rig.value("#msg.payload .. ':' .. msg.payload:byte(2)", enqueueCall({}, { payload })), "3:255");
  });

  test("no id: the message has none yet", () => {
    assert.equal(rig.value("msg.id"), "nil");
  });
});

describe("what on_failure sees", () => {
  test("every field", () => {
    const call = failureCall({ attempts: 3, requestedDelayMs: 250, doNotRetry: true });
    const body = `
      local seen = table.concat({ msg.queue, msg.id, msg.attempts, msg.error, msg.requested_delay_ms }, "|")
      if seen == "orders|0123|3|timed out|250" and msg.do_not_retry == true then return { action = "dlq" } end`;
    assert.equal(rig.failed(body, call).decision.action, "dlq");
    const none = "if msg.requested_delay_ms == nil and msg.do_not_retry == false then return { action = 'retry' } end";
    assert.equal(rig.failed(none).decision.action, "retry");
  });

  test("headers", () => {
    const call = failureCall({ headers: enqueueCall({ tier: "gold" }).headers });
    assert.equal(
      rig.failed("return { action = msg.headers.tier == 'gold' and 'retry' or 'dlq' }", call).decision.action,
      "retry",
    );
  });
});

describe("what on_enqueue may answer", () => {
  test("every field", () => {
    const { decision, warnings } = rig.answer(
      "return { fairness_key = 'acme', weight = 3.0, cost = 1000, throttle_keys = { 'b', 'a', 'b' }, delay_ms = 1500.9 }",
    );
    assert.deepEqual(decision, {
      fairnessKey: "acme",
      weight: 3,
      cost: 1_000,
      throttleKeys: ["a", "b"],
      delayMs: 1_500,
    });
    assert.deepEqual(warnings, []);
  });

  test("nothing, or nothing that is a table", () => {
    for (const body of ["", "return", "return nil", "return {}"]) {
      const { decision, warnings } = rig.answer(body);
      assert.deepEqual([decision, warnings], [nothing, []], body);
    }
    for (const [answer, type] of [
      ["1", "number"],
      ["'x'", "string"],
      ["true", "boolean"],
      ["tostring", "function"],
    ]) {
      const { decision, warnings } = rig.answer(`return ${answer}`);
      assert.deepEqual([decision, warnings], [nothing, [`the script answered a ${type}, not a table`]]);
    }
  });

  const invalid = (field: string, values: readonly string[]): void => {
    for (const value of values) {
      const { decision, warnings } = rig.answer(`return { cost = 7, ${field} = ${value} }`);
      assert.deepEqual(decision, { ...nothing, cost: 7 }, value);
      assert.equal(warnings.length, 1, value);
      assert.match(warnings[0]!, new RegExp(`^${field} is ignored: it must be .*, and it is `));
    }
  };

  test("fairness keys have 1 to 256 bytes of UTF-8", () => {
    assert.equal(rig.answer("return { fairness_key = ('ä'):rep(128) }").decision.fairnessKey, "ä".repeat(128));
    invalid("fairness_key", ["''", "('x'):rep(257)", "'\\xff'", "'\\xed\\xa0\\x80'", "12", "{}", "true", "tostring"]);
  });

  test("weights are whole numbers of 1 to 1,000", () => {
    for (const [weight, meant] of [
      ["1", 1],
      ["1000.0", 1_000],
      ["2^3", 8],
    ] as const)
      assert.equal(rig.answer(`return { weight = ${weight} }`).decision.weight, meant);
    invalid("weight", ["0", "1001", "-1", "1.5", "0/0", "1/0", "'3'", "{}", "math.mininteger"]);
  });

  test("costs are whole numbers of 1 to 1,000", () => {
    const { decision, warnings } = rig.answer("return { cost = 0 }");
    assert.deepEqual([decision, warnings.length], [nothing, 1]);
    assert.equal(rig.answer("return { cost = 1.0 }").decision.cost, 1);
  });

  test("throttle keys are a list of up to 16 strings of 1 to 247 bytes", () => {
    const keys = (body: string): readonly string[] | undefined =>
      rig.answer(`local t = {} ${body} return { throttle_keys = t }`).decision.throttleKeys;
    assert.deepEqual(keys(""), []);
    assert.equal(keys("for i = 1, 16 do t[i] = 'k' .. i end")?.length, 16);
    assert.deepEqual(keys("for i = 1, 100 do t[i] = 'k' .. i % 2 end"), ["k0", "k1"]);
    // As the request's: in the order of UTF-16.
    assert.deepEqual(keys("t = { '\\u{ffff}', 'b', 'a', '\\u{10000}' }"), ["a", "b", "\u{10000}", "\uffff"]);
    assert.equal(keys("t = { ('x'):rep(247) }")?.[0]?.length, 247);
    invalid("throttle_keys", [
      "'a'",
      "{ 'a', 1 }",
      "{ '' }",
      "{ ('x'):rep(248) }",
      "{ '\\xff' }",
      "{ nil, 'a' }",
      "{ 'a', extra = 'b' }",
      "{ key = 'a' }",
      "{ { 'a' } }",
      "table.pack('1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17')",
    ]);
  });

  test("delays are floored, and clamped to a year", () => {
    for (const [delay, meant] of [
      ["0", 0],
      ["-5", 0],
      ["0.9", 0],
      ["1e300", year],
      ["1/0", year],
      ["-1/0", 0],
    ] as const)
      assert.equal(rig.answer(`return { delay_ms = ${delay} }`).decision.delayMs, meant, delay);
    invalid("delay_ms", ["0/0", "'5'", "{}", "true"]);
  });

  test("the limits are those of the request", () => {
    assert.equal(answerLimits.throttleKeys, maxThrottleKeys);
  });

  test("fields are read raw: no code of the answer runs", () => {
    const { decision, usage } = rig.answer(
      "return setmetatable({}, { __index = function() while true do end end, __len = function() while true do end end })",
    );
    assert.deepEqual(decision, nothing);
    assert.ok(usage.steps < 100);
  });
});

describe("what on_failure may answer", () => {
  test("an action and a delay", () => {
    assert.deepEqual(rig.failed("return { action = 'retry', delay_ms = 12.5 }").decision, {
      action: "retry",
      delayMs: 12,
    });
    assert.deepEqual(rig.failed("return { action = 'dlq' }").decision, { action: "dlq", delayMs: undefined });
    assert.deepEqual(rig.failed("").decision, { action: undefined, delayMs: undefined });
  });

  test("other actions warn", () => {
    for (const action of ["'RETRY'", "'drop'", "1", "true"]) {
      const { decision, warnings } = rig.failed(`return { action = ${action} }`);
      assert.equal(decision.action, undefined);
      assert.match(warnings.join(), /^action is ignored: it must be "retry" or "dlq", and it is /);
    }
  });
});

describe("what scripts find", () => {
  test("fila.get reads the configuration at each call", () => {
    const config: Record<string, string> = { limit: "5", grüße: "ä" };
    const own = new ScriptRig(stillWorld(config));
    const script = own.compiled("on_enqueue", "function on_enqueue() return { fairness_key = fila.get('limit') } end");
    const key = (): string | undefined => {
      const result = own.engine.onEnqueue(script, enqueueCall());
      return result.ok ? result.decision.fairnessKey : undefined;
    };
    assert.equal(key(), "5");
    config["limit"] = "6";
    assert.equal(key(), "6");
    assert.equal(own.value("fila.get('grüße')"), "ä");
    assert.equal(own.value("fila.get('missing')"), "nil");
    assert.equal(own.value("fila.get('\\xff')"), "nil");
    assert.match(own.failure("fila.get()").message, /bad argument #1 to 'get' \(string expected, got no value\)/);
  });

  test("fila.hash is MurmurHash3 without its lowest bit", () => {
    // Vectors of the reference implementation, x86, 32 bits, seed 0.
    for (const [text, hash] of [
      ["", 0],
      ["test", 0xba6bd213],
      ["Hello, world!", 0xc0363e43],
      ["The quick brown fox jumps over the lazy dog", 0x2e4ff723],
    ] as const)
      assert.equal(rig.value(`fila.hash('${text}')`), String(hash >>> 1), text);
    assert.equal(rig.value("math.type(fila.hash('x'))"), "integer");
  });

  test("fila.now is the wall clock in milliseconds", () => {
    assert.equal(rig.value("string.format('%.0f', fila.now())"), String(stillTime));
  });

  test("math.random asks the world", () => {
    assert.equal(rig.value("math.random(10) .. ' ' .. math.random()"), "6 0.5");
  });

  test("the libraries, and nothing that reaches out of them", () => {
    const names = (of: string): string | undefined =>
      rig.value(
        "table.concat(names, ' ')",
        enqueueCall(),
        `local names = {} for k in pairs(${of}) do names[#names + 1] = k end table.sort(names)`,
      );
    assert.equal(names("string"), "byte char find format gmatch gsub len lower match rep reverse sub upper");
    assert.equal(names("table"), "concat insert move pack remove sort unpack");
    assert.equal(names("utf8"), "char charpattern codepoint codes len offset");
    assert.equal(names("fila"), "get hash now parse_json");
    assert.equal(
      names("math"),
      "abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi rad random sin sqrt tan tointeger type ult",
    );
    const gone =
      "load loadfile dofile loadstring require print collectgarbage rawset _G coroutine os io debug package js fengari bit32 setfenv";
    for (const name of gone.split(" ")) assert.equal(rig.value(name), "nil", name);
    assert.equal(rig.value("_VERSION"), "Lua 5.3");
  });
});

describe("compiling", () => {
  test("tells the line of what does not parse", () => {
    assert.deepEqual(rig.refused("local a = 1\n\nfunction on_enqueue(msg) return } end"), {
      reason: "syntax",
      line: 3,
      message: "unexpected symbol near '}'",
    });
  });

  test("runs the chunk once, which must define the function", () => {
    assert.deepEqual(rig.refused("function other() end"), {
      reason: "syntax",
      line: 0,
      message: "the script defines no function on_enqueue(msg)",
    });
    assert.deepEqual(rig.refused("on_failure = 5", "on_failure").reason, "syntax");
    assert.deepEqual(rig.refused("\nerror('not today')"), { reason: "error", line: 2, message: "not today" });
    assert.equal(rig.refused("while true do end").reason, "instructions");
  });

  test("takes sources of 64 KiB", () => {
    const longest = "function on_enqueue() end".padEnd(maxScriptBytes, " ");
    rig.compiled("on_enqueue", longest);
    assert.match(rig.refused(`${longest} `).message, /65537 bytes/);
    assert.equal(rig.refused("\u001bLua").reason, "syntax");
  });

  test("a script runs only in the engine's own form", () => {
    assert.throws(() => rig.engine.onEnqueue({ hook: "on_enqueue" }, enqueueCall()), TypeError);
  });
});

describe("errors", () => {
  test("tell line and message", () => {
    const result = rig.enqueue("function on_enqueue(msg)\n  local t = nil\n  return t.x\nend");
    assert.ok(!result.ok);
    assert.deepEqual(result.failure, {
      reason: "error",
      line: 3,
      message: "attempt to index a nil value (local 't')",
    });
  });

  test("that are no strings tell the line too", () => {
    const result = rig.enqueue("function on_enqueue(msg)\n\n  error({ code = 1 })\nend");
    assert.ok(!result.ok);
    assert.deepEqual(result.failure, { reason: "error", line: 3, message: "the error is a table value" });
    assert.equal(rig.failure("error(12.5)").message, "12.5");
    assert.equal(rig.failure("error()").message, "the error is a nil value");
  });

  test("have a line that a script may have, whatever they say", () => {
    for (const digits of ["99999999999999999999999999", "4294967296", "100000"]) {
      const result = rig.enqueue(`function on_enqueue(msg)\n  error('script:${digits}: x', 0)\nend`);
      assert.ok(!result.ok);
      assert.deepEqual(result.failure, { reason: "error", line: 2, message: `script:${digits}: x` });
    }
  });

  test("have their control characters escaped, and are cut to 512 bytes", () => {
    assert.equal(
      rig.failure("error('a\\n\\27[31mb\\0\\xff\\u{202e}ä', 0)").message,
      "a\\n\\x1b[31mb\\x00\\xff\\u{202e}ä",
    );
    assert.equal(rig.failure("error('\\u{200b}\\u{e0001}\\u{ad}', 0)").message, "\\u{200b}\\u{e0001}\\xad");
    const long = rig.failure("error(('ä'):rep(400), 0)").message;
    assert.equal(long, `${"ä".repeat(254)}...`);
    assert.ok(Buffer.byteLength(long) <= 512);
  });

  test("of budgets tell the line that was running", () => {
    const result = rig.enqueue("function on_enqueue(msg)\n  local n = 0\n  while true do\n    n = n + 1\n  end\nend");
    assert.ok(!result.ok);
    assert.equal(result.failure.reason, "instructions");
    assert.ok(result.failure.line >= 3 && result.failure.line <= 4);
    assert.equal(result.usage.steps, 100_000);
  });
});
