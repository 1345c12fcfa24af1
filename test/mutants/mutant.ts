// A mutant: a patch that puts one bug into the code, and the check that must find it. The header stands before the diff,
// one field per line:
//   bug: what the patch breaks, in one sentence
//   check: test FILE                 followed by   name: NAME OF THE TEST
//   check: simulation SEEDS STEPS
//   says: REGULAR EXPRESSION         what the failure must say; optional for a test
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

export type Check =
  | { readonly kind: "test"; readonly file: string; readonly name: string }
  | { readonly kind: "simulation"; readonly seeds: number; readonly steps: number };

export interface Mutant {
  /** Of the patch file, without its ending. */
  readonly id: string;
  readonly bug: string;
  readonly check: Check;
  readonly says: RegExp | undefined;
  /** The whole file; the header is no part of the diff, and git skips it. */
  readonly patch: string;
}

export function readMutants(folder: string): Mutant[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".patch"));
  return files
    .sort()
    .map((file) => parseMutant(file.slice(0, -".patch".length), readFileSync(path.join(folder, file), "utf8")));
}

export function parseMutant(id: string, patch: string): Mutant {
  const diffAt = patch.search(/^diff --git /m);
  if (diffAt < 0) throw new Error(`${id}: holds no diff; make it with git diff`);
  const fields = new Map<string, string>();
  for (const line of patch.slice(0, diffAt).split("\n")) {
    const [, field, value] = /^(bug|check|name|says): (.+)$/.exec(line) ?? [];
    if (field !== undefined && value !== undefined) fields.set(field, value.trim());
    else if (line.trim() !== "") throw new Error(`${id}: the header line "${line}" is none of bug, check, name, says`);
  }
  const bug = fields.get("bug");
  if (bug === undefined) throw new Error(`${id}: the header does not say what the bug is`);
  const says = fields.get("says");
  const check = parseCheck(id, fields);
  if (check.kind === "simulation" && says === undefined) {
    throw new Error(`${id}: a simulation can fail in many ways; say which one is meant (says:)`);
  }
  return { id, bug, check, says: says === undefined ? undefined : new RegExp(says), patch };
}

function parseCheck(id: string, fields: ReadonlyMap<string, string>): Check {
  const [kind, first, second] = (fields.get("check") ?? "").split(/\s+/);
  const name = fields.get("name");
  if (kind === "test" && first !== undefined && name !== undefined) return { kind, file: first, name };
  const [seeds, steps] = [Number(first), Number(second)];
  if (kind === "simulation" && seeds > 0 && steps > 0) return { kind, seeds, steps };
  throw new Error(`${id}: needs "check: test FILE" with "name: ...", or "check: simulation SEEDS STEPS"`);
}

export function describeCheck(check: Check): string {
  return check.kind === "test"
    ? `${check.file}: ${check.name}`
    : `simulation of ${check.seeds} seeds, ${check.steps} steps`;
}
