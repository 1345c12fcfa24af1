// A process that dies and comes back from what was written down.
import assert from "node:assert/strict";
import { verify } from "../verify.ts";
import type { CoreDriver } from "./core-driver.ts";
import { durableFacts } from "./durable-ledger.ts";

/** The process dies and comes back after some time, on another monotonic clock. */
export function restarted(driver: CoreDriver, after = 1_000): void {
  driver.wall += after;
  driver.mono = 50;
  const core = driver.newCore();
  driver.durable.restore(core, driver);
  verify(core);
  assert.deepEqual(durableFacts(core), driver.durable.facts(driver.wall));
  driver.restartOn(core);
}
