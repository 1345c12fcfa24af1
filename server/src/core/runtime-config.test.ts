import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeConfig, keptConfigChanges } from "./runtime-config.ts";

test("every change has the next revision; what changes nothing has none", () => {
  const config = new RuntimeConfig();
  assert.deepEqual(config.set("a", "1"), { revision: 1, key: "a", value: "1" });
  assert.equal(config.set("a", "1"), undefined);
  assert.deepEqual(config.set("a", ""), { revision: 2, key: "a", value: "" });
  assert.equal(config.set("b", ""), undefined);
  assert.equal(config.values.size, 0);
  assert.equal(config.revision, 2);
});

test("a watch gets every later change once and in order, or is told that some are gone", () => {
  const config = new RuntimeConfig();
  for (let n = 1; n <= keptConfigChanges + 5; n += 1) config.set("k", String(n));
  const revisions = (from: number, limit: number): unknown => {
    const changes = config.changesAfter(from, limit);
    return "reason" in changes ? changes.reason : changes.map(({ revision }) => revision);
  };
  assert.deepEqual(revisions(config.revision, 10), []);
  assert.deepEqual(
    revisions(config.revision - 3, 10),
    [1, 2, 3].map((n) => config.revision - 3 + n),
  );
  assert.deepEqual(revisions(5, 2), [6, 7]);
  assert.equal(revisions(4, 2), "CONFIG_COMPACTED");
  assert.equal(revisions(config.revision + 1, 1), "INVALID_FIELD");
});

test("a list by prefix, page by page, with the exact number of all", () => {
  const config = new RuntimeConfig();
  for (const key of ["throttle.b", "throttle.a", "other", "throttle.c"]) config.set(key, "v");
  assert.deepEqual(config.list("throttle.", "", 2), {
    entries: [
      ["throttle.a", "v"],
      ["throttle.b", "v"],
    ],
    total: 3,
    more: true,
  });
  assert.deepEqual(config.list("throttle.", "throttle.b", 2).entries, [["throttle.c", "v"]]);
});
