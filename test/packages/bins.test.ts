// The bins are what a stranger runs first, on whatever Node the machine has. A stub stands in for Node and says how it
// was called.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";

const root = path.join(import.meta.dirname, "../..");
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "fila bins ")));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(file: string, content: string): string {
  const target = path.join(folder, file);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, content);
  return target;
}

/** A Node of the given version that prints its pid and its arguments, one a line. */
function stubNode(file: string, version: string): string {
  const stub = write(file, `#!/bin/sh\n[ "$1" = --version ] && echo ${version} && exit\nprintf '%s\\n' $$ "$@"\n`);
  chmodSync(stub, 0o755);
  return path.dirname(stub);
}

function start(program: string, args: readonly string[], PATH: string, cwd = "/") {
  const done = spawnSync(program, args, { cwd, env: { PATH: `${PATH}:/usr/bin:/bin` }, encoding: "utf8" });
  const [pid, ...called] = done.stdout.split("\n").slice(0, -1);
  return { status: done.status, stderr: done.stderr, samePid: Number(pid) === done.pid, called };
}

const old = stubNode("old/node", "v20.19.0");
const current = stubNode("current/node", "v26.1.0");

for (const [name, workspace] of [
  ["fila", "cli"],
  ["fila-server", "server"],
] as const) {
  describe(name, () => {
    const source = path.join(root, workspace, "bin", name);
    const checkout = path.join(folder, `${name} checkout`);
    const bin = path.join(checkout, workspace, "bin", name);
    cpSync(source, bin);
    const main = write(`${name} checkout/${workspace}/src/main.ts`, "");
    stubNode(`${name} checkout/node_modules/.bin/node`, "v26.1.0");
    mkdirSync(path.join(checkout, "node_modules/@fila"));
    symlinkSync(`../../${workspace}`, path.join(checkout, `node_modules/@fila/${workspace}`));
    const linked = path.join(checkout, "node_modules/.bin", name);
    symlinkSync(`../@fila/${workspace}/bin/${name}`, linked);

    test("in a checkout runs the sources on the Node installed there, as the same process", () => {
      for (const program of [bin, linked]) {
        const { status, samePid, called } = start(program, ["a", "b c"], old);
        assert.equal(status, 0);
        assert.deepEqual(called, ["--conditions=@fila/source", main, "a", "b c"]);
        assert.ok(samePid, `${name} was spawned, not replaced`);
      }
    });

    test("is found from any folder and through any chain of links", () => {
      const chain = path.join(folder, `${name} chain`);
      symlinkSync(linked, chain);
      assert.deepEqual(start(chain, [], old, folder).called, ["--conditions=@fila/source", main]);
      assert.deepEqual(start("sh", [name], old, path.dirname(bin)).called, ["--conditions=@fila/source", main]);
      const inPath = start(name, [], `${old}:${path.dirname(linked)}`);
      assert.deepEqual(inPath.called, ["--conditions=@fila/source", main]);
    });

    test("as an installed package runs what was built, on the Node in PATH", () => {
      const home = `${name} user/node_modules/@fila/${workspace}`;
      cpSync(source, path.join(folder, home, "bin", name));
      write(`${home}/src/main.ts`, "");
      const unbuilt = start(path.join(folder, home, "bin", name), [], current);
      assert.equal(unbuilt.status, 1);
      assert.match(unbuilt.stderr, /was not built/);
      const built = write(`${home}/dist/main.js`, "");
      const { samePid, called } = start(path.join(folder, home, "bin", name), ["x"], current);
      assert.deepEqual(called, [built, "x"]);
      assert.ok(samePid);
    });

    test("passes over a Node that is too old, and says so when there is no other", () => {
      stubNode(`${name} aged/node_modules/.bin/node`, "v22.0.0");
      const aged = path.join(folder, `${name} aged`, workspace, "bin", name);
      cpSync(source, aged);
      const agedMain = write(`${name} aged/${workspace}/src/main.ts`, "");
      assert.deepEqual(start(aged, [], current).called, ["--conditions=@fila/source", agedMain]);
      const refused = start(aged, [], old);
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, new RegExp(`^${name}: needs Node 24 or newer; found v20.19.0`));
    });
  });
}
