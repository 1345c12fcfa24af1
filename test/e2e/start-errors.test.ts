// A server that cannot start says why in one line on standard error, and ends with 1.
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Scope, type ServerOptions, ServerProcess, runToEnd } from "./server-process.ts";
import { temporaryDirectory } from "../temporary.ts";

/** What it says, without its name. */
async function refusal(scope: Scope, options: ServerOptions): Promise<string> {
  const run = await runToEnd(scope, options);
  assert.equal(run.code, 1, run.errors);
  assert.equal(run.output, "");
  const [, message] = /^fila-server: ([^\n]+)\n$/.exec(run.errors) ?? [];
  assert.ok(message !== undefined, `not one line: ${run.errors}`);
  return message;
}

describe("the server refuses to start", () => {
  test("on a data directory that another broker has, which goes on unharmed", async (t) => {
    const server = await ServerProcess.start(t);
    await server.ok("FilaAdmin/CreateQueue", { name: "orders" });
    await server.ok("FilaService/Enqueue", { queue: "orders" });
    const FILA_DATA_DIR = join(server.directory, "data");
    const message = await refusal(t, { env: { FILA_DATA_DIR } });
    assert.match(message, /data: another process has it open.*(stop|another)/);
    await server.ok("FilaService/Enqueue", { queue: "orders" });
    await server.kill();
    await server.restart();
    assert.equal((await server.stats("orders")).depth, 2);
  });

  test("on a data directory that it cannot write", async (t) => {
    const directory = temporaryDirectory("e2e");
    const file = join(directory, "file");
    writeFileSync(file, "mine");
    for (const FILA_DATA_DIR of [file, join(file, "below")]) {
      const message = await refusal(t, { env: { FILA_DATA_DIR } });
      assert.ok(message.includes(FILA_DATA_DIR), message);
      assert.match(message, /choose another|FILA_DATA_DIR/);
    }
    assert.equal(readFileSync(file, "utf8"), "mine");
    // Not even root may make a directory there.
    if (process.platform === "linux") {
      assert.match(await refusal(t, { env: { FILA_DATA_DIR: "/sys/fila" } }), /cannot be written/);
    }
    // Root may write everywhere.
    if (process.getuid?.() === 0) return;
    const locked = join(directory, "locked");
    mkdirSync(locked);
    chmodSync(locked, 0o500);
    assert.match(await refusal(t, { env: { FILA_DATA_DIR: locked } }), /locked: .*cannot be written/);
  });

  test("on a data directory that holds something else", async (t) => {
    const directory = temporaryDirectory("e2e");
    const FILA_DATA_DIR = join(directory, "photos");
    mkdirSync(FILA_DATA_DIR);
    writeFileSync(join(FILA_DATA_DIR, "holiday.jpg"), "x");
    assert.match(await refusal(t, { env: { FILA_DATA_DIR } }), /photos: .*(empty|another)/);
    assert.deepEqual(readdirSync(FILA_DATA_DIR), ["holiday.jpg"]);
  });

  test("on a port that is in use, and leaves the data directory to the next", async (t) => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    t.after(() => other.close());
    const { port } = other.address() as { port: number };
    const cwd = temporaryDirectory("e2e");
    const env = { FILA_SERVER_LISTEN_ADDR: `127.0.0.1:${port}` };
    assert.match(
      await refusal(t, { cwd, env }),
      new RegExp(
        `127\\.0\\.0\\.1:${port}: another program listens there: stop it, or choose another address.*listen_addr`,
      ),
    );
    const server = await ServerProcess.start(t, { cwd });
    assert.equal(await server.stop(), 0);
  });

  // The other mistakes that a file may have are with the reader of configuration.
  for (const [what, toml, says] of [
    ["is no TOML", '[server]\nlisten_addr = "127.0.0.1:0\n', /^fila\.toml:2: not valid TOML, near server\.listen_addr/],
    ["opens it to everybody", '[server]\nlisten_addr = "0.0.0.0:0"\n', /^fila\.toml:2: 0\.0\.0\.0:0 .*insecure = true/],
  ] as const) {
    test(`on a fila.toml that ${what}, and names file, line and key`, async (t) => {
      // The variable would win over the file.
      assert.match(await refusal(t, { toml, env: { FILA_SERVER_LISTEN_ADDR: undefined } }), says);
    });
  }

  test("with an environment variable that cannot be used, which it names", async (t) => {
    assert.match(await refusal(t, { env: { FILA_LIMITS_MAX_QUEUES: "lots" } }), /^FILA_LIMITS_MAX_QUEUES.*number/);
  });

  test("with an argument that it does not know", async (t) => {
    assert.match(await refusal(t, { args: ["--port=1"] }), /unknown option '--port'; try --help/i);
  });

  test("with a named fila.toml that is not there", async (t) => {
    assert.match(await refusal(t, { args: ["--config", "other.toml"] }), /^other\.toml: /);
  });
});
