// docs/clients.md says only what works: its blocks are run, in order, against one broker.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { ServerProcess, root } from "../e2e/server-process.ts";
import { PageServer, startBrowser } from "./browser.ts";
import { type Block, assertOutput, runnableBlocks } from "./documentation.ts";
import { generateStubs, python } from "./python-program.ts";
import { suiteScope } from "./suite-scope.ts";

const blocks = runnableBlocks(readFileSync(join(root, "docs/clients.md"), "utf8"));

describe("docs/clients.md", () => {
  const scope = suiteScope();
  let server: ServerProcess;
  let pages: PageServer;
  let stubs: string;
  before(async () => {
    stubs = generateStubs(scope, "proto");
    pages = await PageServer.start(scope);
    server = await ServerProcess.start(scope, { env: { FILA_SERVER_CORS_ORIGINS: pages.origin } });
  });

  function run(program: string, code: string): string {
    const bin = join(root, "node_modules/.bin");
    const env = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}`, PYTHONPATH: stubs };
    return execFileSync(program, ["-c", code], { cwd: root, env, encoding: "utf8", stdio: "pipe" });
  }

  async function runInBrowser(code: string): Promise<string> {
    await pages.serve(code);
    const tab = await (await startBrowser(scope)).newPage();
    const said = tab.waitForEvent("console");
    await tab.goto(pages.origin);
    return (await said).text();
  }

  async function outputOf({ language, code }: Block): Promise<string> {
    const here = code.replaceAll("127.0.0.1:5555", `127.0.0.1:${server.port}`);
    if (language === "sh") return run("bash", `set -eu -o pipefail\n${here}`);
    if (language === "python") return run(python, here);
    assert.equal(language, "ts", `a block in ${language} can be run`);
    return runInBrowser(here);
  }

  test("has a block for each way to call", () => {
    assert.deepEqual(new Set(blocks.map(({ language }) => language)), new Set(["sh", "python", "ts"]));
  });

  for (const block of blocks) {
    test(`line ${block.line}: the ${block.language} works as it stands`, async () => {
      assertOutput(await outputOf(block), block);
    });
  }
});
