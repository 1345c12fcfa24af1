// What --json promises, asked of every command that there is: on success and on failure stdout holds JSON and nothing
// else. The list of commands is oclif's own, so a new command is asked too, and must say here how it succeeds.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { loadConfig } from "../../cli/src/command-line.ts";
import { ending, FilaCommand, jsonLines, says, type Ended } from "./fila-command.ts";

const config = await loadConfig(new URL("../../cli/src/main.ts", import.meta.url).href);
const commands = [...config.commands];
const directory = mkdtempSync(path.join(tmpdir(), "fila-cli-json-"));
let cli: FilaCommand;
/** Ids of messages, by what stands for them in the lines below. */
const ids = new Map<string, string>();
before(async () => {
  cli = await FilaCommand.withBroker();
  await cli.run(["config", "set", "color", "blue"]);
  for (const queue of ["full", "gone", "hooked", "seen"]) await cli.run(["queue", "create", queue]);
  await cli.run(["enqueue", "full", "--lines"], "1\n2\n");
  for (const name of ["KEPT", "CANCELLED"]) {
    const [stored] = await cli.json(["enqueue", "seen", name, "--idempotency-key", name]);
    ids.set(name, (stored as { id: string }).id);
  }
  await cli.run(["enqueue", "seen", "x", "--idempotency-key", "key"]);
  const script = "function on_enqueue(msg) error('no') end";
  await cli.run(["hook", "set", "hooked", "on_enqueue", "-"], script);
  await cli.run(["enqueue", "hooked", "x"]);
});
after(async () => {
  await cli.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Flags without which a command does not even ask the broker. */
const needed: Readonly<Record<string, readonly string[]>> = {
  "key:set": ["--pause"],
  purge: ["--yes"],
  "queue:update": ["--max-attempts", "3"],
};

/** Arguments that are not any word. */
const sound: Readonly<Record<string, readonly string[]>> = {
  "hook:set": ["x", "on_enqueue", "--none"],
  "hook:show": ["x"],
  "hook:test": ["on_enqueue", "--queue", "x"],
};

interface Success {
  readonly args: readonly string[];
  readonly input?: string;
  /** It takes a process of its own. */
  readonly process?: boolean;
  /** It serves until it is told to end. */
  readonly serves?: boolean;
  /** Properties of its first line. */
  readonly says: readonly string[];
}

const successes: Readonly<Record<string, readonly Success[]>> = {
  consume: [
    { args: ["full", "--max", "1"], says: ["id", "payload", "encoding", "attempt"] },
    { args: ["full", "--max", "1", "--exec", "cat"], says: ["id", "settled", "exitCode"] },
  ],
  dev: [{ args: ["--port", "0"], serves: true, says: ["url", "port", "queues"] }],
  enqueue: [
    { args: ["seen", "x"], says: ["id"] },
    { args: ["seen", "x", "--idempotency-key", "k"], says: ["id", "duplicate"] },
    { args: ["seen", "--lines"], input: "a\nb\n", says: ["enqueued", "failed", "withoutKey"] },
    { args: ["seen", "--ndjson"], input: "1\n", says: ["enqueued", "failed", "withoutKey"] },
  ],
  health: [{ args: [], says: ["status"] }],
  cancel: [{ args: ["seen", "CANCELLED"], says: ["queue", "id"] }],
  "config:get": [{ args: ["color"], says: ["key", "value", "revision"] }],
  "config:list": [{ args: [], says: ["key", "value"] }],
  "config:set": [{ args: ["color", "red"], says: ["key", "value"] }],
  "config:watch": [{ args: ["--from-revision", "0", "--max", "1"], says: ["revision", "key", "value"] }],
  "dedup:list": [{ args: ["seen"], says: ["key", "messageId", "expiresAt"] }],
  "dedup:release": [{ args: ["seen", "key"], says: ["queue", "key"] }],
  explain: [{ args: ["seen", "--key", "default"], says: ["queue", "fairnessKey", "reason", "text"] }],
  get: [{ args: ["seen", "KEPT"], says: ["id", "state", "payload", "encoding", "headers"] }],
  "hook:errors": [{ args: ["hooked"], says: ["at", "hook", "sha256", "reason", "line", "message"] }],
  "hook:set": [{ args: ["hooked", "on_failure", "--none"], says: ["queue", "hook", "set"] }],
  "hook:show": [{ args: ["hooked"], says: ["queue", "on_enqueue", "onHookError", "hooksSeePayload"] }],
  "hook:test": [
    {
      args: ["on_enqueue", "--script", "function on_enqueue(msg) return {} end"],
      says: ["hook", "decision", "warnings", "steps", "bytes", "sha256"],
    },
  ],
  "key:list": [{ args: ["seen"], says: ["key", "ready", "total", "weight", "paused"] }],
  "key:set": [{ args: ["seen", "k", "--weight", "2"], says: ["queue", "key", "weight"] }],
  pause: [{ args: ["seen"], says: ["queue", "paused"] }],
  peek: [{ args: ["seen"], says: ["id", "state", "payload", "encoding", "headers"] }],
  purge: [
    { args: ["seen", "--dry-run"], says: ["queue", "count", "dryRun"] },
    { args: ["gone", "--yes"], says: ["queue", "purged"] },
  ],
  "queue:update": [{ args: ["seen", "--max-attempts", "3"], says: ["queue"] }],
  redrive: [{ args: ["seen.dlq"], says: ["queue", "redriven", "examined", "done"] }],
  resume: [{ args: ["seen"], says: ["queue", "paused"] }],
  search: [{ args: ["seen", "--no-payload", "--limit", "1"], says: ["id", "state", "attempt", "enqueuedAt"] }],
  "queue:create": [{ args: ["new"], says: ["queue"] }],
  "queue:delete": [
    { args: ["full", "--dry-run"], says: ["queue", "depth", "dryRun"] },
    { args: ["gone"], says: ["queue"] },
  ],
  "queue:inspect": [{ args: ["seen"], says: ["name", "depth"] }],
  "queue:list": [{ args: [], says: ["name", "depth"] }],
  server: [
    {
      args: ["--listen", "127.0.0.1:0", "--data", path.join(directory, "data")],
      serves: true,
      says: ["url", "dataDir"],
    },
    { args: ["--print-config"], process: true, says: ["server.listen_addr"] },
  ],
  version: [{ args: [], says: ["version", "node"] }],
};

/** Serves, says so, and is told to end. */
async function served(args: readonly string[]): Promise<Ended> {
  const child = cli.start(args);
  const ended = ending(child);
  await says(child.stdout, /\n/);
  child.kill("SIGTERM");
  return ended;
}

function assertFailure(stdout: string, status: number | null, shown: string): void {
  const lines = jsonLines(stdout);
  assert.equal(lines.length, 1, shown);
  const { error } = lines[0] as { error: Record<string, unknown> };
  assert.deepEqual(
    Object.entries(error).map(([name, value]) => [name, typeof value]),
    [
      ["code", "string"],
      ["reason", "string"],
      ["message", "string"],
      ["exitCode", "number"],
    ],
    shown,
  );
  assert.equal(error["exitCode"], status, shown);
}

test("every command says here how it succeeds", () => {
  assert.deepEqual(Object.keys(successes).sort(), commands.map(({ id }) => id).sort());
});

for (const { id, args: declared, flags } of commands) {
  const words = id.split(":");

  test(`fila ${words.join(" ")} --json: success`, async () => {
    for (const { args, input = "", process = false, serves = false, says: wanted } of successes[id] ?? []) {
      const line = [...words, ...args.map((word) => ids.get(word) ?? word), "--json"];
      const { status, stdout } = await (serves ? served(line) : process ? cli.runProcess(line) : cli.run(line, input));
      const [first] = jsonLines(stdout);
      assert.deepEqual(
        wanted.filter((name) => !(name in (first as object))),
        [],
      );
      assert.equal(status, 0);
    }
  });

  test(`fila ${words.join(" ")} --json: failures`, async () => {
    const filled = [...(sound[id] ?? Object.keys(declared).map(() => "x")), ...(needed[id] ?? [])];
    const lines: [number, string[]][] = [[2, ["--no-such-flag"]]];
    if (Object.values(declared).some(({ required }) => required === true)) lines.push([2, []]);
    if ("addr" in flags) lines.push([5, [...filled, "--addr", "127.0.0.1:1"]]);
    const run = async ([status, args]: (typeof lines)[number]): Promise<void> => {
      const ended = await cli.run([...words, ...args, "--json"]);
      const shown = [...words, ...args].join(" ");
      assert.deepEqual([ended.status, ended.stderr], [status, ""], shown);
      assertFailure(ended.stdout, ended.status, shown);
    };
    await Promise.all(lines.map(run));
  });
}

test("what is no command fails as JSON too", async () => {
  for (const args of [["nope"], ["queue"], ["queue", "lst"], [], ["--nope"], ["help", "nope"], ["nope", "--help"]]) {
    const { status, stdout, stderr } = await cli.run(["--json", ...args]);
    assert.deepEqual([status, stderr], [2, ""], args.join(" "));
    assertFailure(stdout, status, args.join(" "));
  }
});
