import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";
import { reasons } from "../core/errors.ts";
import { transportReasons } from "./wire/failure-wire.ts";

it("docs/errors.md has every reason with its code, and no other", () => {
  const text = readFileSync(path.join(import.meta.dirname, "../../../docs/errors.md"), "utf8");
  const [table = ""] = text.split("## Reasons of the SDK");
  const documented = [...table.matchAll(/^\| `([A-Z_]+)` \| ([A-Z_]+) \| (.+) \| (.+) \|$/gm)].map(
    ([, reason, code]) => `${reason}: ${code?.toLowerCase()}`,
  );
  const known = Object.entries({ ...reasons, ...transportReasons }).map(([reason, code]) => `${reason}: ${code}`);
  assert.deepEqual(documented.sort(), known.sort());
});
