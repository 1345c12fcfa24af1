// Every Lua script in the documentation is run, with the samples that stand below it: blocks marked `json sample`.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { LuaEngine } from "../../server/src/hooks/engine/lua-engine.ts";
import { enqueueCall, failureCall, headersOf, stillWorld } from "../../server/src/hooks/engine/testing/script-rig.ts";
import type {
  CallResult,
  CompiledScript,
  EnqueueDecision,
  FailureDecision,
  HookName,
} from "../../server/src/hooks/script-engine.ts";

const root = path.join(import.meta.dirname, "../..");

/** The message, what the hook must answer or how it must fail, and how often in a row. */
interface Sample {
  readonly queue?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly config?: Readonly<Record<string, string>>;
  readonly payload?: string;
  readonly enqueued_at?: number;
  readonly attempts?: number;
  readonly error?: string;
  readonly requested_delay_ms?: number;
  readonly do_not_retry?: boolean;
  readonly times?: number;
  /** Exactly these fields, and no warning. */
  readonly answer?: Readonly<Record<string, unknown>>;
  readonly fails?: { readonly reason: string; readonly line: number };
}

interface Script {
  readonly page: string;
  readonly line: number;
  readonly source: string;
  readonly samples: Sample[];
}

function scriptsOf(page: string): Script[] {
  const text = readFileSync(path.join(root, page), "utf8");
  const scripts: Script[] = [];
  for (const { 1: mark, 2: block, index } of text.matchAll(/^```(lua|json sample)\n(.*?)^```$/gms)) {
    if (mark === "lua") {
      scripts.push({ page, line: text.slice(0, index).split("\n").length, source: block!, samples: [] });
    } else {
      const script = scripts.at(-1);
      assert.ok(script !== undefined, `${page}: a sample stands above every script`);
      script.samples.push(JSON.parse(block!) as Sample);
    }
  }
  return scripts;
}

type Call = (
  engine: LuaEngine,
  script: CompiledScript,
  sample: Sample,
) => CallResult<EnqueueDecision | FailureDecision>;

const calls: Readonly<Record<HookName, Call>> = {
  on_enqueue(engine, script, { queue = "orders", headers = {}, payload, enqueued_at: enqueuedAt = 0 }) {
    const bytes = payload === undefined ? undefined : Buffer.from(payload);
    const call = enqueueCall(headers, { queue, payload: bytes, payloadSize: bytes?.length ?? 0, enqueuedAt });
    return engine.onEnqueue(script, call);
  },
  on_failure(engine, script, sample) {
    const { queue = "orders", headers = {}, attempts = 1, error = "", do_not_retry: doNotRetry = false } = sample;
    const requestedDelayMs = sample.requested_delay_ms;
    const call = failureCall({ queue, headers: headersOf(headers), attempts, error, requestedDelayMs, doNotRetry });
    return engine.onFailure(script, call);
  },
};

const fieldNames: Readonly<Record<string, string>> = {
  fairnessKey: "fairness_key",
  throttleKeys: "throttle_keys",
  delayMs: "delay_ms",
};

/** As the script wrote it. */
function answerOf(decision: EnqueueDecision | FailureDecision): Record<string, unknown> {
  const said = Object.entries(decision).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said.map(([name, value]) => [fieldNames[name] ?? name, value]));
}

function check({ source }: Script, sample: Sample): void {
  const hook = source.includes("function on_failure") ? "on_failure" : "on_enqueue";
  const engine = new LuaEngine(stillWorld(sample.config));
  const script = engine.compile(hook, source);
  assert.ok("hook" in script, JSON.stringify(script));
  for (let time = 0; time < (sample.times ?? 1); time++) {
    const result = calls[hook](engine, script, sample);
    if (sample.fails !== undefined) {
      assert.ok(!result.ok, JSON.stringify(result));
      assert.deepEqual({ reason: result.failure.reason, line: result.failure.line }, sample.fails);
    } else {
      assert.ok(result.ok, JSON.stringify(result));
      assert.deepEqual(answerOf(result.decision), sample.answer);
      assert.deepEqual(result.warnings, []);
    }
  }
}

describe("the Lua in the documentation", () => {
  const scripts = globSync(["README.md", "docs/**/*.md"], { cwd: root }).flatMap(scriptsOf);

  test("is there", () => {
    assert.ok(scripts.length >= 6);
  });

  for (const script of scripts) {
    test(`${script.page}:${script.line}`, () => {
      assert.ok(script.samples.length > 0, "has no sample below it");
      for (const sample of script.samples) check(script, sample);
    });
  }
});
