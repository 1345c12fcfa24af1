// Directories of a test. Hooks of node:test run in the order in which they were registered, so one that removes a
// directory would run before those that close what still writes there; the end of the process comes after all of them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made: string[] = [];

process.once("exit", () => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});

/** A new directory in the system's place for such, `fila-<name>-…`; it is removed when the process ends. */
export function temporaryDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `fila-${name}-`));
  made.push(directory);
  return directory;
}
