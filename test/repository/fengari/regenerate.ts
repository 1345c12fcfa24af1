// npm run fengari -- copy    writes the vendored copy anew: the files of the package with the patch
// npm run fengari -- patch   writes the patch anew, from a copy that was edited
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root } from "../tree.ts";
import { copyFolder, derive, ownFiles, patchFile } from "./derive.ts";

const copy = path.join(root, copyFolder);
const scratch = mkdtempSync(path.join(tmpdir(), "fila-fengari-"));
try {
  if (process.argv[2] === "copy") derive(copy);
  else if (process.argv[2] === "patch") writeFileSync(patchFile, difference());
  else throw new Error("say copy or patch");
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function difference(): string {
  derive(path.join(scratch, "a"), false);
  cpSync(copy, path.join(scratch, "b"), { recursive: true });
  for (const file of ownFiles) rmSync(path.join(scratch, "b", file));
  const args = ["diff", "--no-index", "--no-prefix", "--no-color", "a", "b"];
  return spawnSync("git", args, { cwd: scratch, encoding: "utf8", maxBuffer: 64 << 20 }).stdout;
}
