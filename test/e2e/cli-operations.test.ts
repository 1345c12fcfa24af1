// What operators do: look, explain, stop, remove, send back. docs/cli.md has the plain cases, and is run too.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { after, before, test } from "node:test";
import { connect, type Fila } from "@fila/sdk";
import { FilaCommand, InsideRun, jsonLines, says, type Ended } from "./fila-command.ts";

let cli: FilaCommand;
let fila: Fila;
before(async () => {
  cli = await FilaCommand.withBroker();
  fila = connect(cli.addr);
});
after(async () => {
  await fila.close();
  await cli.stop();
});

/** The words of a line without quotes. */
const run = (line: string): Promise<Ended> => cli.run(line.split(" "));
const json = async (line: string): Promise<Record<string, unknown>[]> =>
  jsonLines((await run(`${line} --json`)).stdout) as Record<string, unknown>[];

/** A queue with dead letters of these errors. */
async function withDeadLetters(queue: string, errors: readonly string[]): Promise<void> {
  await fila.admin.createQueue(queue, { maxAttempts: 1 });
  for (const error of errors) {
    await fila.enqueue(queue, error);
    const [lease] = await fila.lease(queue);
    await lease!.nack(error);
  }
}

/** On a terminal, with this answer to what it asks. */
async function answered(line: string, answer: string): Promise<Ended> {
  const stdin = new PassThrough();
  const child = new InsideRun(line.split(" "), stdin, true);
  stdin.write(`${answer}\n`);
  return child.ended;
}

test("settings: what create and update were given is what inspect shows, retention on the dead-letter queue", async () => {
  const settings = [
    "--visibility-timeout 60000 --max-attempts 0 --initial-backoff 1500ms --max-backoff 1h",
    "--idempotency-window 1d --dead-letter-expired --retention 0",
  ].join(" ");
  assert.equal((await run(`queue create set ${settings}`)).stdout, 'Created queue "set"\n');
  const { settings: shown, deadLetters } = (await json("queue inspect set"))[0] as Record<string, object>;
  assert.deepEqual(shown, {
    name: "set",
    visibilityTimeoutMs: 60_000,
    maxAttempts: 0,
    initialBackoffMs: 1500,
    maxBackoffMs: 3_600_000,
    expiredMessages: "dead_letter",
    idempotencyWindowMs: 86_400_000,
    retentionMs: (shown as { retentionMs: number }).retentionMs,
    paused: false,
    deadLetterQueue: "set.dlq",
    keys: [],
    onHookError: "default",
    hooksSeePayload: false,
    maxInFlight: 0,
    maxInFlightPerKey: 0,
  });
  assert.deepEqual(deadLetters, { queue: "set.dlq", depth: 0, retentionMs: 0 });
  await run("queue update set --no-dead-letter-expired --retention 1d");
  await run("queue update set.dlq --retention 2d");
  const text = (await run("queue inspect set")).stdout;
  assert.match(text, /^Attempts: no limit, backoff 1500ms to 1h$/m);
  assert.match(text, /^Expired messages: dropped$/m);
  assert.match(text, /^Dead letters kept: 2d$/m);
});

test("what cannot be meant is told by the name of its flag, before anything is asked", async () => {
  const nobody = "--addr 127.0.0.1:1";
  const cases: Record<string, RegExp> = {
    "queue create q --max-backoff 8d": /^fila: --max-backoff is 8d; it must be 0 to 7d\n/,
    "queue create q --retention soon": /^fila: --retention is "soon"; give milliseconds, or a unit/,
    "queue create q --max-attempts -1": /^fila: --max-attempts: expected an integer greater than or equal to 0/,
    "queue update q": /there is nothing to change; give --visibility-timeout, .* or --max-in-flight-per-key/,
    "key set q k": /there is nothing to set; give --weight, --max-in-flight, --pause or --resume/,
    "key set q k --weight 1001": /^fila: --weight: expected an integer less than or equal to 1000/,
    "key set q k --max-in-flight -1": /^fila: --max-in-flight: expected an integer greater than or equal to 0/,
    "queue update q --on-hook-error never": /one of: default, last_good, reject/,
    "queue update q --on-enqueue @nowhere.lua":
      /^fila: --on-enqueue @nowhere.lua: the script cannot be read: there is no such/,
    "hook set q on_enqueue": /give the file of the script, or --none/,
    "hook set q on_enqueue x.lua --none": /give the file of the script, or --none/,
    "hook set q on_ack x.lua": /one of: on_enqueue, on_failure/,
    "hook test on_enqueue": /give --script, or --queue for the script it has/,
    "hook test on_failure --queue q --requested-delay 366d": /--requested-delay is 366d; it must be 0 to 365d/,
    "hook test on_enqueue --queue q --config =x": /--config "=x" is not of the form name=value/,
    "search q --since yesterday": /^fila: --since is "yesterday"; give a time such as .* or how long ago/,
    "search q --state lost": /one of: ready, leased, delayed, deciding, unreadable/,
    "search q --header =x": /give NAME or NAME=VALUE/,
    "redrive q.dlq --error ": /--error is empty; leave it out/,
    "explain q": /there is nothing to explain; give the id of a message behind "q", or --key/,
    "explain q id --key k": /not both/,
    "enqueue q x --delay 366d": /^fila: --delay is 366d; it must be 0 to 365d/,
    "enqueue q x --deliver-at 1h": /^fila: --deliver-at is "1h"; give a time such as/,
    "enqueue q x --deliver-at 2026-02-31T12:00:00Z":
      /^fila: --deliver-at is "2026-02-31T12:00:00Z"; give a time such as/,
    "enqueue q x --deliver-at 2026-01-31T12:00:00Z --delay 1s":
      /^fila: --deliver-at cannot also be provided when using --delay\n/,
    "key set q k --pause --resume": /^fila: --resume cannot also be provided when using --pause\n/,
    "enqueue q --lines --idempotency-key k": /--ndjson --idempotency-key-from PATH has one for each line/,
    "enqueue q x --idempotency-key-from .id": /needs --ndjson/,
    "purge q": /a purge cannot be undone, and there is no terminal to ask; add --yes/,
  };
  for (const [line, message] of Object.entries(cases)) {
    const { status, stdout, stderr } = await run(`${line} ${nobody}`);
    assert.deepEqual([status, stdout], [2, ""], line);
    assert.match(stderr, message, line);
  }
});

test("scripts: set from a file or stdin, shown as they were set, refused with their line, tried, and taken away", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "fila-hooks-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "tiers.lua");
  const source = "function on_enqueue(msg)\n  return { fairness_key = msg.headers.tenant, cost = 2 }\nend\n";
  writeFileSync(file, source);
  await run("queue create hooked");
  assert.equal((await run(`hook set hooked on_enqueue ${file}`)).stdout, 'Set on_enqueue of queue "hooked"\n');
  assert.equal((await run("hook show hooked on_enqueue")).stdout, source);
  const [shown] = await json("hook show hooked");
  assert.equal((shown as { on_enqueue: { source: string } }).on_enqueue.source, source);
  assert.match((await run("hook show hooked")).stdout, /^on_enqueue: [\da-f]{12}, called for every message$/m);
  const id = await fila.enqueue("hooked", "x", { headers: { tenant: "acme" } });
  assert.equal((await fila.admin.getMessage("hooked", id)).fairnessKey, "acme");

  const tried = await run("hook test on_enqueue --queue hooked --header tenant=a=b");
  assert.match(tried.stdout, /^Fairness key: "a=b"$.*^Cost: 2$/ms);
  const piped = new PassThrough();
  const child = new InsideRun("hook set hooked on_failure -".split(" "), piped, false);
  piped.end("function on_failure(msg)\n  return {\nend");
  const refused = await child.ended;
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^fila: .*line 3: /);

  assert.equal((await run("hook set hooked on_enqueue --none")).stdout, 'Removed on_enqueue from queue "hooked"\n');
  assert.match((await run("hook show hooked")).stderr, /has no scripts/);
  assert.match((await run("hook errors hooked")).stderr, /has failed since the broker started/);
});

test("scripts: a trial that fails ends with 1 and tells where; failures on traffic are listed", async () => {
  const script = "function on_enqueue(msg) error(msg.headers.why) end";
  await fila.admin.createQueue("failing", { onEnqueue: script });
  const tried = await run("hook test on_enqueue --queue failing --header why=broken");
  assert.equal(tried.status, 1);
  assert.match(tried.stdout, /^Failed: line 1: .*broken.* \(error\)$/m);
  const [trial] = await json("hook test on_enqueue --queue failing --header why=broken");
  assert.equal((trial as { failure: { reason: string } }).failure.reason, "error");
  await fila.enqueue("failing", "x", { headers: { why: "first" } });
  await fila.enqueue("failing", "x", { headers: { why: "second" } });
  const errors = await json("hook errors failing");
  assert.equal(errors.length, 2);
  assert.match(String(errors[0]!["message"]), /second/);
  for (const command of ["hook show failing", "queue inspect failing"]) {
    assert.match((await run(command)).stdout, /^ {2}how they failed: fila hook errors failing$/m);
  }
  const decided = async (answer: string): Promise<string> => {
    const answers = `function on_failure(msg) return ${answer} end`;
    return (await cli.run(["hook", "test", "on_failure", "--script", answers])).stdout;
  };
  assert.match(await decided("{}"), /^Undecided: the retry policy of the queue holds$/m);
  assert.match(await decided('{ action = "retry" }'), /^Retry: after the backoff of the retry policy$/m);
  assert.match((await run("hook errors failing")).stdout, /on_enqueue +[\da-f]{12} +line 1: .*second.* \(error\)/);
});

test("caps and throttles: what is set is what inspect and key list show", async () => {
  await run(
    "queue create capped --max-in-flight 10 --max-in-flight-per-key 3 --on-hook-error reject --hooks-see-payload",
  );
  await run("key set capped tenant --max-in-flight 1");
  await run("config set throttle.capped-provider 0,5");
  for (const payload of ["a", "b"]) {
    await fila.enqueue("capped", payload, { fairnessKey: "tenant", throttleKeys: ["capped-provider"] });
  }
  assert.equal((await fila.lease("capped", { maxMessages: 2 })).length, 1);
  const { stdout } = await run("queue inspect capped");
  assert.match(stdout, /^In flight at most: 10$/m);
  assert.match(stdout, /^In flight at most, per key: 3$/m);
  assert.match(stdout, /^ {2}tenant: 1 in flight at most$/m);
  assert.match(stdout, /^ {2}capped-provider: 4 of 5 tokens, 0 a second, 0 waiting$/m);
  assert.match((await run("key list capped")).stdout, /^tenant +\d +2 +1 +1 of 1 +no$/m);
  const { settings } = (await json("queue inspect capped"))[0] as { settings: Record<string, unknown> };
  assert.deepEqual([settings["onHookError"], settings["hooksSeePayload"]], ["reject", true]);
  const explained = (await run("explain capped --key tenant")).stdout;
  assert.match(explained, /"fila key set capped tenant --max-in-flight N" changes the cap/);
  await run("key set capped tenant --max-in-flight 0");
  assert.match((await run("key list capped")).stdout, /^tenant +\d +2 +1 +1 of 3 +no$/m);
});

test("a terminal is asked before messages go, and only yes is a yes", async () => {
  await withDeadLetters("asked", ["no"]);
  await fila.enqueue("asked", "waits");
  for (const [line, question] of [
    ["purge asked", 'Purge 1 message(s) from "asked"? 0 in flight stay. [y/N] '],
    ["queue delete asked", 'Delete queue "asked" with 1 message(s), 0 of them in flight, and 1 dead letter(s)? [y/N] '],
  ] as const) {
    const refused = await answered(line, "n");
    assert.equal(refused.status, 1);
    assert.ok(refused.stderr.includes(question) && refused.stderr.endsWith("nothing was changed\n"), refused.stderr);
  }
  assert.equal((await fila.admin.stats("asked")).depth, 1);
  assert.equal((await answered("purge asked", "y")).stdout, 'Purged 1 message(s) from "asked"\n');
  // In a script: not asked, but dead letters are not deleted by the way.
  const script = await run("queue delete asked --yes");
  assert.equal(script.status, 6);
  assert.match(script.stderr, /1 dead letter\(s\) in "asked.dlq"/);
  assert.equal((await answered("queue delete asked", "yes")).stdout, 'Deleted queue "asked"\n');
});

test("queue list: dead letters are a column of their queue; those of a queue that is gone are a row", async () => {
  await withDeadLetters("listed", ["a", "b"]);
  await fila.admin.createQueue("orphan.dlq");
  const { stdout } = await run("queue list");
  assert.match(stdout, /^listed +0 +0 +0 +2$/m);
  assert.doesNotMatch(stdout, /^listed\.dlq/m);
  assert.match(stdout, /^orphan\.dlq +0 +0 +0 +-$/m);
  assert.match((await run("queue list --all")).stdout, /^listed\.dlq +2 +0 +0 +-$/m);
  assert.ok((await json("queue list")).some(({ name }) => name === "listed.dlq"));
});

test("keys with control characters are told as escapes", async () => {
  await fila.admin.createQueue("told");
  await fila.enqueueOnce("told", "x", { idempotencyKey: "k\u001b[2J" });
  const tells = async (...argv: string[]): Promise<string> => (await cli.run(argv)).stdout;
  assert.equal(await tells("pause", "told", "--key", "k\u001b[2J"), 'Paused key "k\\x1b[2J" of queue "told"\n');
  assert.equal(await tells("resume", "told", "--key", "k\u001b[2J"), 'Resumed key "k\\x1b[2J" of queue "told"\n');
  assert.match(await tells("key", "set", "told", "k\n", "--weight", "2"), /^Set key "k\\n" of/);
  assert.match(await tells("config", "set", "told.k\u001b", "a\nb"), /^Set "told\.k\\x1b" to "a\\nb"\n$/);
  assert.equal(await tells("config", "set", "told.k\u001b", ""), 'Deleted "told.k\\x1b"\n');
  assert.match(await tells("dedup", "release", "told", "k\u001b[2J"), /key "k\\x1b\[2J" of queue "told"\n$/);
});

test("--ttl 0 is no time to live", async () => {
  await fila.admin.createQueue("for-ever");
  const [stored] = await json("enqueue for-ever x --ttl 0");
  const [found] = await json(`search for-ever --id ${String(stored!["id"])}`);
  assert.deepEqual([found!["payload"], found!["expiresAt"]], ["x", undefined]);
});

test("search: filters, the limit, states with their times, and nothing that moves a cursor", async () => {
  await fila.admin.createQueue("found");
  await fila.enqueue("found", "later", { fairnessKey: "a", delay: "1h", headers: { kind: "x" } });
  await fila.enqueue("found", "a\u001b[31m\nb", { fairnessKey: "b\u001b[2J" });
  await fila.enqueue("found", new Uint8Array([255, 0]), { fairnessKey: "c" });
  await using holder = connect(cli.addr, { workerId: "worker-1" });
  await holder.lease("found", { maxMessages: 1 });
  const payloads = async (filter: string): Promise<unknown[]> =>
    (await json(`search found ${filter}`)).map(({ payload }) => payload);
  assert.deepEqual(await payloads("--state delayed"), ["later"]);
  assert.deepEqual(await payloads("--header kind=x --key a --since 1h"), ["later"]);
  assert.deepEqual(await payloads("--until 1h"), []);
  assert.deepEqual(await payloads("--header kind=y"), []);
  assert.deepEqual(await payloads("--key c"), ["/wA="]);
  const { stdout, stderr } = await run("search found --limit 2");
  assert.equal(stdout.split("\n")[0], "ID                                    STATE    KEY       ATTEMPTS  AGE");
  assert.match(stdout, /\n {4}due in (\d+m|1h)\n/);
  assert.match(stdout, /leased +b\\x1b\[2J .*\n {4}held by worker "worker-1"; the lease ends in \d+s\n/);
  assert.equal(stderr, "There are more than these 2; --limit shows more.\n");
  assert.deepEqual((await json("search found --limit 2 --no-payload")).at(-1), { truncated: true });
  const peeked = (await run("peek found")).stdout;
  assert.ok(peeked.includes("\n    a\\x1b[31m\\nb\n") && peeked.includes("\n    (2 byte(s), no text)\n"), peeked);
  assert.ok(!`${peeked}${stdout}`.includes("\u001b"));
});

test("a table fits the terminal", async () => {
  await fila.admin.createQueue("narrow");
  await fila.enqueue("narrow", "p".repeat(300), { fairnessKey: "k".repeat(100) });
  const child = new InsideRun(["peek", "narrow"], "", true);
  Object.assign(child.stdout, { columns: 80 });
  const { stdout } = await child.ended;
  const lengths = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.length);
  assert.deepEqual([lengths.length, Math.max(...lengths)], [3, 80]);
  assert.match(stdout, /k…/);
});

test("a payload comes out byte for byte", async () => {
  await fila.admin.createQueue("bytes");
  const payload = Buffer.from([0, 255, 10, 27]);
  const id = await fila.enqueue("bytes", payload);
  const child = new InsideRun(["get", "bytes", id, "--payload"]);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  await child.ended;
  assert.deepEqual(Buffer.concat(chunks), payload);
});

test("explain: without its queue a message is found anywhere, with what can be done", async () => {
  await withDeadLetters("why", ["boom"]);
  const [dead] = await fila.admin.peek("why.dlq");
  const told = (await run(`explain ${dead!.id}`)).stdout;
  assert.match(told, /^It is in queue "why\.dlq"\.\nIt is a dead letter .*, reason max_attempts: boom\.\n/);
  assert.ok(told.includes(`"fila redrive why.dlq --id ${dead!.id}" sends it back`), told);
  const id = await fila.enqueue("why", "later", { delay: "1h" });
  const [delayed] = await json(`explain ${id}`);
  assert.deepEqual([delayed!["queue"], delayed!["reason"]], ["why", "delayed"]);
  assert.match(String(delayed!["remedy"]), new RegExp(`"fila cancel why ${id}" removes it`));
  const gone = await run("explain 01a1ff1d-8f11-7000-800c-000000000406");
  assert.match(gone.stdout, /^No queue has such a message/);
});

test("redrive: the filter moves what its dry run counted", async () => {
  await withDeadLetters("again", ["timeout 1", "refused", "timeout 2"]);
  assert.match((await run("redrive again.dlq --error timeout --dry-run")).stdout, /^Would redrive 2 message\(s\) from/);
  assert.match((await run("redrive again.dlq --error timeout --count 1")).stdout, /^Redrove 1 message\(s\) from/);
  const [result] = await json("redrive again.dlq --error timeout");
  assert.deepEqual(result, { queue: "again.dlq", redriven: 1, examined: result!["examined"], done: true });
  assert.equal((await fila.admin.stats("again.dlq")).depth, 1);
  const wrong = await run("redrive again");
  assert.deepEqual([wrong.status, /name "again\.dlq"/.test(wrong.stderr)], [6, true]);
});

test("redrive: Ctrl-C ends it with 130 and says what was moved; the rest is moved by running it again", async () => {
  await withDeadLetters("slow", ["a", "b", "c"]);
  const child = new InsideRun(["redrive", "slow.dlq", "--rate", "1"]);
  while ((await fila.admin.stats("slow")).depth === 0);
  child.emit("SIGINT");
  const { status, stdout, stderr } = await child.ended;
  assert.deepEqual([status, stderr], [130, "stopped before it was done; run it again for the rest\n"]);
  assert.match(stdout, /^Redrove at least [01] message\(s\) from "slow\.dlq" to "slow"\n$/);
  await run("redrive slow.dlq");
  assert.deepEqual([(await fila.admin.stats("slow")).depth, (await fila.admin.stats("slow.dlq")).depth], [3, 0]);
});

test("config watch: each change behind a revision, until Ctrl-C", async () => {
  await fila.admin.setConfig("w.before", "1");
  const { revision } = await fila.admin.getConfig("w.before");
  const child = new InsideRun(["config", "watch", "--prefix", "w.", "--from-revision", String(revision)]);
  const line = says(child.stdout, /\n/);
  await fila.admin.setConfig("other", "1");
  await fila.admin.setConfig("w.then", "2");
  assert.equal(await line, `${revision + 2} w.then 2\n`);
  child.emit("SIGINT");
  assert.equal((await child.ended).status, 0);
});

test("NDJSON with idempotency keys: duplicates are counted, a line without one is refused", async () => {
  await fila.admin.createQueue("once");
  const lines = '{"id":1}\n{"id":"b"}\n{}\n{"id":1}\n';
  const first = await cli.run(["enqueue", "once", "--ndjson", "--idempotency-key-from", ".id"], lines);
  assert.equal(first.status, 2);
  assert.match(first.stderr, /^fila: line 3: has no text or number where --idempotency-key-from looks\n/);
  assert.match(first.stderr, /Enqueued 2 message\(s\) .*; 1 duplicate\(s\) were there already; 1 line\(s\) failed/);
  assert.equal((await fila.admin.stats("once")).depth, 2);
  assert.deepEqual(
    (await json("dedup list once")).map(({ key }) => key),
    ["1", "b"],
  );
});
