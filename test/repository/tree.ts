// What the checks of the repository look at: the files git knows or would take, their text, and who imports whom.
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";

export const root = path.join(import.meta.dirname, "../..");
export const workspaces = ["sdk", "server", "cli", "examples", "test"] as const;

const leftBehind = /^(node_modules|dist|\.git|fila-data|tmp)$|\.(tsbuildinfo|tgz)$/;

/** Paths relative to the root: tracked, or new and not ignored; without those deleted in the working tree. */
function listFiles(): string[] {
  // The owner of the folder does not matter to a list of names.
  const args = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const git = spawnSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 });
  if (git.status === 0)
    return git.stdout.split("\0").filter((file) => file !== "" && existsSync(path.join(root, file)));
  // An unpacked archive has no git: everything but what tools leave behind.
  return globSync("**", { cwd: root, withFileTypes: true, exclude: (entry) => leftBehind.test(entry.name) })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"));
}

export const files: readonly string[] = listFiles();

export const isGenerated = (file: string): boolean => /^sdk\/src\/gen\/(fila|google)\//.test(file);
/** Of other authors; what is changed in it, and how, stands beside it. */
export const isVendored = (file: string): boolean =>
  file.startsWith("proto/third_party/") || file.startsWith("server/src/hooks/engine/fengari/");
export const isTest = (file: string): boolean => file.endsWith(".test.ts");

/** TypeScript written by hand. */
export const sources: readonly string[] = files.filter(
  (file) => file.endsWith(".ts") && !isGenerated(file) && !isVendored(file),
);

const texts = new Map<string, string>();
export function text(file: string): string {
  let known = texts.get(file);
  if (known === undefined) texts.set(file, (known = readFileSync(path.join(root, file), "utf8")));
  return known;
}

/**
 * The TypeScript files that one file names, as paths from the root: imports, and programs or workers that it starts by
 * path (`new URL("./x.ts", import.meta.url)`, `path.join(import.meta.dirname, "x.ts")`).
 */
export function importsOf(file: string, content = text(file)): readonly string[] {
  return [...content.matchAll(/["'`]([\w./-]+\.ts)["'`]/g)].map((match) =>
    path.posix.join(path.posix.dirname(file), match[1]!),
  );
}

/** Everything that the given files reach by relative imports, themselves included. */
export function reachableFrom(entries: readonly string[], imports = importsOf): ReadonlySet<string> {
  const known = new Set(files);
  const seen = new Set<string>();
  const open = [...entries];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const next of imports(file)) if (known.has(next) && next.endsWith(".ts")) open.push(next);
  }
  return seen;
}
