import assert from "node:assert/strict";
import { it } from "node:test";
import { createLog } from "../telemetry/log.ts";
import { RareLog } from "./rare-log.ts";

it("writes one line a second, and how many it left out", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lines: string[] = [];
  const log = new RareLog(createLog({ write: (line) => lines.push(line), readable: true }));
  const expect = (...patterns: RegExp[]): void => {
    assert.equal(lines.length, patterns.length, lines.join(""));
    for (const [at, pattern] of patterns.entries()) assert.match(lines[at]!, pattern);
    lines.length = 0;
  };

  log.warn("garbage", { from: "a" });
  expect(/garbage.*from=a/);
  for (let i = 0; i < 5; i++) log.warn("garbage", { from: `b${i}` });
  log.error("broken", new Error("why"));
  expect();
  t.mock.timers.tick(999);
  expect();
  t.mock.timers.tick(1);
  expect(/broken[^]*left_out=5/);

  log.warn("garbage", { from: "c" });
  expect();
  t.mock.timers.tick(1000);
  expect(/garbage.*from=c(?!.*left_out)/);
  t.mock.timers.tick(1000);
  t.mock.timers.tick(60_000);
  expect();
  log.warn("garbage", { from: "d" });
  expect(/from=d/);
});
