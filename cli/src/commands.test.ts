// The command as a process against a real broker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { text } from "node:stream/consumers";

const bin = path.join(import.meta.dirname, "../bin/fila");
const directory = mkdtempSync(path.join(tmpdir(), "fila-cli-"));
const { silentLog, startServer } = await import("@fila/server");
let addr = "";
let stop: () => Promise<void> = async () => {};

before(async () => {
  const settings = { "server.listen_addr": "127.0.0.1:0", "storage.data_dir": path.join(directory, "data") };
  const server = await startServer(settings, { log: silentLog });
  addr = `127.0.0.1:${server.address.port}`;
  stop = () => server.stop();
});
after(async () => {
  await stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawn(bin, args, { env: { ...process.env, FILA_ADDR: addr, ...env }, stdio: "pipe" });
}

async function fila(args: readonly string[], input: string | Uint8Array = ""): Promise<Ended> {
  const child = start(args);
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const closed = once(child, "close") as Promise<[number | null]>;
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { status, stdout, stderr };
}

async function depth(queue: string): Promise<number> {
  const { stdout } = await fila(["queue", "inspect", queue, "--json"]);
  return (JSON.parse(stdout) as { depth: number }).depth;
}

test("queues: the texts that scripts look for", async () => {
  assert.deepEqual(await fila(["queue", "create", "texts"]), {
    status: 0,
    stdout: 'Created queue "texts"\n',
    stderr: "",
  });
  const inspected = await fila(["queue", "inspect", "texts"]);
  assert.match(inspected.stdout, /^Queue: texts\nDepth: 0\n/);
  assert.match((await fila(["queue", "list"])).stdout, /^texts +0 +0 +0$/m);
  const flagsFirst = await fila(["--addr", addr, "--json", "queue", "list"]);
  assert.equal((JSON.parse(flagsFirst.stdout.split("\n")[0] ?? "") as { name: string }).name, "texts");
  assert.deepEqual(JSON.parse((await fila(["queue", "list", "--json"])).stdout.split("\n")[0] ?? ""), {
    name: "texts",
    depth: 0,
    inFlight: 0,
    activeConsumers: 0,
  });
  assert.deepEqual(await fila(["queue", "delete", "texts"]), {
    status: 0,
    stdout: 'Deleted queue "texts"\n',
    stderr: "",
  });
});

test("a message with everything that a flag can give comes out again", async () => {
  await fila(["queue", "create", "one"]);
  const flags = [
    "--key",
    "k",
    "--weight",
    "3",
    "--cost",
    "2",
    "--header",
    "a=b=c",
    "--header",
    "d=",
    "--throttle-key",
    "t",
  ];
  const { stdout: id } = await fila(["enqueue", "one", "héllo", ...flags]);
  const { stdout } = await fila(["consume", "one", "--max", "1", "--json"]);
  const message = JSON.parse(stdout) as Record<string, unknown>;
  assert.equal(`${String(message["id"])}\n`, id);
  assert.deepEqual(
    [message["payload"], message["encoding"], message["headers"], message["fairnessKey"], message["weight"]],
    ["héllo", "utf8", { a: "b=c", d: "" }, "k", 3],
  );
  assert.deepEqual([message["throttleKeys"], message["attempt"]], [["t"], 0]);
  assert.ok(Date.parse(String(message["leasedAt"])) >= Date.parse(String(message["enqueuedAt"])));
  assert.equal(await depth("one"), 0);
});

test("lines go in and out byte for byte; a line without a key is counted", async () => {
  await fila(["queue", "create", "lines"]);
  const input = Buffer.from("key1 a\r\n\nkey1 \xff\xfe\0\nkey1 last", "latin1");
  const enqueued = await fila(["enqueue", "lines", "--lines", "--key-regex", "^(key\\d)"], input);
  assert.equal(enqueued.status, 0);
  assert.match(enqueued.stderr, /^Enqueued 4 message\(s\) to "lines" in .*; 1 line\(s\) did not match --key-regex/);
  const child = start(["consume", "lines", "--exit-on-empty"]);
  const chunks = await Array.fromAsync(child.stdout as AsyncIterable<Buffer>);
  const sorted = (lines: string): string[] => lines.split("\n").toSorted();
  assert.deepEqual(sorted(Buffer.concat(chunks).toString("latin1")), sorted(`${input.toString("latin1")}\n`));
  const json = await fila(["enqueue", "lines", "--lines", "--json"], "a\nb\n");
  const { enqueued: count, failed, withoutKey } = JSON.parse(json.stdout) as Record<string, number>;
  assert.deepEqual([count, failed, withoutKey, json.stderr], [2, 0, 0, ""]);
  const binary = await fila(["enqueue", "lines", "--lines", "--key", "z"], Buffer.from([255, 0, 1]));
  assert.equal(binary.status, 0);
  const read = await fila(["consume", "lines", "--exit-on-empty", "--json"]);
  const payloads = read.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { payload: string; encoding: string });
  assert.deepEqual(payloads.find(({ encoding }) => encoding === "base64")?.payload, "/wAB");
});

test("what was not sent is told: a line beyond all measure ends the reading after what came before it", async () => {
  await fila(["queue", "create", "huge"]);
  const input = Buffer.concat([
    Buffer.from("first\nsecond\n"),
    Buffer.alloc(65 * 1024 * 1024, "x"),
    Buffer.from("\nlast\n"),
  ]);
  const { status, stderr } = await fila(["enqueue", "huge", "--lines"], input);
  assert.equal(status, 2);
  assert.match(stderr, /^fila: line 3: a line of the input is longer than \d+ bytes\n/);
  assert.match(stderr, /\nEnqueued 2 message\(s\) to "huge" in .*; nothing behind line 2 was sent\n$/);
  const json = await fila(["enqueue", "huge", "--lines", "--json"], input);
  const { enqueued, failed, stopped, error } = JSON.parse(json.stdout) as Record<string, unknown>;
  assert.deepEqual([enqueued, failed, stopped, (error as { line: number }).line], [2, 0, true, 3]);
});

test("an output that cannot be written is one line and no stack, and what was not written stays", async () => {
  await fila(["queue", "create", "full"]);
  await fila(["enqueue", "full", "only"]);
  for (const flags of [
    ["--max", "1"],
    ["--exit-on-empty", "--json"],
  ]) {
    const readOnly = openSync(bin, "r");
    const child = spawn(bin, ["consume", "full", ...flags], {
      env: { ...process.env, FILA_ADDR: addr },
      stdio: ["ignore", readOnly, "pipe"],
    });
    closeSync(readOnly);
    const [stderr, [status]] = await Promise.all([
      text(child.stderr!),
      once(child, "close") as Promise<[number | null]>,
    ]);
    assert.deepEqual(
      [status, stderr.split("\n")[0]],
      [1, "fila: the output cannot be written: EBADF: bad file descriptor, write"],
    );
    assert.doesNotMatch(stderr, /node:|at /);
  }
  const rest = await fila(["consume", "full", "--exit-on-empty", "--json"]);
  assert.equal((JSON.parse(rest.stdout) as { attempt: number }).attempt, 0);
});

test("a reader that leaves early ends it quietly, and what it did not take stays in the queue", async () => {
  await fila(["queue", "create", "head"]);
  const count = 20_000;
  await fila(["enqueue", "head", "--lines"], Array.from({ length: count }, (_, i) => `m${i}\n`).join(""));
  for (const flags of [[], ["--exit-on-empty"]]) {
    const before = await depth("head");
    const child = start(["consume", "head", ...flags]);
    const stderr = text(child.stderr);
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [status] = (await once(child, "close")) as [number | null];
    assert.deepEqual([status, await stderr], [0, ""]);
    const taken = before - (await depth("head"));
    // Written into the pipe before its end was closed: a few, because the window between print and ack starts at one.
    assert.ok(taken >= 1 && taken <= 2000, `${taken} taken`);
  }
  const rest = await fila(["consume", "head", "--exit-on-empty", "--json"]);
  for (const line of rest.stdout.trim().split("\n")) assert.equal((JSON.parse(line) as { attempt: number }).attempt, 0);
});

test("Ctrl-C once drains", async () => {
  await fila(["queue", "create", "drain"]);
  await fila(["enqueue", "drain", "only"]);
  const child = start(["consume", "drain"]);
  const stderr = text(child.stderr);
  await once(child.stdout, "data");
  child.kill("SIGINT");
  const [status] = (await once(child, "close")) as [number | null];
  assert.deepEqual([status, await stderr], [0, "1 message(s)\n"]);
  assert.equal(await depth("drain"), 0);
});

test("every failure has its exit status, one message, and one JSON object with --json", async () => {
  const cases: [number, RegExp, string[]][] = [
    [3, /queue "missing" does not exist; create it/, ["enqueue", "missing", "x"]],
    [3, /queue "missing" does not exist/, ["enqueue", "missing", "--lines"]],
    [3, /queue "missing" does not exist/, ["consume", "missing"]],
    [3, /queue "missing" does not exist/, ["consume", "missing", "--exit-on-empty"]],
    [3, /queue "missing" does not exist/, ["queue", "inspect", "missing"]],
    [6, /already exists|exists/, ["queue", "create", "again"]],
    [2, /must not contain control characters/, ["queue", "create", "a\tb"]],
    [2, /at most 255/, ["queue", "create", "q".repeat(256)]],
    [2, /no group/, ["enqueue", "again", "--lines", "--key-regex", "a"]],
    [2, /Invalid regular expression/, ["enqueue", "again", "--lines", "--key-regex", "("]],
    [2, /name=value/, ["enqueue", "again", "x", "--header", "a"]],
    [2, /greater than or equal to 1/, ["enqueue", "again", "x", "--weight", "0"]],
    [2, /less than or equal to 1000/, ["enqueue", "again", "x", "--weight", "1001"]],
    [2, /no message/, ["enqueue", "again"]],
    [2, /Nonexistent flag/, ["consume", "again", "--nope"]],
    [2, /Missing 1 required arg/, ["queue", "delete"]],
    [2, /no command "bogus"/, ["bogus"]],
    [
      5,
      /cannot reach a Fila server at http:\/\/127\.0\.0\.1:1: .*fila server/s,
      ["consume", "again", "--addr", "127.0.0.1:1"],
    ],
    [5, /cannot reach a Fila server/, ["queue", "list", "--addr", "127.0.0.1:1"]],
  ];
  await fila(["queue", "create", "again"]);
  await Promise.all(
    cases.map(async ([status, message, args]) => {
      const shown = args.join(" ");
      const plain = await fila(args, "line\n");
      assert.equal(plain.status, status, shown);
      assert.match(plain.stderr, message, shown);
      assert.equal(plain.stdout, "", shown);
      const json = await fila([...args, "--json"], "line\n");
      assert.equal(json.status, status, shown);
      assert.equal(json.stderr, "", shown);
      const { error } = JSON.parse(json.stdout) as { error: { message: string; exitCode: number; code: string } };
      assert.match(error.message, message, shown);
      assert.equal(error.exitCode, status, shown);
    }),
  );
});

test("help starts with examples", async () => {
  for (const args of [["--help"], ["enqueue", "--help"], ["queue", "create", "--help"]]) {
    const { status, stdout } = await fila(args);
    assert.equal(status, 0);
    assert.ok(stdout.indexOf("EXAMPLE") < stdout.indexOf("USAGE") && stdout.includes("EXAMPLE"), stdout);
  }
});

test("server: flags win over the environment; SIGTERM ends it with 0", async () => {
  const data = path.join(directory, "second");
  const printed = await fila(["server", "--data", data, "--listen", "127.0.0.1:0", "--print-config"]);
  assert.equal(printed.status, 0);
  assert.ok(printed.stdout.includes(data) && printed.stdout.includes("127.0.0.1:0"), printed.stdout);
  const child = start(["server", "--data", data, "--listen", "127.0.0.1:0"], { FILA_DATA_DIR: "/nonexistent" });
  const closed = once(child, "close");
  const [greeting] = (await once(child.stdout, "data")) as [Buffer];
  const port = /127\.0\.0\.1:(\d+)/.exec(greeting.toString())?.[1];
  const created = await fila(["queue", "create", "q", "--addr", `127.0.0.1:${port}`]);
  assert.equal(created.status, 0, created.stderr);
  child.kill("SIGTERM");
  assert.equal((await closed)[0], 0);
});
