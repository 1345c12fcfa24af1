// `fila consume --exec`: a command per message. Commands wait at named pipes, which the test opens when it is time.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { connect } from "@fila/sdk";
import { ending, FilaCommand, says } from "./fila-command.ts";

const directory = realpathSync(mkdtempSync(path.join(tmpdir(), "fila-exec-")));
let cli: FilaCommand;
before(async () => (cli = await FilaCommand.withBroker()));
after(async () => {
  await cli.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A queue with these messages, each under a key of its own name. */
async function queueWith(queue: string, messages: readonly string[], flags: readonly string[] = []): Promise<void> {
  await cli.run(["queue", "create", queue, ...flags]);
  await cli.run(["enqueue", queue, "--lines", "--key-regex", "(.*)"], messages.join("\n"));
}

/** A command that waits there until the test writes a line. */
function gate(name: string): { readonly command: string; readonly open: () => Promise<void> } {
  const file = path.join(directory, name);
  assert.equal(spawnSync("mkfifo", [file]).status, 0);
  return { command: `read line < '${file}'`, open: () => writeFile(file, "go\n") };
}

interface Handled {
  readonly settled: string;
  readonly exitCode: number | null;
  readonly error: string;
  readonly attempt: number;
  readonly fairnessKey: string;
}

test("the command gets the message, and its exit status settles it", async () => {
  await queueWith("settle", ["good", "bad"]);
  const { id } = (await cli.json(["enqueue", "settle", "third\n", "--key", "k 3", "--header", 'a=b"c']))[0] as {
    id: string;
  };
  const command =
    'cat; echo "$FILA_MESSAGE_ID $FILA_QUEUE $FILA_FAIRNESS_KEY $FILA_ATTEMPT $FILA_HEADERS" >&2; ' +
    '[ "$FILA_FAIRNESS_KEY" != bad ] || [ "$FILA_ATTEMPT" -gt 0 ] || { echo first >&2; echo " no good " >&2; exit 9; }';
  const ended = await cli.run(["consume", "settle", "--max", "3", "--exec", command]);
  assert.equal(ended.status, 0);
  assert.equal(ended.stdout.split("bad").length, 2);
  assert.match(ended.stdout, /good/);
  assert.match(ended.stdout, /third\n/);
  assert.ok(ended.stderr.includes(`${id} settle k 3 0 {"a":"b\\"c"}\n`), ended.stderr);
  assert.match(ended.stderr, /^fila: message \S+ was nacked: exit 9: no good$/m);
  assert.match(ended.stderr, /^3 message\(s\): 2 acked, 1 nacked$/m);
  // It comes again when its backoff is over.
  const again = await cli.run(["consume", "settle", "--max", "1", "--exec", command]);
  assert.match(again.stderr, /^1 message\(s\): 1 acked, 0 nacked$/m);
  assert.equal(again.stdout.split("bad").length, 2, "the bad one came again");
  assert.equal(await cli.depth("settle"), 0);
});

test("--json tells of each message; --max counts them; the program can stand behind --", async () => {
  await queueWith("json", ["a", "b", "c"]);
  const script = 'process.stdout.write("out"); process.exit(process.argv[1] === "--json" ? 5 : 0)';
  const ended = await cli.run([
    "consume",
    "json",
    "--max",
    "2",
    "--json",
    "--exec",
    "--",
    process.execPath,
    "-e",
    script,
    "--",
    "--json",
  ]);
  assert.deepEqual([ended.status, ended.stderr], [0, "outout"]);
  const told = ended.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Handled);
  assert.deepEqual(
    told.map(({ settled, exitCode, error, attempt }) => [settled, exitCode, error, attempt]),
    [
      ["nack", 5, "exit 5", 0],
      ["nack", 5, "exit 5", 0],
    ],
  );
  assert.equal(await cli.depth("json"), 3);
});

test("a signal that ends the command is a nack; a program that is not there ends fila, and the message stays as it was", async () => {
  await queueWith("broken", ["m"]);
  const killed = await cli.json(["consume", "broken", "--max", "1", "--exec", "kill -9 $$"]);
  assert.deepEqual([(killed[0] as Handled).settled, (killed[0] as Handled).error], ["nack", "killed by SIGKILL"]);
  const missing = await cli.run(["consume", "broken", "--exec", "--", "/no/such/program"]);
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /^fila: the command of --exec cannot be run: spawn \/no\/such\/program ENOENT/);
  const [message] = (await cli.json(["consume", "broken", "--max", "1"])) as Handled[];
  assert.equal(message!.attempt, 1);
});

test("a lease is extended while its command runs", async () => {
  const { command, open } = gate("extended");
  await queueWith("extended", ["m"], ["--visibility-timeout", "1000"]);
  const child = cli.start(["consume", "extended", "--max", "1", "--exec", `echo started; ${command}`]);
  const ended = ending(child);
  await says(child.stdout, /started/);
  await using fila = connect(cli.addr);
  // Nobody else gets the message, for twice as long as a lease lasts.
  assert.deepEqual(await fila.lease("extended", { wait: "2s" }), []);
  await open();
  const { status, stderr } = await ended;
  assert.deepEqual([status, stderr], [0, "1 message(s): 1 acked, 0 nacked\n"]);
});

test("--concurrency is how many commands run, and how many messages are leased", async () => {
  const gates = new Map(["a", "b", "c"].map((key) => [key, gate(`at-${key}`)]));
  await queueWith("parallel", [...gates.keys()]);
  const command = `echo "began $FILA_FAIRNESS_KEY"; read line < '${directory}/at-'"$FILA_FAIRNESS_KEY"`;
  const child = cli.start(["consume", "parallel", "--exit-on-empty", "--concurrency", "2", "--exec", command]);
  const ended = ending(child);
  const began = await says(child.stdout, /(began .\n[^]*){2}/);
  const third = says(child.stdout, /began .\n/);
  const [stats] = (await cli.json(["queue", "inspect", "parallel"])) as [{ depth: number; inFlight: number }];
  assert.deepEqual([stats.depth, stats.inFlight], [3, 2]);
  const [, first] = /began (.)/.exec(began)!;
  await gates.get(first!)!.open();
  const all = began + (await third);
  const others = [...gates.keys()].filter((key) => key !== first);
  assert.deepEqual([...all.matchAll(/began (.)/g)].map(([, key]) => key).toSorted(), ["a", "b", "c"]);
  await Promise.all(others.map((key) => gates.get(key)!.open()));
  const { status, stderr } = await ended;
  assert.deepEqual([status, stderr], [0, "3 message(s): 3 acked, 0 nacked\n"]);
});

test("Ctrl-C takes no more messages and waits for the commands that run", async () => {
  const { command, open } = gate("drained");
  await queueWith("drained", ["a", "b"]);
  const child = cli.start(["consume", "drained", "--exec", `echo began; ${command}`]);
  const ended = ending(child);
  await says(child.stdout, /began/);
  const told = says(child.stderr, /waiting for 1 command\(s\) to end; Ctrl-C again kills them\n/);
  child.kill("SIGINT");
  await told;
  await open();
  const { status, stdout } = await ended;
  assert.deepEqual([status, stdout], [0, "began\n"]);
  const rest = (await cli.json(["consume", "drained", "--exit-on-empty"])) as Handled[];
  assert.deepEqual(
    rest.map(({ attempt }) => attempt),
    [0],
  );
});

test("a second Ctrl-C kills the commands with all that they started, and their messages go back", async () => {
  const { command } = gate("killed");
  await queueWith("killed", ["a"]);
  const child = cli.start(["consume", "killed", "--exec", `sh -c 'echo $$; ${command.replaceAll("'", '"')}'; true`]);
  const ended = ending(child);
  const pid = Number(await says(child.stdout, /\d+\n/));
  const told = says(child.stderr, /waiting for 1 command/);
  child.kill("SIGINT");
  await told;
  child.kill("SIGINT");
  const { status } = await ended;
  assert.equal(status, 130);
  // Its parent is dead too, so whoever adopted it may still have to reap it; but it no longer runs.
  const state = spawnSync("ps", ["-o", "state=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim();
  assert.ok(state === "" || state.startsWith("Z"), `process ${pid} is in state ${state}`);
  const rest = (await cli.json(["consume", "killed", "--max", "1"])) as Handled[];
  assert.deepEqual(
    rest.map(({ attempt }) => attempt),
    [1],
  );
});

test("a server that goes away ends it with 5, after its commands", async (t) => {
  const own = await FilaCommand.withBroker();
  t.after(() => own.stop());
  const { command, open } = gate("orphan");
  await own.run(["queue", "create", "q"]);
  await own.run(["enqueue", "q", "m"]);
  const child = own.start(["consume", "q", "--exec", `echo began; ${command}; echo done`, "--concurrency", "2"]);
  const ended = ending(child);
  await says(child.stdout, /began/);
  await own.stopBroker();
  await open();
  const { status, stdout } = await ended;
  assert.deepEqual([status, stdout], [5, "began\ndone\n"]);
});
