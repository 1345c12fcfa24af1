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

  for (const [what, toml, says] of [
    ["is no TOML", '[server]\nlisten_addr = "127.0.0.1:0\n', /^fila\.toml:2: not valid TOML, near server\.listen_addr/],
    ["stops in the middle", "[server]\n\n\nlisten_addr =\n", /^fila\.toml:4: not valid TOML, near server\.listen_addr/],
    ["names a key twice", "[limits]\nmax_queues = 1\nmax_queues = 2\n", /^fila\.toml:3: .*limits\.max_queues/],
    [
      "has an unknown key",
      "[server]\nlisten_adr = 1\n",
      /^fila\.toml:2: unknown key server\.listen_adr; did you mean listen_addr in \[server\]\?/,
    ],
    [
      "has an unknown section",
      "[serve]\nlisten_addr = 1\n",
      /^fila\.toml:2: unknown key serve\.listen_addr; did you mean listen_addr in \[server\]\?/,
    ],
    ["has a value of the wrong kind", '\n[limits]\nmax_queues = "many"\n', /^fila\.toml:3: limits\.max_queues.*number/],
    ["has a value out of range", "[limits]\nmax_queues = 0\n", /^fila\.toml:2: limits\.max_queues.*1/],
    [
      "has an address that is none",
      '[server]\nlisten_addr = "here"\n',
      /^fila\.toml:2: server\.listen_addr must be an address like/,
    ],
    ["opens it to everybody", '[server]\nlisten_addr = "0.0.0.0:0"\n', /^fila\.toml:2: 0\.0\.0\.0:0 .*insecure = true/],
  ] as const) {
    test(`on a fila.toml that ${what}, and names file, line and key`, async (t) => {
      // The variable would win over the file.
      const env = toml.includes("listen_addr") ? { FILA_SERVER_LISTEN_ADDR: undefined } : {};
      assert.match(await refusal(t, { toml, env }), says);
    });
  }

  test("with an environment variable that cannot be used, which it names", async (t) => {
    assert.match(await refusal(t, { env: { FILA_LIMITS_MAX_QUEUES: "lots" } }), /^FILA_LIMITS_MAX_QUEUES.*number/);
    assert.match(await refusal(t, { env: { FILA_SERVER_LISTEN_ADDR: "nowhere" } }), /^FILA_SERVER_LISTEN_ADDR/);
  });

  test("with an argument that it does not know", async (t) => {
    assert.match(await refusal(t, { args: ["--port=1"] }), /unknown option '--port'; try --help/i);
  });

  test("with a named fila.toml that is not there", async (t) => {
    assert.match(await refusal(t, { args: ["--config", "other.toml"] }), /^other\.toml: /);
  });
});
