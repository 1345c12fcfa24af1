import assert from "node:assert/strict";
import test from "node:test";
import { FilaError } from "@fila/sdk";
import { reportOf } from "./command-failure.ts";

test("a failure that has a way out on the command line names it", () => {
  assert.deepEqual(reportOf(new FilaError("failed_precondition", "CONFIG_COMPACTED", "they are gone")), {
    code: "failed_precondition",
    reason: "CONFIG_COMPACTED",
    message: 'they are gone; "fila config list" shows what holds, and "fila config watch" what changes from now on',
    exitCode: 6,
  });
  assert.equal(reportOf(new FilaError("internal", "", "it broke")).message, "it broke");
});
