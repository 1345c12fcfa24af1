// A copy of the working tree, as it is now, in which patches can be tried without anybody noticing.
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Check } from "./mutant.ts";

const root = path.join(import.meta.dirname, "../..");
/** A mutant may loop for ever. */
const longestCheckMs = 90_000;

export interface CheckResult {
  readonly passed: boolean;
  /** The check itself failed, and not the way to it: an import, a timeout. */
  readonly failedItself: boolean;
  readonly output: string;
}

export class WorkingCopy {
  readonly folder = mkdtempSync(path.join(tmpdir(), "fila-mutant-"));

  constructor() {
    const args = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    const listed = spawnSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 });
    if (listed.status !== 0) throw new Error(`git ls-files: ${listed.stderr}`);
    for (const file of listed.stdout.split("\0")) {
      const from = path.join(root, file);
      if (file === "" || !existsSync(from)) continue;
      const to = path.join(this.folder, file);
      mkdirSync(path.dirname(to), { recursive: true });
      copyFileSync(from, to);
    }
    this.#linkPackages();
  }

  /** Packages are shared, but for the workspaces: those must be the copy's own. */
  #linkPackages(): void {
    const modules = path.join(this.folder, "node_modules");
    mkdirSync(path.join(modules, "@fila"), { recursive: true });
    for (const name of readdirSync(path.join(root, "node_modules"))) {
      if (name !== "@fila" && name !== ".cache")
        symlinkSync(path.join(root, "node_modules", name), path.join(modules, name));
    }
    for (const name of readdirSync(path.join(root, "node_modules/@fila"))) {
      symlinkSync(path.join(this.folder, name), path.join(modules, "@fila", name));
    }
  }

  apply(patch: string): void {
    this.#git(patch, []);
  }

  revert(patch: string): void {
    this.#git(patch, ["--reverse"]);
  }

  #git(patch: string, options: readonly string[]): void {
    const { status, stderr } = spawnSync("git", ["apply", ...options, "-"], {
      cwd: this.folder,
      input: patch,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`the patch does not apply: ${stderr.trim()}`);
  }

  async run(check: Check): Promise<CheckResult> {
    const node = [process.execPath, "--conditions=@fila/source"] as const;
    if (check.kind === "simulation") {
      const { code, output } = await this.#spawn([
        ...node,
        "test/simulation/main.ts",
        "--seeds",
        String(check.seeds),
        "--steps",
        String(check.steps),
      ]);
      return { passed: code === 0, failedItself: code === 1 && /^Error: seed \d+, step/m.test(output), output };
    }
    const pattern = check.name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const options = ["--test", "--test-isolation=none", "--test-reporter=tap", `--test-name-pattern=${pattern}`];
    const { code, output } = await this.#spawn([...node, ...options, check.file]);
    const line = (verdict: string): boolean => output.split("\n").some((each) => isVerdict(each, verdict, check.name));
    return { passed: code === 0 && line("ok"), failedItself: code === 1 && line("not ok"), output };
  }

  #spawn(command: readonly string[]): Promise<{ code: number | null; output: string }> {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: longestCheckMs,
      killSignal: "SIGKILL",
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, output }));
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Whether a line of TAP says this about this test. */
function isVerdict(line: string, verdict: string, name: string): boolean {
  const [, said, said2] = /^\s*(ok|not ok) \d+ - (.*?)(?: # .*)?$/.exec(line) ?? [];
  return said === verdict && said2 === name;
}
