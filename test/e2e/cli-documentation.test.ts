// docs/cli.md says only what is true: its blocks are run, in order, against one broker, and print what the page shows.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { loadConfig } from "../../cli/src/command-line.ts";
import { exitCodes } from "../../cli/src/exit-codes.ts";
import { assertOutput, runnableBlocks } from "../interop/documentation.ts";
import { FilaCommand } from "./fila-command.ts";
import { runPlainly } from "./plain-shell.ts";
import { root } from "./server-process.ts";

const page = readFileSync(path.join(root, "docs/cli.md"), "utf8");

/** What a block prints. Without a shell where it needs none, which is much faster. */
async function outputOf(cli: FilaCommand, code: string, folder: string): Promise<string> {
  const printed = await runPlainly(code, (args) => cli.run(args));
  if (printed !== undefined) return printed;
  const { status, stdout } = await cli.shell(`set -eu; exec 2>&1\n${code}`, folder);
  assert.equal(status, 0, stdout);
  return stdout;
}

describe("docs/cli.md", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "fila-docs-"));
  let cli: FilaCommand;
  before(async () => (cli = await FilaCommand.withBroker()));
  after(async () => {
    await cli.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const blocks = runnableBlocks(page);
  assert.ok(blocks.length > 5, "the page has blocks that are run");
  for (const block of blocks) {
    test(`line ${block.line}: the example prints what the page shows`, async () => {
      assertOutput(await outputOf(cli, block.code, folder), block);
    });
  }

  test("names every command, every flag and every exit status", async () => {
    const config = await loadConfig(new URL("../../cli/src/main.ts", import.meta.url).href);
    for (const { id, flags } of config.commands) {
      const [first = "", second = first] = id.split(":");
      assert.match(page, new RegExp(`^## .*\`fila ${first}\``, "m"), id);
      assert.ok(page.includes(second), id);
      for (const flag of Object.keys(flags)) assert.ok(page.includes(`--${flag}`), `${id} --${flag}`);
    }
    for (const status of Object.values(exitCodes)) assert.match(page, new RegExp(`^\\| ${status} \\|`, "m"));
  });
});
