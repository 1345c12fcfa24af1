/**
 * Packs what would be published and looks at it as its users will: the contents, the entries (publint), the types
 * (attw), whether the packed programs run from outside this checkout's sources, and a stranger's first minute with them.
 * Run by `npm run package-check`; slow because it builds, so it is not part of `npm test`.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { firstMinute } from "./first-minute.ts";

const root = path.join(import.meta.dirname, "../..");
// Below node_modules, so that the packed packages find their dependencies and their bins see an installed package.
const scratch = path.join(root, "node_modules/.cache/package-check");
const installed = path.join(scratch, "node_modules/@fila");

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** What must be in each package. What is not listed may be there, but for what `unwanted` names. */
const packages = {
  sdk: {
    wanted: ["index.js", "index.d.ts", "admin/index.js", "admin/index.d.ts", "gen/index.js", "gen/index.d.ts"].map(
      (file) => `dist/${file}`,
    ),
    types: true,
  },
  server: {
    wanted: ["bin/fila-server", "dist/main.js", "dist/hook-thread.js", "dist/index.js", "dist/index.d.ts"],
    types: true,
  },
  cli: { wanted: ["bin/fila", "dist/main.js", "oclif.manifest.json"], types: false },
} as const;
const unwanted = /\.test\.|(^|\/)(testdata|tsup\.config|tsconfig)|\.env|fila-data/;

function run(program: string, args: readonly string[], cwd = root): string {
  return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

rmSync(scratch, { recursive: true, force: true });
mkdirSync(installed, { recursive: true });

for (const [name, { wanted, types }] of Object.entries(packages)) {
  // The lifecycle output of prepack would precede the JSON.
  const out = run("npm", ["pack", "--json", "--silent", "--pack-destination", scratch, "-w", name]);
  const [packed] = JSON.parse(out.slice(out.indexOf("[\n"))) as Packed[];
  assert.ok(packed !== undefined, `npm pack of ${name} reported nothing`);

  const files = packed.files.map((file) => file.path);
  for (const file of [...wanted, "package.json", "LICENSE"]) {
    assert.ok(
      files.includes(file),
      `${name}: ${file} is not in the package; see "files" and prepack of ${name}/package.json`,
    );
  }
  const surplus = files.filter((file) => unwanted.test(file));
  assert.deepEqual(surplus, [], `${name}: these do not belong into the package; see "files" of ${name}/package.json`);

  const tarball = path.join(scratch, packed.filename);
  const target = path.join(installed, name);
  mkdirSync(target);
  run("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);

  const { messages, pkg } = await publint({ pkgDir: target, pack: false, strict: true });
  const told = messages.map((message) => formatMessage(message, pkg as Record<string, unknown>));
  assert.deepEqual(told, [], `${name}: publint objects`);
  if (types) run("attw", [tarball, "--profile", "esm-only", "--no-color", "--no-emoji"]);
  console.log(`${packed.filename}: ${files.length} files, ${statSync(tarball).size} bytes`);
}

const manifest = JSON.parse(readFileSync(path.join(installed, "cli/oclif.manifest.json"), "utf8")) as {
  commands: Record<string, unknown>;
};
assert.ok(Object.keys(manifest.commands).length > 0, "the manifest of the packed command lists no commands");

// From the packed files alone: without the source condition every entry must load what was built.
for (const entry of ["@fila/sdk", "@fila/sdk/admin", "@fila/sdk/gen", "@fila/sdk/gen/grpc", "@fila/server"]) {
  const code = `const m = await import(${JSON.stringify(entry)}); if (Object.keys(m).length === 0) process.exit(3);
    if (!import.meta.resolve(${JSON.stringify(entry)}).includes("/package-check/")) process.exit(4);`;
  run("node", ["--input-type=module", "--eval", code], scratch);
}
// The thread of the scripts is a program of its own, which the broker starts by its name.
const hooked = `
  const { silentLog, startServer } = await import("@fila/server");
  const settings = { "server.listen_addr": "127.0.0.1:0" };
  const server = await startServer(settings, { log: silentLog, storage: "memory" });
  const call = async (method, request) => {
    const headers = { "content-type": "application/json" };
    const url = server.url + "/fila.v1." + method;
    return (await fetch(url, { method: "POST", headers, body: JSON.stringify(request) })).json();
  };
  const onEnqueueScript = "function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end";
  await call("FilaAdmin/CreateQueue", { name: "q", config: { onEnqueueScript } });
  await call("FilaService/Enqueue", { queue: "q", headers: { tenant: "acme" } });
  const { keys } = await call("FilaAdmin/ListKeys", { queue: "q" });
  await server.stop();
  console.log(keys[0].key);`;
assert.equal(run("node", ["--input-type=module", "--eval", hooked], scratch).trim(), "acme", "a script in its thread");
assert.match(run(path.join(installed, "cli/bin/fila"), ["--help"], scratch), /^ +enqueue /m, "the packed fila --help");
await firstMinute(path.join(installed, "cli/bin"));
assert.ok(existsSync(path.join(installed, "server/bin/fila-server")));
rmSync(scratch, { recursive: true, force: true });
