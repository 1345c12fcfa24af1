// Every example is a program: it is run against a broker of its own, and must print what its "Prints:" comment says.
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";

const folder = import.meta.dirname;
const scratch = mkdtempSync(path.join(tmpdir(), "fila-examples-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** The comment at the end of an example: "// Prints:", then one line each. */
function promised(source: string): string {
  const [, lines] = source.split("// Prints:\n");
  return (lines ?? "").replaceAll(/^\/\/ {0,3}/gm, "");
}

/** Resolves with the address that the broker prints once it serves. */
function address(broker: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (found !== null) resolve(found[0]);
    };
    broker.stdout?.on("data", listen);
    broker.stderr?.on("data", listen);
    broker.once("error", reject);
    broker.once("exit", (code) => reject(new Error(`the broker ended with ${code} before it served:\n${said}`)));
  });
}

describe("examples", () => {
  let broker: ChildProcess;
  let url: string;
  let run = 0;
  beforeEach(async () => {
    run += 1;
    const env = {
      ...process.env,
      FILA_DATA_DIR: path.join(scratch, `data-${run}`),
      FILA_SERVER_LISTEN_ADDR: "127.0.0.1:0",
    };
    broker = spawn(path.join(folder, "../server/bin/fila-server"), [], { cwd: scratch, env });
    url = await address(broker);
  });
  afterEach(async () => {
    const ended = once(broker, "exit");
    broker.kill("SIGTERM");
    await ended;
  });

  const names = globSync("[0-9]*.ts", { cwd: folder }).filter((name) => !name.endsWith(".test.ts"));
  assert.ok(names.length > 0, "there are examples");
  for (const name of names.toSorted()) {
    test(name, () => {
      const wanted = promised(readFileSync(path.join(folder, name), "utf8"));
      assert.notEqual(wanted, "", `${name}: ends with no "// Prints:" comment`);
      const done = spawnSync(process.execPath, ["--conditions=@fila/source", path.join(folder, name)], {
        env: { ...process.env, FILA_URL: url },
        encoding: "utf8",
        timeout: 20_000,
      });
      assert.equal(done.stderr, "");
      assert.equal(done.status, 0);
      assert.equal(done.stdout, wanted);
    });
  }
});
