// What runs before `npm start` and `npm test`, tried on a folder with locks of its own and a stub in place of npm.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";

const script = path.join(import.meta.dirname, "../../.ci/set-up.cjs");
const lock = {
  "": {},
  sdk: { version: "1.0.0" },
  "node_modules/@fila/sdk": { resolved: "sdk", link: true },
  "node_modules/a": { version: "1.0.0", integrity: "sha512-a" },
  "node_modules/a-darwin": { version: "1.0.0", integrity: "sha512-d", optional: true },
};

describe("set-up", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "fila-set-up-"));
    mkdirSync(path.join(folder, ".ci"));
    cpSync(script, path.join(folder, ".ci/set-up.cjs"));
    write("package-lock.json", { packages: lock });
    // It says what it was asked for, and installs what the lock wants.
    writeFileSync(
      path.join(folder, "npm.js"),
      `console.log("npm", process.argv.slice(2).join(" "));
       require("fs").mkdirSync("node_modules", { recursive: true });
       require("fs").copyFileSync("package-lock.json", "node_modules/.package-lock.json");`,
    );
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function write(file: string, content: unknown): void {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), JSON.stringify(content));
  }
  const installed = (packages: object): void => write("node_modules/.package-lock.json", { packages });
  function setUp(npm = "npm.js") {
    const env = { ...process.env, npm_execpath: path.join(folder, npm) };
    return spawnSync(process.execPath, [path.join(folder, ".ci/set-up.cjs")], { cwd: "/", env, encoding: "utf8" });
  }
  function stubNode(text: string): void {
    const file = path.join(folder, "node_modules/.bin/node");
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
  }

  test("installs by npm ci when nothing is there, and not again", () => {
    const first = setUp();
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stderr, /nothing is installed yet.*\nnpm ci --include=dev --include=optional/);
    assert.equal(setUp().stderr, "");
  });

  test("installs when a package is missing or another one is there, but not for other platforms", () => {
    const { "node_modules/a-darwin": _darwin, ...here } = lock;
    installed(here);
    assert.equal(setUp().stderr, "");
    const { "node_modules/a": _a, ...without } = here;
    installed(without);
    assert.match(setUp().stderr, /node_modules\/a is missing/);
    installed({ ...here, "node_modules/a": { version: "1.0.1", integrity: "sha512-b" } });
    assert.match(setUp().stderr, /node_modules\/a has another version/);
  });

  test("ends loudly when the install fails or Node is too old", () => {
    writeFileSync(path.join(folder, "failing.js"), "process.exit(7)");
    const failed = setUp("failing.js");
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /`npm ci` failed/);

    installed(lock);
    stubNode("echo v20.1.0");
    const old = setUp();
    assert.equal(old.status, 1);
    assert.match(old.stderr, /node_modules\/\.bin\/node is v20\.1\.0; Fila needs 24 or newer/);
    stubNode("exit 1");
    assert.match(setUp().stderr, /does not run on this machine/);
  });
});
