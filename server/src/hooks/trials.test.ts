// The runner of checks and trials: how much waits for it, and when it is let go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultBudgets } from "./script-engine.ts";
import type { RunnerEvents, RunnerLink } from "./runner-link.ts";
import { Trials } from "./trials.ts";

/** Trials whose runner answers when the test says so. */
class Rig {
  readonly trials: Trials;
  readonly idle: (() => void)[] = [];
  readonly posted: number[] = [];
  events: RunnerEvents | undefined;
  stopped = false;

  constructor() {
    const after = (_ms: number, fire: () => void): (() => void) => {
      this.idle.push(fire);
      return () => undefined;
    };
    const clock = { mono: () => 0, wall: () => 0, after };
    const openTrialLink = (events: RunnerEvents): RunnerLink => this.#open(events);
    this.trials = new Trials({ openTrialLink, clock, budgets: defaultBudgets }, () => new Map());
  }

  #open(events: RunnerEvents): RunnerLink {
    this.events = events;
    return {
      post: (message) => {
        if (message.type === "check") this.posted.push(message.job);
      },
      stop: () => {
        this.stopped = true;
        return Promise.resolve();
      },
    };
  }
}

test("a runner that nobody asks is let go after a while, also when the last question was lost", async () => {
  const rig = new Rig();
  const checked = rig.trials.check("on_enqueue", "while true do end");
  rig.events?.lost(1, "no progress");
  assert.deepEqual(await checked, { reason: "watchdog", line: 0, message: "no progress" });
  for (const fire of rig.idle) fire();
  assert.ok(rig.stopped);
});

for (const { what, source, most } of [
  { what: "1,000 questions", source: "x", most: 1_000 },
  { what: "16 MiB of them", source: "-".repeat(64 << 10), most: 256 },
]) {
  test(`${what} may wait; with each that is answered there is room for another one`, async () => {
    const { trials, events, posted } = filled(source, most);
    assert.equal(await trials.check("on_enqueue", source), "overloaded");
    const [first, second] = posted;
    events?.told({ type: "checked", job: first!, failure: undefined });
    void trials.check("on_enqueue", source);
    assert.equal(posted.at(-1), most + 1);
    assert.equal(await trials.check("on_enqueue", source), "overloaded");
    posted.length = 0;
    events?.lost(second!, "no progress");
    assert.equal(posted.length, most - 1);
    void trials.check("on_enqueue", source);
    assert.equal(posted.length, most);
    assert.equal(await trials.check("on_enqueue", source), "overloaded");
  });
}

function filled(source: string, questions: number): Rig {
  const rig = new Rig();
  for (let n = 0; n < questions; n += 1) void rig.trials.check("on_enqueue", source);
  assert.equal(rig.posted.length, questions);
  return rig;
}
