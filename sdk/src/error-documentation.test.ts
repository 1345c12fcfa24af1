import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";
import { errorCodes } from "./errors.ts";

const root = path.join(import.meta.dirname, "../..");

/** Reason → codes, as the sources of the SDK make their errors: `new FilaError("code", "REASON"`. */
function madeReasons(): Map<string, Set<string>> {
  const made = new Map<string, Set<string>>();
  const files = globSync("sdk/src/**/*.ts", {
    cwd: root,
    exclude: ["sdk/src/gen/**", "sdk/src/fake/**", "**/*.test.ts"],
  });
  for (const file of files) {
    const text = readFileSync(path.join(root, file), "utf8");
    for (const [, code, reason] of text.matchAll(/(?:new FilaError|super)\(\s*(?:"(\w+)"|\w+),\s*"([A-Z_]+)"/g)) {
      const codes = made.get(reason!) ?? new Set();
      // One that is no literal depends on what came.
      if (code !== undefined) codes.add(code.toUpperCase());
      made.set(reason!, codes);
    }
  }
  return made;
}

it("docs/errors.md has every reason that the SDK gives itself, with its codes, and no other", () => {
  const table = readFileSync(path.join(root, "docs/errors.md"), "utf8").split("## Reasons of the SDK")[1] ?? "";
  const documented = new Map(
    [...table.matchAll(/^\| `([A-Z_]+)` +\| ([A-Z_, ]+?) +\| .+ \| .+ \|$/gm)].map(([, reason, codes]) => [
      reason!,
      codes!.split(", "),
    ]),
  );
  const made = madeReasons();
  assert.ok(made.size > 10, "the sources were read");
  assert.deepEqual([...documented.keys()].sort(), [...made.keys()].sort());
  const known = new Set(errorCodes.map((code) => code.toUpperCase()));
  for (const [reason, codes] of documented) {
    for (const code of codes) assert.ok(known.has(code), `${reason}: ${code} is no code`);
    for (const code of made.get(reason)!) assert.ok(codes.includes(code), `${reason} comes with ${code}`);
  }
});
