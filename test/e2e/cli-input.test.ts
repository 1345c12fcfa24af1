// `fila enqueue` from stdin, and what comes out again, through real pipes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { bin, ending, FilaCommand, says } from "./fila-command.ts";

let cli: FilaCommand;
before(async () => (cli = await FilaCommand.withBroker()));
after(() => cli.stop());

interface Message {
  readonly payload: string;
  readonly fairnessKey: string;
  readonly weight: number;
  readonly throttleKeys: readonly string[];
  readonly attempt: number;
}

const everything = async (queue: string): Promise<Message[]> =>
  (await cli.json(["consume", queue, "--exit-on-empty"])) as Message[];

test("NDJSON: the payload is the line, and its parts become the message's fields", async () => {
  await cli.run(["queue", "create", "ndjson"]);
  const lines = [
    '{ "user": {"id": "ada"},  "plan": [{"w": 5}], "t": "t1" }',
    "",
    '{"user":{"id":12345678901234567890}}\r',
    '{"other":1}',
    '"a text"',
  ];
  const flags = ["--key-from", ".user.id", "--weight-from", ".plan[0].w", "--throttle-key-from", ".t"];
  const { status, stderr } = await cli.run(["enqueue", "ndjson", "--ndjson", ...flags], `\uFEFF${lines.join("\n")}`);
  assert.equal(status, 0);
  assert.match(
    stderr,
    /^Enqueued 4 message\(s\) to "ndjson" in [\d.]+ s; 2 line\(s\) have nothing at \.user\.id and got/,
  );
  const came = (await everything("ndjson")).map((m) => [m.payload, m.fairnessKey, m.weight, m.throttleKeys]);
  assert.deepEqual(
    came.toSorted(),
    [
      [lines[0], "ada", 5, ["t1"]],
      [lines[2], "12345678901234567890", 1, []],
      [lines[3], "default", 1, []],
      [lines[4], "default", 1, []],
    ].toSorted(),
  );
});

test("NDJSON: a line that is none is told with its number, and the others go on", async () => {
  await cli.run(["queue", "create", "mixed"]);
  const input = '{"k":"a"}\n\nnope\n{"k":"b"}\n{"k":\n{"k":"c","w":0}\n{"k":"d"}\n';
  const flags = ["--ndjson", "--key-from", ".k", "--weight-from", ".w"];
  const plain = await cli.run(["enqueue", "mixed", ...flags], input);
  assert.equal(plain.status, 2);
  const [first, second, third, summary] = plain.stderr.split("\n");
  assert.match(first!, /^fila: line 3: is no JSON: /);
  assert.match(second!, /^fila: line 5: is no JSON: /);
  assert.match(third!, /^fila: line 6: weight is 0; /);
  assert.match(summary!, /^Enqueued 3 message\(s\) to "mixed" in .*; 3 line\(s\) failed/);
  const [json] = (await cli.json(["enqueue", "mixed", ...flags], input)) as [Record<string, unknown>];
  const errors = json["errors"] as { line: number; reason: string; exitCode: number }[];
  assert.deepEqual([json["enqueued"], json["failed"], json["stopped"]], [3, 3, false]);
  assert.deepEqual(
    errors.map(({ line, reason, exitCode }) => [line, reason, exitCode]),
    [
      [3, "INVALID_LINE", 2],
      [5, "INVALID_LINE", 2],
      [6, "INVALID_FIELD", 2],
    ],
  );
  const keys = (await everything("mixed")).map((message) => message.fairnessKey);
  assert.deepEqual(keys.toSorted(), ["a", "a", "b", "b", "d", "d"]);
});

test("flags that do not fit together are refused before anything is read", async () => {
  const cases: [RegExp, string[]][] = [
    [/--key-from tenant: cannot be read from "tenant" on/, ["--ndjson", "--key-from", "tenant"]],
    [/--key-from needs --ndjson/, ["x", "--key-from", ".a"]],
    [/cannot also be provided/, ["--ndjson", "--lines"]],
    [/cannot also be provided/, ["--ndjson", "--key", "a", "--key-from", ".a"]],
    [/--key-regex needs/, ["x", "--key-regex", "(a)"]],
    [/give a message or --ndjson, not both/, ["x", "--ndjson"]],
  ];
  await Promise.all(
    cases.map(async ([message, args]) => {
      const { status, stderr } = await cli.run(["enqueue", "none", ...args], "{}\n");
      assert.equal(status, 2, args.join(" "));
      assert.match(stderr, message);
    }),
  );
});

test("a directory as stdin is told as that", async () => {
  const folder = openSync(tmpdir(), "r");
  const child = spawn(bin, ["enqueue", "none", "--lines"], { stdio: [folder, "ignore", "pipe"] });
  closeSync(folder);
  const [stderr, [status]] = await Promise.all([text(child.stderr!), once(child, "close") as Promise<[number]>]);
  assert.deepEqual([status, stderr.split("\n")[0]], [2, "fila: stdin is a directory; give a file or a pipe"]);
});

test("Ctrl-C ends the reading, and what was sent is told", async () => {
  await cli.run(["queue", "create", "stopped"]);
  const child = cli.start(["enqueue", "stopped", "--lines"]);
  const ended = ending(child);
  child.stdin.write("a\nb\nc");
  while ((await cli.depth("stopped")) < 2);
  child.kill("SIGINT");
  const { status, stdout, stderr } = await ended;
  assert.deepEqual([status, stdout], [130, ""]);
  assert.match(stderr, /^Enqueued 2 message\(s\) to "stopped" in .* s; nothing behind line 2 was sent\n$/);
  assert.equal(await cli.depth("stopped"), 2);
});

test("a second Ctrl-C does not wait for answers", async (t) => {
  // A server that takes everything and answers nothing.
  const silent = http2.createServer();
  const taken = new Promise<void>((resolve) => {
    silent.on("stream", (stream: http2.ServerHttp2Stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200, "content-type": "application/connect+proto" });
      stream.once("data", () => resolve());
    });
  });
  t.after(() => silent.close());
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const child = cli.start(["enqueue", "q", "--lines"], {
    FILA_ADDR: `127.0.0.1:${(silent.address() as AddressInfo).port}`,
  });
  const ended = once(child, "close") as Promise<[number | null]>;
  child.stdin.write("a\n");
  await taken;
  const told = says(child.stderr, /waiting for the answers to 1 message\(s\); Ctrl-C again ends at once\n/);
  child.kill("SIGINT");
  await told;
  child.kill("SIGINT");
  assert.equal((await ended)[0], 130);
});

test("what seq writes comes out again, line for line", async () => {
  await cli.run(["queue", "create", "numbers"]);
  const count = 5_000;
  const { status, stdout } = await cli.shell(
    `seq 1 ${count} | fila enqueue numbers --lines && fila consume numbers --json --exit-on-empty | wc -l`,
  );
  assert.deepEqual([status, Number(stdout)], [0, count]);
  assert.equal(await cli.depth("numbers"), 0);
});

test("head -1 gets its line, ends it quietly, and what it did not take stays", async () => {
  await cli.run(["queue", "create", "head1"]);
  const count = 3_000;
  await cli.shell(`seq 1 ${count} | fila enqueue head1 --lines`);
  for (const flags of ["", "--exit-on-empty", "--exec 'cat; echo'"]) {
    const [next] = (await cli.json(["consume", "head1", "--max", "1"])) as Message[];
    const { status, stdout, stderr } = await cli.shell(`fila consume head1 ${flags} | head -1`);
    assert.deepEqual([status, stdout], [0, `${Number(next!.payload) + 1}\n`]);
    assert.equal(stderr, "");
  }
  const rest = (await everything("head1")).map(({ payload }) => Number(payload)).sort((a, b) => a - b);
  // Taken from the front: what was printed, and a few that were in the pipe when its reader left.
  assert.ok(rest.length > count - 500 && rest.length <= count - 6, `${rest.length} left`);
  assert.deepEqual(
    rest,
    Array.from({ length: rest.length }, (_, i) => count - rest.length + 1 + i),
  );
});
