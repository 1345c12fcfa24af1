import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { parseMutant, readMutants } from "./mutant.ts";

const root = path.join(import.meta.dirname, "../..");

describe("the mutants", () => {
  const mutants = readMutants(import.meta.dirname);

  test("each names its bug, and a check that exists", () => {
    assert.ok(mutants.length >= 12);
    for (const { id, check } of mutants) {
      if (check.kind === "simulation") continue;
      const file = path.join(root, check.file);
      assert.ok(existsSync(file), `${id}: ${check.file} is not there`);
    }
  });

  test("each finds the lines that it changes", () => {
    for (const { id, patch } of mutants) {
      for (const { file, lines } of hunksOf(patch)) {
        const text = readFileSync(path.join(root, file), "utf8");
        assert.ok(text.includes(lines), `${id}: ${file} has other lines by now; make the patch anew`);
      }
    }
  });

  test("an incomplete header is refused", () => {
    const diff = "diff --git a/x b/x\n";
    const refused: readonly (readonly [string, RegExp])[] = [
      ["bug: b\ncheck: test a.test.ts\nname: n\n", /no diff/],
      [`check: test a.test.ts\nname: n\n${diff}`, /what the bug is/],
      [`bug: b\ncheck: test a.test.ts\n${diff}`, /needs "check: test FILE"/],
      [`bug: b\ncheck: simulation 3\nsays: x\n${diff}`, /needs "check: test FILE"/],
      [`bug: b\ncheck: simulation 3 500\n${diff}`, /say which one/],
      [`bug: b\nwhy: w\n${diff}`, /none of bug/],
    ];
    for (const [patch, why] of refused) assert.throws(() => parseMutant("m", patch), why);
    const good = parseMutant("m", `bug: b\ncheck: simulation 3 500\nsays: lost$\n${diff}`);
    assert.deepEqual([good.bug, good.check, good.says], ["b", { kind: "simulation", seeds: 3, steps: 500 }, /lost$/]);
  });
});

/** What each hunk expects to find. */
function hunksOf(patch: string): { readonly file: string; readonly lines: string }[] {
  return patch.split(/^diff --git /m).flatMap((part) => {
    const file = /^--- a\/(.+)$/m.exec(part)?.[1];
    if (file === undefined) return [];
    const [, ...hunks] = part.split(/^@@.*\n/m);
    return hunks.map((hunk) => {
      const kept = hunk.split("\n").filter((line) => /^[ -]/.test(line));
      return { file, lines: kept.map((line) => `${line.slice(1)}\n`).join("") };
    });
  });
}
