// The main job under kill -9, in short; the full run is the program test/crash/kills.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runKills } from "../crash/kills.ts";
import { skewedLines } from "./access-lines.ts";

test("killed in the middle of commits, the broker keeps every promise", async (t) => {
  const kills = 4;
  const report = await runKills(t, { lines: skewedLines(3_000, 300, 7), kills, seed: 7 });
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual(report.breaches, []);
  assert.equal(report.acknowledged, report.lines);
  assert.equal(report.killsWithCommitAndLease, kills);
  // A run in which this did not happen proves nothing.
  const { settledAfterKill, adopted, nacks, deadLetters, releases } = report.workers;
  const { redriven, cancelled, purges, purged, configured } = report.operator;
  const all = {
    settledAfterKill,
    adopted,
    nacks,
    deadLetters,
    releases,
    redriven,
    cancelled,
    purges,
    purged,
    configured,
  };
  for (const [what, count] of Object.entries(all)) {
    assert.ok(count > 0, `no ${what}`);
  }
  assert.ok(report.redeliveries.withOneAttemptMore > 0 && report.highestAttempt > 0);
});
