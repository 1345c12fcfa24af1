// How server/src/hooks/engine/fengari is made: files of the package, rewritten as ES modules, with fengari.patch applied.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "../tree.ts";

/** The copy that the engine imports, from the root of the repository. */
export const copyFolder = "server/src/hooks/engine/fengari";
export const patchFile = path.join(import.meta.dirname, "fengari.patch");
/** In the copy, but not of the package: written by hand. */
export const ownFiles: readonly string[] = ["README.md", "charge.js", "index.d.ts", "index.js", "number-format.js"];

const packageFolder = path.dirname(
  createRequire(path.join(root, "server/package.json")).resolve("fengari/package.json"),
);

/** Without what reads files, starts processes or loads code: io, os, debug, package, coroutine, fengari, dumped code. */
const modules = [
  ...["defs", "fengaricore", "lapi", "lauxlib", "lbaselib", "lcode", "ldebug", "ldo", "lfunc", "ljstype", "llex"],
  ...["llimits", "lmathlib", "lobject", "lopcodes", "lparser", "lstate", "lstring", "lstrlib", "ltable", "ltablib"],
  ...["ltm", "lua", "luaconf", "lutf8lib", "lvm", "lzio"],
];

/** Writes the derived copy into an empty folder. */
export function derive(folder: string, withPatch = true): void {
  mkdirSync(folder, { recursive: true });
  copyFileSync(path.join(packageFolder, "LICENSE"), path.join(folder, "LICENSE"));
  for (const name of modules) {
    const source = asModule(sourceOf(name));
    writeFileSync(path.join(folder, `${name}.js`), name === "lvm" ? withNumberedCases(source) : source);
  }
  if (!withPatch) return;
  const { status, stderr } = spawnSync("git", ["apply", patchFile], { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`fengari.patch does not apply: ${stderr.trim()}`);
}

const sourceOf = (name: string): string => readFileSync(path.join(packageFolder, `src/${name}.js`), "utf8");

/** A switch over literals is a jump table; one over names is a chain of comparisons. */
function withNumberedCases(source: string): string {
  const numbers = new Map<string, string>();
  for (const [, name, number] of sourceOf("lopcodes").matchAll(/^ {4}(OP_\w+):\s+(\d+)/gm)) numbers.set(name!, number!);
  return source.replace(/\bcase (OP_\w+):/g, (_, name: string) => `case ${numbers.get(name)!} /* ${name} */:`);
}

/** CommonJS as the package writes it, as an ES module. What stands inside a block is left to the patch. */
export function asModule(source: string): string {
  const body = source
    .replace(/^"use strict";\n\n?/, "")
    .replace(/^const (\w+|\{[^=]*\})\s*= require\(["'](\.[^"']*)["']\);$/gm, (_, names: string, from: string) =>
      importOf(names, from),
    )
    // A hole in an array costs a call into the runtime; an empty place does not.
    .replace(/\bdelete ((?:L\d?|from)\.stack\[.*?\]);/g, "$1 = void 0;");
  return body.replace(/^module\.exports\.(\w+)\s*= ([^;]*);/gm, (_, name: string, value: string) => {
    if (value === name) return `export { ${name} };`;
    return /^\w+$/.test(value) && new RegExp(`^(const|let|class) ${value}\\b`, "m").test(body)
      ? `export { ${value} as ${name} };`
      : `export const ${name} = ${value};`;
  });
}

/** `names` is one name for everything, or a pattern, whose nested parts are taken out of what it imports. */
function importOf(names: string, from: string): string {
  if (!names.startsWith("{")) return `import * as ${names} from "${from}";`;
  const nested: string[] = [];
  const flat = names.replace(/(\w+): (\{[^}]*\})/g, (_, name: string, inner: string) => {
    nested.push(`const ${inner} = ${name};`);
    return name;
  });
  return [`import ${flat} from "${from}";`, ...nested].join("\n");
}
