// The runner by itself, over an engine whose calls take as long as the source says, by a clock of its own.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TrialResult } from "./port.ts";
import { JobBatch } from "./job-batch.ts";
import { type FromRunner, type Results, type SlotDefinition, column, columns, marks, statuses } from "./protocol.ts";
import { Runner } from "./runner.ts";
import {
  type CompiledScript,
  type ScriptEngine,
  type ScriptFailure,
  type ScriptWorld,
  defaultBudgets,
} from "./script-engine.ts";
import { messageTo } from "./testing/hook-rig.ts";

const usage = { steps: 1, bytes: 1 };
const nothing = {
  fairnessKey: undefined,
  weight: undefined,
  cost: undefined,
  throttleKeys: undefined,
  delayMs: undefined,
};

interface Timed extends CompiledScript {
  readonly source: string;
}

/** A source is "<milliseconds>" or "fails", or "reads key", which does not compile without it. */
class Rig implements ScriptEngine {
  mono = 0;
  /** Sources, in the order of their calls. */
  readonly called: string[] = [];
  readonly told: Results[] = [];
  readonly tried: TrialResult[] = [];
  readonly runner: Runner;
  #nextJob = 1;
  #world: ScriptWorld | undefined;

  constructor() {
    const tell = (message: FromRunner): void => {
      if (message.type === "results") this.told.push(message);
      else if (message.type === "tried") this.tried.push(message.result);
    };
    const host = { tell, begins: () => undefined, wall: () => 5, mono: () => this.mono, random: () => 0 };
    const engine = (world: ScriptWorld): ScriptEngine => {
      this.#world = world;
      return this;
    };
    this.runner = new Runner(engine, defaultBudgets, host);
  }

  compile(hook: "on_enqueue" | "on_failure", source: string): Timed | ScriptFailure {
    if (source === "reads key" && this.#world?.config("key") === undefined) {
      return { reason: "error", line: 1, message: "no key" };
    }
    return { hook, source };
  }

  onEnqueue(script: CompiledScript) {
    const { source } = script as Timed;
    this.called.push(source);
    if (source === "fails") {
      return { ok: false, failure: { reason: "error", line: 1, message: "no" }, usage } as const;
    }
    this.mono += Number(source) || 0;
    const decision = { ...nothing, fairnessKey: this.#world?.config("key") };
    return { ok: true, decision, warnings: [], usage } as const;
  }

  onFailure(): never {
    throw new Error("nobody asks");
  }

  define(slot: number, source: string, more: Partial<SlotDefinition> = {}): void {
    const definition = {
      ...{
        slot,
        version: 1,
        queue: `q${slot}`,
        hook: "on_enqueue" as const,
        source,
        fallback: undefined,
        failures: 0,
        threshold: 3,
        cooldownMs: 10_000,
      },
      ...more,
    };
    this.runner.receive({ type: "slot", definition });
  }

  post(slot: number, count: number, mark: number = marks.call): void {
    const batch = new JobBatch();
    for (let at = 0; at < count; at += 1) {
      batch.add(this.#nextJob, slot, mark, messageTo("q"), -1);
      this.#nextJob += 1;
    }
    this.runner.receive(batch.take(5));
  }

  run(): void {
    while (this.runner.slice());
  }

  /** A column of all results so far. */
  column(name: keyof typeof column): number[] {
    return this.told.flatMap(({ rows }) =>
      Array.from({ length: rows.length / columns }, (_, at) => rows[at * columns + column[name]] as number),
    );
  }
}

describe("scripts that wait for each other", () => {
  test("are served in turn, up to 10 ms each, and a long call is a turn of its own", () => {
    const rig = new Rig();
    rig.define(1, "3");
    rig.define(2, "1");
    rig.define(3, "40");
    rig.post(1, 8);
    rig.post(2, 15);
    rig.post(3, 2);
    rig.run();
    const turns = rig.called
      .join(" ")
      .replaceAll(/(\d+)((?: \1)*)(?= |$)/g, (run) => `${run.split(" ").length}x${run.split(" ")[0]}`);
    assert.equal(turns, "3x3 10x1 1x40 3x3 5x1 1x40 2x3");
    assert.equal(rig.column("job").length, 25);
  });

  test("one that is fed all the time does not come before others that came while it was served", () => {
    const rig = new Rig();
    rig.define(1, "5");
    rig.define(2, "0");
    rig.post(1, 4);
    rig.runner.slice();
    rig.post(1, 4);
    rig.post(2, 1);
    rig.runner.slice();
    assert.deepEqual(rig.called, ["5", "5", "0"]);
  });

  test("what is done is told before a long call begins", () => {
    const rig = new Rig();
    rig.define(1, "5");
    rig.define(2, "0");
    rig.post(1, 4);
    rig.post(2, 1);
    rig.runner.slice();
    rig.runner.slice();
    rig.runner.slice();
    assert.deepEqual(rig.column("job").slice(0, 3), [1, 2, 5]);
    assert.deepEqual(rig.told.map(({ rows }) => rows.length / columns).slice(0, 2), [2, 1]);
  });
});

describe("a script that fails", () => {
  const { called, failed, skipped } = statuses;

  test("is not called again after its third failure in a row, but by a probe", () => {
    const rig = new Rig();
    rig.define(1, "fails");
    rig.post(1, 5);
    rig.run();
    assert.deepEqual(rig.column("status"), [failed, failed, failed, skipped, skipped]);
    rig.post(1, 1, marks.probe);
    rig.post(1, 1);
    rig.run();
    assert.deepEqual(rig.column("status").slice(5), [failed, skipped]);
    assert.equal(rig.called.length, 4);
  });

  test("begins with the failures that it had with the runner before", () => {
    const rig = new Rig();
    rig.define(1, "fails", { failures: 2 });
    rig.post(1, 2);
    rig.run();
    assert.deepEqual(rig.column("status"), [failed, skipped]);
  });

  test("because of what it found when it was compiled is compiled again, and so is its fallback", () => {
    for (const [source, fallback] of [
      ["reads key", undefined],
      ["fails", "reads key"],
    ] as const) {
      const rig = new Rig();
      rig.define(1, source, { fallback });
      rig.post(1, 1);
      rig.run();
      rig.runner.receive({ type: "set", key: "key", value: "k" });
      rig.post(1, 1);
      rig.run();
      assert.deepEqual(rig.column("decided"), [0, 1]);
    }
  });

  test("leaves the decision to its fallback, also when it is not called", () => {
    const rig = new Rig();
    rig.define(1, "fails", { fallback: "1" });
    rig.runner.receive({ type: "config", entries: new Map([["key", "k"]]) });
    rig.post(1, 4);
    rig.post(1, 1, marks.skip);
    rig.run();
    assert.deepEqual(rig.column("status"), [failed, failed, failed, skipped, skipped]);
    assert.deepEqual(rig.column("decided"), [1, 1, 1, 1, 1]);
    assert.deepEqual(rig.told.at(-1)?.strings, ["k"]);
  });

  test("lets a fallback that fails as often alone for the same time", () => {
    const rig = new Rig();
    rig.define(1, "fails", { fallback: "fails", failures: 3 });
    for (const [mono, calls] of [
      [0, 3],
      [9_999, 3],
      [10_000, 4],
      [19_999, 4],
      [20_000, 5],
    ] as const) {
      rig.mono = mono;
      rig.post(1, 4);
      rig.run();
      assert.equal(rig.called.length, calls);
    }
  });

  test("keeps the failures that it has not told yet when its mode changes", () => {
    const rig = new Rig();
    rig.define(1, "fails");
    rig.post(1, 3);
    rig.run();
    rig.define(1, "fails", { fallback: "0" });
    rig.post(1, 1);
    rig.run();
    assert.deepEqual(rig.column("status"), [failed, failed, failed, skipped]);
  });

  test("whose queue is gone owes no answer: what it had not begun, and what comes late", () => {
    const rig = new Rig();
    rig.define(1, "0");
    rig.post(1, 2);
    rig.runner.receive({ type: "drop", slot: 1 });
    rig.post(1, 1);
    rig.run();
    assert.deepEqual(rig.called, []);
    assert.deepEqual(rig.column("job"), [1, 2, 3]);
    assert.deepEqual(rig.column("status"), [skipped, skipped, skipped]);
  });

  test("and an engine that fails on a trial: the trial has failed", () => {
    const rig = new Rig();
    rig.runner.receive({
      type: "try",
      job: 1,
      trial: {
        ...{ hook: "on_failure", source: "0", queue: "q", headers: [], payload: new Uint8Array(), seePayload: false },
        ...{ config: new Map(), attempts: 1, error: "", requestedDelayMs: undefined, doNotRetry: false },
      },
    });
    const called = rig.tried[0]?.result.called;
    assert.match(called?.ok === false ? called.failure.message : "", /the engine failed: Error: nobody asks/);
  });

  test("a new version begins anew, with what waits, and results name it", () => {
    const rig = new Rig();
    rig.define(1, "fails");
    rig.post(1, 3);
    rig.run();
    rig.post(1, 2);
    rig.define(1, "0", { version: 2 });
    rig.run();
    assert.deepEqual(rig.column("status"), [failed, failed, failed, called, called]);
    assert.deepEqual(rig.column("version"), [1, 1, 1, 2, 2]);
  });
});
