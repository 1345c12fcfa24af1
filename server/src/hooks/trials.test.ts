// The runner of checks and trials: when it is let go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultBudgets } from "./script-engine.ts";
import type { RunnerEvents, RunnerLink } from "./runner-link.ts";
import { Trials } from "./trials.ts";

test("a runner that nobody asks is let go after a while, also when the last question was lost", async () => {
  const idle: (() => void)[] = [];
  const after = (_ms: number, fire: () => void): (() => void) => {
    idle.push(fire);
    return () => undefined;
  };
  let events: RunnerEvents | undefined;
  let stopped = false;
  const stop = (): Promise<void> => {
    stopped = true;
    return Promise.resolve();
  };
  const openTrialLink = (told: RunnerEvents): RunnerLink => {
    events = told;
    return { post: () => undefined, stop };
  };
  const trials = new Trials(
    { openTrialLink, clock: { mono: () => 0, wall: () => 0, after }, budgets: defaultBudgets },
    () => new Map(),
  );
  const checked = trials.check("on_enqueue", "while true do end");
  events?.lost(1, "no progress");
  assert.deepEqual(await checked, { reason: "watchdog", line: 0, message: "no progress" });
  for (const fire of idle) fire();
  assert.ok(stopped);
});
