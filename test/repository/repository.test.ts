// The repository lints itself: what no linter of single files sees.
import assert from "node:assert/strict";
import { accessSync, constants, globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { ESLint } from "eslint";
import {
  decisionPage,
  emptyName,
  incompleteLock,
  ownerlessTodo,
  oversize,
  weakTest,
  type LockedPackage,
} from "./checks.ts";
import {
  files,
  importsOf,
  isGenerated,
  isTest,
  isVendored,
  reachableFrom,
  root,
  sources,
  text,
  workspaces,
} from "./tree.ts";

/** Files over 500 lines, each with the reason why it belongs together. */
const longFiles: Readonly<Record<string, string>> = {};

/** Where the product and its tools begin. What none of these reaches is dead. */
const entries = [
  "sdk/src/index.ts",
  "sdk/src/admin/index.ts",
  "sdk/src/gen/index.ts",
  "server/src/index.ts",
  "server/src/main.ts",
  // The thread of the scripts, started by its address.
  "server/src/hooks/hook-thread.ts",
  "cli/src/main.ts",
  "test/bench/main.ts",
  "test/hooks/innocent.ts",
  "test/mutants/run.ts",
  "test/simulation/main.ts",
  "test/side-by-side.ts",
  "test/packages/package-check.ts",
  "test/repository/fengari/regenerate.ts",
];
/** Part of the product's sources although, today, only tests reach them; each with the reason. */
const testedOnly: Readonly<Record<string, string>> = {
  "server/src/core/verify.ts": "checks every invariant; it must see the core from inside",
  "server/src/config/document.ts": "makes docs/configuration.md from the table of settings; a test compares the two",
  "server/src/rpc/access/granted-principal.ts": "what API keys will stand for; the tests of the table call as such",
  "server/src/hooks/": "the engine of hooks, which the broker does not ask yet",
  "sdk/src/fake/": "the broker in memory that the SDK's own tests speak to",
};
const isEntry = (file: string): boolean =>
  entries.includes(file) ||
  file.startsWith("cli/src/commands/") || // oclif finds commands by their place,
  file === "cli/src/help.ts" || // and the help by its name in package.json
  /^examples\/\d/.test(file) || // each example is a program
  isInterop(file) || // npm run interop
  file.endsWith("/tsup.config.ts");

/** Needs packages of the system, so `npm test` leaves it out. */
const isInterop = (file: string): boolean => file.endsWith(".interop.ts");

const readJson = (file: string): unknown => JSON.parse(readFileSync(path.join(root, file), "utf8"));
const scriptsOfRoot = (): Readonly<Record<string, string>> =>
  (readJson("package.json") as { scripts: Record<string, string> }).scripts;

/** Complains of each test file that the globs of these scripts do not run exactly once. */
function notRunOnce(tests: readonly string[], scripts: readonly (string | undefined)[]): string[] {
  const globs = scripts.flatMap((script = "") =>
    script
      .split(/\s+/)
      .map((word) => word.replaceAll("'", ""))
      .filter((word) => /\.ts$/.test(word)),
  );
  const times = new Map<string, number>();
  for (const glob of globs) {
    for (const file of globSync(glob, { cwd: root, exclude: ["**/node_modules/**"] }))
      times.set(file, (times.get(file) ?? 0) + 1);
  }
  return tests
    .filter((file) => times.get(file) !== 1)
    .map((file) => `${file}: run ${times.get(file) ?? 0} times; see the globs of the scripts in package.json`);
}

/** The configuration is plain JavaScript outside the typed program. */
const configFile = (file: string): Promise<unknown> => import(path.join(root, file)) as Promise<unknown>;
const none = (complaints: readonly string[]): void => assert.equal(complaints.join("\n"), "");

describe("the repository", () => {
  test("names say what is inside", () => {
    none(files.filter((file) => !isVendored(file)).flatMap(emptyName));
  });

  test("work left over has an owner", () => {
    const written = files.filter((file) => /\.(ts|js|cjs|sh|proto|ya?ml|md)$/.test(file));
    none(
      written
        .filter((file) => !isVendored(file) && !isGenerated(file))
        .flatMap((file) => ownerlessTodo(file, text(file))),
    );
  });

  test("files over 500 lines have a reason", () => {
    none(sources.flatMap((file) => oversize(file, text(file), longFiles)));
    none(
      Object.keys(longFiles)
        .filter((file) => !sources.includes(file))
        .map((file) => `${file}: is in the list of long files, but gone`),
    );
  });

  test("no source file is dead", () => {
    const live = reachableFrom(files.filter((file) => isEntry(file)));
    const tested = reachableFrom(files.filter(isTest));
    const dead = sources.filter((file) => {
      if (isTest(file) || live.has(file)) return false;
      // What only tests use belongs into test/ or into a folder called testing.
      const excused = Object.keys(testedOnly).some((place) => file.startsWith(place));
      return !(tested.has(file) && (excused || file.startsWith("test/") || file.includes("/testing/")));
    });
    none(dead.map((file) => `${file}: no entry reaches it; import it where it is used, or delete it`));
  });

  test("the lock is complete for every platform and holds no addresses", () => {
    const lock = readJson("package-lock.json") as { packages: Record<string, LockedPackage> };
    assert.ok(Object.keys(lock.packages).length > 100, "package-lock.json lists its packages");
    none(incompleteLock(lock.packages));
  });

  test("tests neither skip nor sleep", () => {
    const looked = [...sources, ...files.filter((file) => file.endsWith(".py"))].filter(
      (file) => isTest(file) || file.startsWith("test/") || file.includes("/testing/"),
    );
    none(looked.filter((file) => !file.startsWith("test/repository/")).flatMap((file) => weakTest(file, text(file))));
  });

  test("every workspace contributes tests, and npm test runs each of them once", () => {
    const tests = files.filter(isTest);
    none(
      workspaces
        .filter((workspace) => !tests.some((file) => file.startsWith(`${workspace}/`)))
        .map((workspace) => `${workspace}: has no *.test.ts; every workspace contributes tests`),
    );
    const scripts = scriptsOfRoot();
    for (const name of ["test:unit", "test:process"])
      assert.ok(scripts["test"]?.includes(name), `package.json: the script "test" does not run ${name}`);
    none(notRunOnce(tests, [scripts["test:unit"], scripts["test:process"]]));
  });

  test("npm run interop runs each test of clients that are not ours once", () => {
    const ofClients = files.filter((file) => isInterop(file) || (isTest(file) && file.startsWith("test/interop/")));
    assert.ok(ofClients.some(isInterop), "there are tests of clients that are not ours");
    none(notRunOnce(ofClients, [scriptsOfRoot()["interop"]]));
  });

  test("generated code is marked", () => {
    const generated = files.filter(isGenerated);
    assert.ok(generated.length > 0, "there is generated code");
    none(
      generated
        .filter((file) => !/^\/\/ @generated by /m.test(text(file)))
        .map((file) => `${file}: not marked; run npm run generate`),
    );
    none(
      ["fila", "google"]
        .filter((folder) => !text(".gitattributes").includes(`sdk/src/gen/${folder}/** linguist-generated=true`))
        .map((folder) => `.gitattributes: does not mark sdk/src/gen/${folder} as generated`),
    );
  });

  test("decision pages have their three parts", () => {
    const pages = files.filter((file) => /^docs\/decisions\/(?!README).*\.md$/.test(file));
    none(pages.flatMap((file) => decisionPage(file, text(file))));
  });

  test("bins can be executed and switch Node by exec", () => {
    for (const bin of ["cli/bin/fila", "server/bin/fila-server", ".ci/run", ".ci/install-clients"])
      accessSync(path.join(root, bin), constants.X_OK);
    for (const bin of ["cli/bin/fila", "server/bin/fila-server"]) {
      const calls = text(bin)
        .split("\n")
        .filter((line) => line.includes('main.js" "$@"') || line.includes('main.ts" "$@"'));
      assert.equal(calls.length, 2, `${bin}: starts its program in two places`);
      none(calls.filter((line) => !/^\s*exec /.test(line)).map((line) => `${bin}: not by exec: ${line}`));
    }
  });
});

describe("the checks themselves find what is planted", () => {
  const finds = (complaints: readonly string[]): void => assert.equal(complaints.length, 1, complaints.join("\n"));
  // Spelled in parts, or this file would be found too.
  const todo = "TO" + "DO";

  test("names, owners, sizes", () => {
    finds(emptyName("server/src/utils/ring.ts"));
    finds(emptyName("sdk/src/types.ts"));
    none(emptyName("server/src/core/token-bucket.ts"));
    finds(ownerlessTodo("a.ts", `// ${todo}: later`));
    none(ownerlessTodo("a.ts", `// ${todo}(ada): later`));
    finds(oversize("a.ts", "x\n".repeat(501), {}));
    none(oversize("a.ts", "x\n".repeat(501), { "a.ts": "one state machine" }));
    finds(oversize("a.ts", "x\n", { "a.ts": "no longer" }));
  });

  test("skipped and sleeping tests", () => {
    for (const line of [
      'test.skip("a", f)',
      'test("a", { only: true }, f)',
      "await new Promise((r) => setTimeout(r, 100));",
      "setTimeout(() => done(), 1_000)",
      'import { setTimeout } from "node:timers/promises";',
    ]) {
      finds(weakTest("a.test.ts", line));
    }
    finds(weakTest("a.py", "time.sleep(1)"));
    none(weakTest("a.test.ts", "setTimeout(r, 0); const skip = 1;"));
    none(weakTest("a.test.ts", 'test("/dev/full", { skip: process.platform !== "linux" }, f)'));
  });

  test("decisions and locks", () => {
    finds(decisionPage("a.md", "## Context\n\n## Decision\n"));
    const buf = { version: "1", optionalDependencies: { "buf-linux": "1" } };
    finds(incompleteLock({ "": {}, "node_modules/buf": buf }));
    none(incompleteLock({ "": {}, "node_modules/buf": buf, "node_modules/buf-linux": {} }));
    none(incompleteLock({ "": {}, "node_modules/buf": buf, "node_modules/buf/node_modules/buf-linux": {} }));
    finds(incompleteLock({ "node_modules/a": { resolved: "http://example.com/a.tgz" } }));
  });

  test("dead files", () => {
    assert.deepEqual(
      importsOf(
        "sdk/src/a.ts",
        'import { b } from "./b.ts"; await import("../c.ts"); new URL("./d.ts", import.meta.url);',
      ),
      ["sdk/src/b.ts", "sdk/c.ts", "sdk/src/d.ts"],
    );
  });
});

describe("the layer rules hold", async () => {
  // Without types these few rules answer in milliseconds; the last test proves that `npm run lint` uses the same ones.
  const { layerConfig } = (await configFile("eslint.layers.js")) as { layerConfig: readonly object[] };
  const eslint = new ESLint({ cwd: root, overrideConfigFile: true, overrideConfig: [...layerConfig] });
  async function complaints(file: string, code: string): Promise<string[]> {
    const [result] = await eslint.lintText(code, { filePath: path.join(root, file) });
    assert.ok(result !== undefined && result.fatalErrorCount === 0, `${file} was not linted`);
    return result.messages.map((message) => message.message);
  }

  const forbidden: readonly (readonly [string, string])[] = [
    ["server/src/core/planted.ts", "export const now = Date.now();"],
    ["server/src/core/planted.ts", "export const now = globalThis.Date.now();"],
    ["server/src/core/planted.ts", "export const r = Math.random();"],
    ["server/src/core/planted.ts", 'console.log("x");'],
    ["server/src/core/planted.ts", "setTimeout(() => 1, 1);"],
    ["server/src/core/planted.ts", "export const p = performance.now();"],
    ["server/src/core/planted.ts", "export const p = process.pid;"],
    ["server/src/core/planted.ts", "export const b = Buffer.alloc(1);"],
    ["server/src/core/planted.ts", "export const c = crypto.randomUUID();"],
    ["server/src/core/planted.ts", "export async function f(): Promise<void> {}"],
    ["server/src/core/planted.ts", "Promise.resolve();"],
    ["server/src/core/planted.ts", 'import fs from "node:fs"; export { fs };'],
    ["server/src/core/planted.ts", 'import fs from "fs"; export { fs };'],
    ["server/src/core/planted.ts", 'export { create } from "@bufbuild/protobuf";'],
    ["server/src/core/planted.ts", 'import type { Store } from "../storage/port.ts"; export type S = Store;'],
    ["server/src/core/planted.ts", 'export type S = import("../storage/port.ts").Store;'],
    ["server/src/storage/planted.ts", 'import { step } from "../core/step.ts"; export { step };'],
    ["server/src/storage/planted.ts", 'export * from "../broker/broker.ts";'],
    ["server/src/broker/planted.ts", 'export * from "../rpc/router.ts";'],
    ["server/src/rpc/planted.ts", 'import { Level } from "level"; export { Level };'],
    ["server/src/novelty/planted.ts", 'export * from "../core/step.ts";'],
    ["sdk/src/planted.ts", 'export * from "@fila/server";'],
    ["sdk/src/planted.ts", 'void import("@fila/server");'],
    ["cli/src/planted.ts", 'import { serve } from "@fila/server"; serve();'],
    ["cli/src/planted.ts", 'export * from "@fila/sdk/src/client.ts";'],
    ["cli/src/planted.ts", 'export * from "../../sdk/src/client.ts";'],
    ["examples/1-planted.ts", 'export * from "@fila/server";'],
    ["examples/1-planted.ts", 'export * from "../sdk/src/index.ts";'],
  ];
  for (const [file, code] of forbidden) {
    test(`${file} may not: ${code}`, async () => {
      assert.notDeepEqual(await complaints(file, code), []);
    });
  }

  const allowed: readonly (readonly [string, string])[] = [
    [
      "server/src/core/planted.ts",
      'import { a } from "./ring.ts"; export const b = new Map([[Math.floor(a), new Uint8Array(1)]]);',
    ],
    ["server/src/core/planted.test.ts", 'import test from "node:test"; test("x", async () => {});'],
    ["server/src/storage/planted.ts", 'import type { Record } from "../core/step.ts"; export type R = Record;'],
    ["server/src/compose.ts", 'export * from "./core/step.ts"; export * from "./rpc/router.ts";'],
    ["cli/src/planted.ts", 'export * from "@fila/sdk"; void import("@fila/server");'],
    ["sdk/src/testing/planted.ts", 'export * from "@fila/server";'],
    ["examples/1-planted.ts", 'export * from "@fila/sdk";'],
  ];
  for (const [file, code] of allowed) {
    test(`${file} may: ${code}`, async () => {
      assert.deepEqual(await complaints(file, code), []);
    });
  }

  test("npm run lint applies the same rules", async () => {
    const { default: config } = (await configFile("eslint.config.js")) as {
      default: readonly { name?: string; rules?: object }[];
    };
    for (const wanted of layerConfig as readonly { name: string; rules: object }[]) {
      const found = config.findLast((part) => part.name === wanted.name);
      assert.ok(found?.rules === wanted.rules, `eslint.config.js does not use ${wanted.name} of eslint.layers.js`);
    }
  });
});
