import assert from "node:assert/strict";
import { test } from "node:test";
import { runCrashImages } from "./crash-images.ts";

// The full run (1,000 and more) is the program: see crash-images.ts.
test("no crash image loses what was acknowledged, or is refused", async () => {
  const report = await runCrashImages(90, 7);
  for (const met of ["kill", "power", "torn", "table", "two logs", "log cut"]) {
    assert.ok((report.features[met] ?? 0) > 0, `no image with: ${met} (${JSON.stringify(report.features)})`);
  }
});
