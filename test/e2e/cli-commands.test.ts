// The command as a process against a real broker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { text } from "node:stream/consumers";
import { bin, ending, FilaCommand, says } from "./fila-command.ts";

const directory = mkdtempSync(path.join(tmpdir(), "fila-cli-"));
let cli: FilaCommand;
before(async () => (cli = await FilaCommand.withBroker()));
after(async () => {
  await cli.stop();
  rmSync(directory, { recursive: true, force: true });
});

const start = (args: readonly string[], env?: NodeJS.ProcessEnv) => cli.start(args, env);
const fila = (args: readonly string[], input?: string | Uint8Array) => cli.run(args, input);
const depth = (queue: string) => cli.depth(queue);

test("a word too many is named, whether or not the command takes arguments", async () => {
  for (const [line, said] of [
    ["health extra", /^fila: unexpected argument: extra; "fila health" takes none\n$/],
    ["queue list a:b --json", /"unexpected argument: a:b; \\"fila queue list\\" takes none"/],
    ["queue inspect q extra", /^fila: Unexpected argument: extra\n/],
  ] as const) {
    const { status, stdout, stderr } = await fila(line.split(" "));
    assert.match(stdout + stderr, said);
    assert.equal(status, 2);
  }
});

test("queues: the texts that scripts look for", async () => {
  assert.deepEqual(await fila(["queue", "create", "texts"]), {
    status: 0,
    stdout: 'Created queue "texts"\n',
    stderr: "",
  });
  const inspected = await fila(["queue", "inspect", "texts"]);
  assert.match(inspected.stdout, /^Queue: texts\nDepth: 0\n/);
  assert.match((await fila(["queue", "list"])).stdout, /^texts +0 +0 +0 +0$/m);
  const flagsFirst = await fila(["--addr", cli.addr, "--json", "queue", "list"]);
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
      env: { ...process.env, FILA_ADDR: cli.addr },
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
  const count = 5_000;
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

test("help says of each topic what it is about, not what its first command does", async () => {
  const { stdout: help } = await fila(["--help"]);
  const topics = help.slice(help.indexOf("TOPICS"), help.indexOf("COMMANDS")).matchAll(/^ {2}(\w+)/gm);
  const about = await Promise.all([...topics].map(([, topic]) => fila([topic!, "--help"])));
  assert.ok(about.length > 0);
  for (const { stdout } of about) {
    const [first = ""] = stdout.split("\n");
    assert.equal(stdout.split(first).length, 2, stdout);
  }
});

test("server: flags win over the environment; SIGTERM ends it with 0", async () => {
  const data = path.join(directory, "second");
  const printed = await cli.runProcess(["server", "--data", data, "--listen", "127.0.0.1:0", "--print-config"]);
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
  const refused = await cli.runProcess(["server", "--listen", "foo", "--data", data]);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^fila: --listen must be an address like "127\.0\.0\.1:5555" or .*, but is "foo"\n/);
});

test("dev: a broker in memory, whose curl works as it is printed, and nothing is kept", async () => {
  const dev = cli.start(["dev", "--port", "0"]);
  const ended = ending(dev);
  const greeting = await says(dev.stdout, /fila consume.*\n/);
  assert.match(greeting, /^A broker in memory serves at http:\/\/127\.0\.0\.1:\d+; nothing is kept when it ends/);
  const curl = /^ {2}(curl .*)$/m.exec(greeting)![1]!;
  const consume = /^ {2}(fila consume .*)$/m.exec(greeting)![1]!;
  const sent = await cli.shell(curl);
  assert.match(sent.stdout, /"messageId":"[\da-f-]{36}"/);
  assert.equal((await cli.shell(`${consume} --max 1`)).stdout, "hello from curl\n");
  const taken = await fila(["dev", "--port", /:(\d+)/.exec(greeting)![1]!]);
  assert.equal(taken.status, 6);
  assert.match(taken.stderr, /another program listens at .*; choose another port with --port/);
  dev.kill("SIGINT");
  assert.deepEqual([(await ended).status, (await ended).stderr], [0, "ended; nothing was kept\n"]);
});

test("dev: queues by name, and no address beyond this machine by accident", async () => {
  const dev = cli.start(["dev", "--port", "0", "--queue", "it's", "--queue", "b", "--json"]);
  const ended = ending(dev);
  const { url, queues } = JSON.parse(await says(dev.stdout, /\n/)) as { url: string; queues: string[] };
  assert.deepEqual(queues, ["it's", "b"]);
  const listed = await cli.json(["queue", "list", "--addr", url]);
  assert.deepEqual((listed as { name: string }[]).map(({ name }) => name).toSorted(), [
    "b",
    "b.dlq",
    "it's",
    "it's.dlq",
  ]);
  dev.kill("SIGTERM");
  assert.equal((await ended).status, 0);
  for (const [args, message] of [
    [["--listen", "0.0.0.0:0"], /can be reached from other machines.*add --insecure/],
    [["--listen", "nonsense"], /--listen must be an address/],
    [["--queue", ""], /must not be empty/],
  ] as const) {
    const refused = await fila(["dev", ...(args[0] === "--queue" ? ["--port", "0"] : []), ...args]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, message);
  }
});

test("health: serving, not serving, not there, and waited for", async (t) => {
  assert.deepEqual(await fila(["health"]), { status: 0, stdout: "serving\n", stderr: "" });
  // A server whose answers to Check can be chosen: 2 is NOT_SERVING, 1 is SERVING.
  const answers = [2, 2, 2, 1];
  const checked = http2.createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/proto" });
    response.end(Buffer.from([8, answers.shift()!]));
  });
  t.after(() => checked.close());
  checked.listen(0, "127.0.0.1");
  await once(checked, "listening");
  const there = ["health", "--addr", `127.0.0.1:${(checked.address() as AddressInfo).port}`];
  const not = await fila(there);
  assert.deepEqual([not.status, not.stdout], [5, ""]);
  assert.match(not.stderr, /^fila: not serving: /);
  assert.deepEqual(await fila([...there, "--wait", "1m"]), { status: 0, stdout: "serving\n", stderr: "" });
  assert.deepEqual(answers, []);
  checked.close();
  const gone = await fila([...there, "--wait", "250ms"]);
  assert.equal(gone.status, 5);
  assert.match(gone.stderr, /cannot reach a Fila server/);
  assert.equal((await fila(["health", "--wait", "soon"])).status, 2);
});

test("queue delete: a dry run deletes nothing; a script is not asked", async () => {
  await fila(["queue", "create", "doomed"]);
  await fila(["enqueue", "doomed", "x"]);
  const dry = await fila(["queue", "delete", "doomed", "--dry-run"]);
  assert.equal(dry.stdout, 'Would delete queue "doomed" with 1 message(s), 0 of them in flight\n');
  assert.equal(await depth("doomed"), 1);
  assert.equal((await fila(["queue", "delete", "doomed"])).stdout, 'Deleted queue "doomed"\n');
  assert.equal((await fila(["queue", "delete", "doomed", "--dry-run"])).status, 3);
});

test("the address: the flag wins over FILA_ADDR; what cannot be meant is told", async () => {
  const elsewhere = { FILA_ADDR: "127.0.0.1:1" };
  assert.equal((await cli.runProcess(["health"], "", elsewhere)).status, 5);
  assert.equal((await cli.runProcess(["health", "--addr", cli.addr], "", elsewhere)).status, 0);
  const cases: [number, string, RegExp][] = [
    [2, "ftp://x", /--addr \(or FILA_ADDR\): "ftp:\/\/x" begins with ftp:\/\//],
    [2, "localhost:5555/path", /something behind the port/],
    [5, `https://${cli.addr}`, /nothing there speaks TLS; write http:\/\//],
  ];
  for (const [status, addr, message] of cases) {
    const told = await fila(["health", "--addr", addr]);
    assert.equal(told.status, status);
    assert.match(told.stderr, message);
  }
});

test("the version and the help are found by every name, without colours in a pipe", async () => {
  const lines = ["--version", "-v", "version", "--json --version", "version --json"];
  const versions = await Promise.all(lines.map((line) => cli.runProcess(line.split(" "))));
  const [plain, short, command, json, commandJson] = versions.map(({ stdout }) => stdout);
  assert.match(plain!, /^fila \d+\.\d+\.\d+ \S+ node-v\d+\.\d+\.\d+\n$/);
  assert.deepEqual([short, command], [plain, plain]);
  assert.equal(json, commandJson);
  const { version } = JSON.parse(json!) as { version: string };
  assert.ok(plain!.startsWith(`fila ${version} `));
  const [help, flag, letter] = await Promise.all(
    [
      ["help", "enqueue"],
      ["enqueue", "--help"],
      ["enqueue", "-h"],
    ].map((args) => fila(args)),
  );
  assert.match(help!.stdout, /--key-from/);
  assert.deepEqual([flag, letter], [help, help]);
  assert.ok(versions.every(({ stdout }) => !stdout.includes("\u001b")) && !help!.stdout.includes("\u001b"));
});

test("a misspelt command or flag is told with what may be meant", async () => {
  assert.match((await fila(["enqeue", "q"])).stderr, /did you mean "fila enqueue"\?/);
  assert.match((await fila(["queue", "lsit"])).stderr, /did you mean "fila queue list"\?/);
  assert.match(
    (await fila(["enqueue", "q", "x", "--kee", "k"])).stderr,
    /Nonexistent flag: --kee; did you mean --key\?/,
  );
});
