// npm run mutants [-- WORD...]: puts each bug of this folder into a copy of the code, and sees that the named check finds
// it. A check that passes with its bug is worth nothing; so is one that fails without it.
import { availableParallelism } from "node:os";
import { describeCheck, readMutants, type Mutant } from "./mutant.ts";
import { WorkingCopy } from "./working-copy.ts";

const words = process.argv.slice(2);
const mutants = readMutants(import.meta.dirname).filter(
  ({ id }) => words.length === 0 || words.some((word) => id.includes(word)),
);
const problems: string[] = [];
/** Checks that passed on the code as it is. */
const sound = new Map<string, Promise<boolean>>();

async function main(): Promise<void> {
  const waiting = [...mutants];
  const workers = Array.from({ length: Math.min(4, availableParallelism(), waiting.length) }, async () => {
    const copy = new WorkingCopy();
    try {
      for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) await tryOne(copy, mutant);
    } finally {
      copy.remove();
    }
  });
  await Promise.all(workers);
  for (const problem of problems) console.error(problem);
  console.log(`${mutants.length - problems.length} of ${mutants.length} mutants are found`);
  if (problems.length > 0 || mutants.length === 0) process.exitCode = 1;
}

async function tryOne(copy: WorkingCopy, mutant: Mutant): Promise<void> {
  const problem = await problemOf(copy, mutant).catch((error: unknown) =>
    error instanceof Error ? error.message : String(error),
  );
  console.log(`${problem === undefined ? "found " : "MISSED"} ${mutant.id}: ${mutant.bug}`);
  if (problem !== undefined) problems.push(`${mutant.id}: ${problem}`);
}

/** undefined: the check finds the bug, and finds nothing without it. */
async function problemOf(copy: WorkingCopy, { check, patch, says }: Mutant): Promise<string | undefined> {
  const what = describeCheck(check);
  // The copy is unpatched now, and stays so until this has ended.
  const soundness = sound.get(what) ?? copy.run(check).then(({ passed }) => passed);
  sound.set(what, soundness);
  if (!(await soundness)) return `the check does not pass without the bug: ${what}`;
  copy.apply(patch);
  try {
    const { passed, failedItself, output } = await copy.run(check);
    if (passed) return `the check passes with the bug: ${what}`;
    if (!failedItself) return `something else than the check failed (${what}):\n${output.slice(-2_000)}`;
    if (says !== undefined && !says.test(output))
      return `the failure does not say ${String(says)} (${what}):\n${output.slice(-2_000)}`;
    return undefined;
  } finally {
    copy.revert(patch);
  }
}

await main();
