// What `npm test` says when one of the scripts that it runs side by side goes wrong.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

const program = path.join(import.meta.dirname, "../side-by-side.ts");

describe("scripts side by side", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "fila-side-by-side-"));
    const scripts = { passes: "echo all is well", fails: "echo it is not; exit 3", "is-killed": "kill -9 $$" };
    await writeFile(path.join(folder, "package.json"), JSON.stringify({ scripts }));
  });
  after(() => rm(folder, { recursive: true }));

  function run(...scripts: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, [program, ...scripts], { cwd: folder }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
      );
    });
  }

  test("all pass: it passes, and shows what they said", async () => {
    const { code, stdout } = await run("passes", "passes");
    assert.deepEqual([code, stdout], [0, "all is well\nall is well\n"]);
  });

  for (const [what, ...scripts] of [
    ["the first fails", "fails", "passes"],
    ["another fails", "passes", "fails"],
    ["one is killed", "passes", "is-killed"],
    ["one is missing", "passes", "is-missing"],
  ] as const) {
    test(`${what}: it fails, names it, and shows what the others said`, async () => {
      const { code, stdout, stderr } = await run(...scripts);
      assert.equal(code, 1);
      assert.ok(stdout.includes("all is well\n"), stdout);
      const named = scripts.filter((script) => stderr.includes(`npm run ${script} failed (`));
      assert.deepEqual(
        named,
        scripts.filter((script) => script !== "passes"),
      );
    });
  }

  test("none is named: it fails", async () => {
    const { code, stderr } = await run();
    assert.equal(code, 1);
    assert.match(stderr, /^name the scripts to run$/m);
  });
});
