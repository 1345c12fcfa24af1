// The TypeScript in the documentation is correct: every block is checked as a file of its own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import ts from "typescript";

const root = path.join(import.meta.dirname, "../..");
/** What the blocks call and do not show. */
const preamble = "declare function sendEmail(to: string, signal?: AbortSignal): Promise<void>;";

test("TypeScript in README.md and docs/sdk.md passes the type checker", () => {
  const blocks = new Map<string, string>();
  for (const page of ["README.md", "docs/sdk.md"]) {
    const found = readFileSync(path.join(root, page), "utf8").matchAll(/^```ts\n(.*?)^```$/gms);
    // In examples/, from where the packages are found; nothing is written there.
    for (const [, code] of found) {
      blocks.set(path.join(root, `examples/block-${blocks.size + 1}-of-documentation.ts`), `${code}\n${preamble}\n`);
    }
  }
  assert.ok(blocks.size >= 7);
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.json"), (file) => ts.sys.readFile(file));
  const { options } = ts.convertCompilerOptionsFromJson((config as { compilerOptions: unknown }).compilerOptions, root);
  const host = ts.createCompilerHost(options);
  host.readFile = (file) => blocks.get(file) ?? ts.sys.readFile(file);
  host.fileExists = (file) => blocks.has(file) || ts.sys.fileExists(file);
  const program = ts.createProgram([...blocks.keys()], options, host);
  const complaints = [...blocks.keys()].flatMap((file) => {
    const source = program.getSourceFile(file);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  });
  const text = ts.formatDiagnostics(complaints, {
    getCanonicalFileName: (file) => file,
    getCurrentDirectory: () => root,
    getNewLine: () => "\n",
  });
  assert.equal(text, "");
});
