// The server as a process of its own, as npm start, systemd and the SDKs' tests run it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import type { TestContext } from "node:test";
import { startServer, silentLog, StartError } from "./index.ts";

const main = path.join(import.meta.dirname, "main.ts");
const scratch = mkdtempSync(path.join(tmpdir(), "fila-server-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly errors: () => string;
  /** Resolves with the exit code (or the signal) when the process has ended and its output is complete. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Resolves when stdout or stderr matches. */
  readonly says: (pattern: RegExp) => Promise<void>;
}

interface RunOptions {
  readonly toml?: string;
  readonly env?: Record<string, string>;
  readonly args?: readonly string[];
  readonly cwd?: string;
}

function run(t: TestContext, { toml, env = {}, args = [], cwd = newDirectory() }: RunOptions = {}): Run {
  if (toml !== undefined) writeFileSync(path.join(cwd, "fila.toml"), toml);
  const child = spawn(process.execPath, ["--conditions=@fila/source", main, ...args], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", FILA_SERVER_LISTEN_ADDR: "127.0.0.1:0", ...env },
  });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  const says = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(output) && !pattern.test(errors)) {
      await Promise.race([
        once(child.stdout, "data"),
        once(child.stderr, "data"),
        ended.then((code) => assert.fail(`ended with ${code}: ${errors}`)),
      ]);
    }
  };
  return { child, output: () => output, errors: () => errors, ended, says };
}

function newDirectory(): string {
  return mkdtempSync(path.join(scratch, "run-"));
}

const listQueues = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };

/** The curl lines of the greeting, done with fetch. */
async function doAsGreeted(output: string): Promise<unknown[]> {
  const answers = [];
  for (const [, url, header, body] of output.matchAll(/curl (\S+) -H '([^']+)' -d '([^']+)'/g)) {
    const [name, value] = header!.split(": ");
    const response = await fetch(url!, { method: "POST", headers: { [name!]: value! }, body: body! });
    assert.equal(response.status, 200);
    answers.push(await response.json());
  }
  return answers;
}

describe("the server process", () => {
  it("starts without flags, says where it is and how to use it, and ends with 0 on SIGTERM", async (t) => {
    const cwd = newDirectory();
    const server = run(t, { cwd });
    await server.says(/Enqueue/);
    const [created, enqueued] = await doAsGreeted(server.output());
    assert.deepEqual(created, { queueId: "orders" });
    assert.match((enqueued as { messageId: string }).messageId, /^[0-9a-f-]{36}$/);
    assert.equal(statSync(path.join(cwd, "fila-data")).mode & 0o777, 0o700);
    server.child.kill("SIGTERM");
    assert.equal(await server.ended, 0);
    assert.match(server.errors(), /"level":"info",.*"msg":"stopping; /);
    // What was acknowledged is there after the restart.
    const again = run(t, { cwd });
    await again.says(/Enqueue/);
    const url = /http:\/\/[^/]+/.exec(again.output())![0];
    const stats = await fetch(`${url}/fila.v1.FilaAdmin/GetStats`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"queue":"orders"}',
    });
    assert.equal(((await stats.json()) as { depth: string }).depth, "1");
    again.child.kill("SIGINT");
    assert.equal(await again.ended, 0);
  });

  it("changes the level of its log on SIGUSR2, and back", { skip: process.platform === "win32" }, async (t) => {
    const server = run(t, { toml: '[telemetry]\nlog_level = "warn"\n' });
    await server.says(/Enqueue/);
    for (const level of ["debug", "warn"]) {
      server.child.kill("SIGUSR2");
      await server.says(new RegExp(`"log_level":"${level}"`));
    }
    server.child.kill("SIGTERM");
    assert.equal(await server.ended, 0);
    assert.doesNotMatch(server.errors(), /"msg":"stopping/);
  });

  it("ends with its deadline while a worker keeps a message, and at once on a second signal", async (t) => {
    for (const [drainMs, signals] of [
      ["1", 1],
      ["600000", 2],
    ] as const) {
      const server = run(t, { env: { FILA_SERVER_DRAIN_DEADLINE_MS: drainMs } });
      await server.says(/Enqueue/);
      await doAsGreeted(server.output());
      const url = /http:\/\/[^/]+/.exec(server.output())![0];
      const request = Buffer.from('\0\0\0\0\x12{"queue":"orders"}');
      const held = await fetch(`${url}/fila.v1.FilaService/Consume`, {
        method: "POST",
        headers: { "content-type": "application/connect+json" },
        body: request,
      });
      const reader = held.body!.getReader();
      await reader.read();
      server.child.kill("SIGTERM");
      await server.says(/"msg":"stopping; /);
      if (signals === 2) server.child.kill("SIGTERM");
      assert.equal(await server.ended, signals - 1);
      await reader.cancel().catch(() => undefined);
    }
  });

  it("shows the configuration that holds", async (t) => {
    const server = run(t, { args: ["--print-config"], toml: "[limits]\nmax_queues = 7\n" });
    assert.equal(await server.ended, 0);
    assert.match(server.output(), /max_queues = 7 +# fila\.toml:2/);
    assert.match(server.output(), /listen_addr = "127\.0\.0\.1:0" +# environment FILA_SERVER_LISTEN_ADDR/);
  });

  it("reads the file that it is told to, which must be there", async (t) => {
    const missing = run(t, { args: ["--config", "other.toml"] });
    assert.equal(await missing.ended, 1);
    assert.match(missing.errors(), /other\.toml: there is no such file/);
    const server = run(t, { args: ["--config", "fila.toml", "--print-config"], toml: "[limits]\nmax_queues = 8\n" });
    assert.equal(await server.ended, 0);
    assert.match(server.output(), /max_queues = 8 +# fila\.toml:2/);
  });

  it("speaks JSON to programs, also of failures", async (t) => {
    const server = run(t, { args: ["--json"] });
    await server.says(/"dataDir"/);
    const { url, host, port, dataDir } = JSON.parse(server.output()) as Record<string, unknown>;
    assert.deepEqual([url, host, dataDir], [`http://127.0.0.1:${String(port)}`, "127.0.0.1", "./fila-data"]);
    assert.equal((await fetch(`${String(url)}/fila.v1.FilaAdmin/ListQueues`, listQueues)).status, 200);
    server.child.kill("SIGTERM");
    assert.equal(await server.ended, 0);

    const shown = run(t, { args: ["--print-config", "--json"], toml: "[limits]\nmax_queues = 7\n" });
    assert.equal(await shown.ended, 0);
    assert.deepEqual(JSON.parse(shown.output())["limits.max_queues"], { value: 7, origin: "fila.toml:2" });

    for (const args of [["--config", "other.toml"], ["--port"]]) {
      const refused = run(t, { args: [...args, "--json"] });
      assert.equal(await refused.ended, 1);
      assert.equal(refused.errors(), "");
      const { error } = JSON.parse(refused.output());
      assert.deepEqual([error.reason, error.exitCode], ["START_FAILED", 1]);
      assert.match(error.message, /other\.toml: there is no such file|'--port'; try --help/);
    }
  });

  it("warns once of keys without effect", async (t) => {
    const server = run(t, { toml: "[scheduler]\nquantum = 1\n" });
    await server.says(/Enqueue/);
    assert.match(
      server.errors(),
      /^\{"level":"warn",.*"msg":"fila\.toml: accepted, but without effect: scheduler\.quantum/,
    );
    server.child.kill("SIGTERM");
    assert.equal(await server.ended, 0);
  });
});

describe("startServer", () => {
  it("runs a broker within another program", async () => {
    const settings = { "server.listen_addr": "127.0.0.1:0", "storage.data_dir": path.join(newDirectory(), "data") };
    const server = await startServer(settings, { log: silentLog });
    const { status } = await fetch(`${server.url}/fila.v1.FilaAdmin/ListQueues`, listQueues);
    assert.equal(status, 200);
    assert.notEqual(server.address.port, 0);
    await assert.rejects(startServer(settings, { log: silentLog }), StartError);
    const stopped = server.stop();
    assert.equal(server.stop(), stopped);
    await stopped;
    await assert.rejects(fetch(server.url));
    await (await startServer(settings, { log: silentLog })).stop();
  });

  it("keeps nothing with memory as its storage", async () => {
    const unused = path.join(newDirectory(), "unused");
    const settings = { "server.listen_addr": "127.0.0.1:0", "storage.data_dir": unused };
    for (let life = 0; life < 2; life++) {
      const server = await startServer(settings, { log: silentLog, storage: "memory" });
      const create = { ...listQueues, body: '{"name":"q"}' };
      assert.equal((await fetch(`${server.url}/fila.v1.FilaAdmin/CreateQueue`, create)).status, 200);
      assert.notEqual((await fetch(`${server.url}/fila.v1.FilaAdmin/CreateQueue`, create)).status, 200);
      await server.stop();
    }
    assert.equal(existsSync(unused), false);
  });

  it("rejects settings that cannot be used", async () => {
    await assert.rejects(startServer({ "server.listen_addr": "0.0.0.0:0" }), StartError);
  });
});
