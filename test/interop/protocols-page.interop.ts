// docs/protocols.md: each command of its blocks marked "console" is run as it stands there, and answers what stands there.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ServerProcess, root } from "../e2e/server-process.ts";

interface Shown {
  readonly command: string;
  readonly output: string;
}

function commands(page: string): Shown[] {
  const blocks = [...page.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block]) => block ?? "");
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => ({
        command: part.slice(0, part.indexOf("\n")),
        output: part.slice(part.indexOf("\n") + 1).trim(),
      })),
  );
}

function pattern(output: string): RegExp {
  return new RegExp(`^${output.split("...").map(RegExp.escape).join("[^]*")}$`);
}

test("every command of docs/protocols.md does what the page shows", async (t) => {
  const server = await ServerProcess.start(t, { env: { FILA_SERVER_CORS_ORIGINS: "https://app.example.com" } });
  const shown = commands(readFileSync(join(root, "docs/protocols.md"), "utf8"));
  assert.ok(shown.length > 10);
  for (const { command, output } of shown) {
    const here = command.replaceAll("127.0.0.1:5555", `127.0.0.1:${server.port}`);
    const { stdout } = await promisify(execFile)("sh", ["-c", here], { cwd: root });
    const said = stdout.replaceAll("\r", "").replaceAll(`127.0.0.1:${server.port}`, "127.0.0.1:5555").trim();
    assert.match(said, pattern(output), command);
  }
});
