// Crash images of the whole broker, in short; the full run is the program test/crash/images.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runImages } from "../crash/images.ts";

test("no crash image of the broker loses, alters or repeats what was acknowledged", async (t) => {
  const count = 60;
  const report = await runImages(count, 11);
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.images, count);
  // A run that never met these proves nothing.
  for (const met of ["kill", "power", "torn", "table"])
    assert.ok((report.features[met] ?? 0) > 0, `no image with: ${met}`);
  const { acknowledged, messages, tokensSettled, leasesTakenUp, stored } = report;
  const { slices, moved, pages } = report.traces;
  for (const [what, times] of Object.entries({
    messages,
    tokensSettled,
    leasesTakenUp,
    slices,
    moved,
    pages,
    ...stored,
  })) {
    assert.ok(times > 0, `no ${what}`);
  }
  assert.ok(acknowledged > count / 2);
  assert.equal(Object.keys(report.operations).length, 12, "every operation was done");
});
