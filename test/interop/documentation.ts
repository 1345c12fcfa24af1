// The blocks of a page of docs/ that are to be run, each with the output that the page shows for it.
import assert from "node:assert/strict";

export interface Block {
  readonly language: string;
  /** The line of its first line, for the name of the test. */
  readonly line: number;
  readonly code: string;
  /** "..." stands for anything. Undefined: the page shows none. */
  readonly output: string | undefined;
}

/** Blocks marked "run"; a block marked "text output" right behind one belongs to it. */
export function runnableBlocks(page: string): Block[] {
  const fences = [...page.matchAll(/^```(\w+) (run|output)\n(.*?)^```$/gms)];
  const blocks: Block[] = [];
  fences.forEach(({ 1: language, 2: mark, 3: code, index }, at) => {
    if (mark !== "run") {
      assert.equal(fences[at - 1]?.[2], "run", "output belongs to a block that is run");
      return;
    }
    const behind = fences[at + 1];
    blocks.push({
      language: language!,
      line: page.slice(0, index).split("\n").length + 1,
      code: code!,
      output: behind?.[2] === "output" ? behind[3] : undefined,
    });
  });
  return blocks;
}

/** Compares what a block printed with what the page shows. */
export function assertOutput(actual: string, { output }: Block): void {
  if (output === undefined) return;
  const pattern = output
    .trim()
    .split("...")
    .map((part) => RegExp.escape(part))
    .join(".*?");
  assert.match(actual.trim(), new RegExp(`^${pattern}$`, "s"));
}
