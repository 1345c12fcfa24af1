// The vendored copy of fengari is what package and patch make, so that nobody edits it alone and every difference is told.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { asModule, copyFolder, derive, ownFiles } from "./fengari/derive.ts";
import { root } from "./tree.ts";

test("the vendored fengari is the package with the patch", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "fila-fengari-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  derive(folder);
  const copy = path.join(root, copyFolder);
  const derived = readdirSync(folder).sort();
  assert.deepEqual(
    readdirSync(copy)
      .filter((file) => !ownFiles.includes(file))
      .sort(),
    derived,
  );
  for (const file of derived) {
    const same = readFileSync(path.join(folder, file), "utf8") === readFileSync(path.join(copy, file), "utf8");
    assert.ok(same, `${copyFolder}/${file} is not package and patch: npm run fengari -- patch, or -- copy`);
  }
});

test("the package is pinned, and only its copy is used", () => {
  const server = JSON.parse(readFileSync(path.join(root, "server/package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
    dependencies: Record<string, string>;
  };
  assert.equal(server.devDependencies["fengari"], "0.1.5");
  assert.equal(server.dependencies["fengari"], undefined);
});

test("modules are rewritten whole", () => {
  const source = [
    '"use strict";',
    "",
    'const { a, b: { c } } = require("./d.js");',
    "const e = require('./f.js');",
    "const g = 1;",
    "delete L.stack[--L.top];",
    "module.exports.g = g;",
    "module.exports.h = g;",
    "module.exports.i = e.i;",
  ].join("\n");
  assert.deepEqual(asModule(source).split("\n"), [
    'import { a, b } from "./d.js";',
    "const { c } = b;",
    'import * as e from "./f.js";',
    "const g = 1;",
    "L.stack[--L.top] = void 0;",
    "export { g };",
    "export { g as h };",
    "export const i = e.i;",
  ]);
});
