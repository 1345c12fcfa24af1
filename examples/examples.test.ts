// Every example is a program: it is run against a broker of its own, and must print what its "Prints:" comment says, or
// what the test here says of it.
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

interface Given {
  readonly args?: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

describe("examples", () => {
  let broker: ChildProcess;
  let url: string;
  let brokers = 0;
  beforeEach(async () => {
    brokers += 1;
    const env = {
      ...process.env,
      FILA_DATA_DIR: path.join(scratch, `data-${brokers}`),
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

  const names = globSync("[0-9]*.ts", { cwd: folder }).toSorted();
  const checked = new Set<string>();

  function run(name: string, { args = [], input = "", env = {} }: Given = {}): string {
    checked.add(name);
    const done = spawnSync(process.execPath, ["--conditions=@fila/source", path.join(folder, name), ...args], {
      env: { ...process.env, FILA_URL: url, ...env },
      encoding: "utf8",
      input,
      timeout: 60_000,
    });
    assert.equal(done.stderr, "");
    assert.equal(done.status, 0);
    return done.stdout;
  }

  for (const name of names) {
    const wanted = promised(readFileSync(path.join(folder, name), "utf8"));
    if (wanted === "") continue;
    test(name, () => {
      assert.equal(run(name), wanted);
      assert.equal(run(name), wanted, "and once more");
    });
  }

  test("02-noisy-neighbour.ts: a quiet tenant is served within a round of keys, or behind the flood", () => {
    const flood = 4_000;
    const shown = run("02-noisy-neighbour.ts", { env: { FLOOD: String(flood) } });
    for (const tenant of ["noisy", "quiet-1", "quiet-9"]) assert.match(shown, new RegExp(`^${tenant} +0 `, "m"));
    const servedMeanwhile = [...shown.matchAll(/while ([\d,]+) others? (?:was|were) served/g)].map(([, count]) =>
      Number((count as string).replaceAll(",", "")),
    );
    assert.equal(servedMeanwhile.length, 2);
    const [fair, oneKey] = servedMeanwhile as [number, number];
    assert.ok(fair < 200, `${fair} of the flood went before a quiet message, where each has its key`);
    assert.ok(oneKey > flood / 4, `${oneKey} of the flood went before a quiet message, where all have one key`);
  });

  test("03-access-log.ts: lines of a web server become work, fair by client", () => {
    const line = (client: string, status: number, bytes: string): string =>
      `${client} - - [17/May/2015:10:05:03 +0000] "GET /a b HTTP/1.1" ${status} ${bytes} "-" "Agent"`;
    const busy = Array.from({ length: 5 }, () => line("10.0.0.1", 200, "100"));
    const log = [...busy, line("10.0.0.2", 404, "-"), line("10.0.0.3", 200, "7"), "not a line of a log", ""].join("\n");
    const summary = [
      "lines           8, of which 1 are not in the usual form",
      "clients         4",
      "most lines      10.0.0.1 5, 10.0.0.2 1, 10.0.0.3 1",
      "statuses        200 6, 404 1",
      "bytes served    507",
      "fairness        the first 4 lines served came from 4 different clients",
      "",
    ].join("\n");
    assert.equal(run("03-access-log.ts", { input: log }), summary);
    const file = path.join(scratch, "access.log");
    writeFileSync(file, log);
    assert.equal(run("03-access-log.ts", { args: [file] }), summary);
  });

  test("04-retries-and-dead-letters.ts: never early, and each its own end", () => {
    const shown = run("04-retries-and-dead-letters.ts");
    const times = [...shown.matchAll(/(\d+) ms {2}\w/g)].map(([, ms]) => Number(ms));
    assert.equal(
      shown.replaceAll(/ *\d+ ms {2}/g, " @ "),
      [
        "ada @ busy.example is busy",
        " @ busy.example is busy",
        " @ sent",
        "bob @ no address -> dead letter",
        "carol @ down.example does not answer",
        " @ down.example does not answer",
        " @ down.example does not answer",
        " @ down.example does not answer -> dead letter",
        "dan @ the payload of message ... cannot be decoded: ... -> dead letter",
        "eve @ grey.example asks to wait 300 ms",
        " @ sent",
        "",
        "in 04-emails.dlq:",
        "bob   rejected     attempts 1  no address",
        "carol max_attempts attempts 4  down.example does not answer",
        "dan   rejected     attempts 1  the payload of message ... cannot be decoded: ...",
        "",
        'redrive of "down.example" would move 1',
        'redrive of "down.example" has moved 1',
        "carol @ sent",
        "messages left: 0, dead letters left: 2",
        "",
      ].join("\n"),
    );
    // After which time each delivery may come at the earliest, within the millisecond that both ends are told in.
    const [ada, bob, carol, dan, eve, again] = [[0, 100, 300], [0], [0, 100, 300, 700], [0], [0, 300], [0]];
    const earliest = [ada, bob, carol, dan, eve, again].flatMap((all) => all ?? []);
    assert.equal(times.length, earliest.length);
    for (const [at, ms] of times.entries()) assert.ok(ms > earliest[at]! - 2, `${ms} ms, due after ${earliest[at]} ms`);
  });

  test("05-delay-and-dedup.ts: nothing early, nothing twice", () => {
    const shown = run("05-delay-and-dedup.ts");
    const [stored, duplicate, ...rest] = shown.replaceAll(/\d+ ms after/g, "after").split("\n");
    assert.deepEqual(
      [stored, duplicate],
      ['enqueued "order 17"        stored', 'enqueued "order 17" again  a duplicate, the id of the first'],
    );
    assert.deepEqual(rest.toSorted(), [
      "",
      'delivered "at a moment, 600 ms from now"   after it was due',
      'delivered "in 300 ms"                      after it was due',
      'delivered "now"                            at once',
      'delivered "order 17"                       at once',
      "messages left: 0",
    ]);
  });

  test("06-throttle-a-provider.ts: both limits are kept, and none waits for another tenant's", () => {
    const shown = run("06-throttle-a-provider.ts");
    assert.equal(
      shown.replaceAll(/[\d.]+ s$/gm, "... s"),
      [
        "acme  12 messages in ... s",
        "bolt  24 messages in ... s",
        "cato  24 messages in ... s",
        "all   60 messages in ... s",
        "acme: at most 10 a second and 1 at once: true",
        "all:  at most 40 a second and 4 at once: true",
        "",
      ].join("\n"),
    );
  });

  test("08-retry-policy-in-lua.ts: the script decides, and nothing comes early", () => {
    const shown = run("08-retry-policy-in-lua.ts");
    const waits = [...shown.matchAll(/after (\d+) ms/g)].map(([, ms]) => Number(ms));
    assert.equal(
      shown.replaceAll(/after \d+ ms/g, "after ..."),
      [
        "gone  HTTP 404 not found",
        "busy  HTTP 429 slow down, after ... ok",
        "down  HTTP 503, after ... HTTP 503, after ... HTTP 503, after ... ok",
        "odd  connection reset, after ... connection reset",
        "",
        "dead letters:",
        "gone  hook: HTTP 404 not found",
        "odd  max_attempts: connection reset",
        "",
      ].join("\n"),
    );
    // Both ends are told in whole milliseconds.
    for (const [at, due] of [200, 100, 200, 400, 20].entries()) assert.ok(waits[at]! > due - 2, `${waits[at]}, ${due}`);
  });

  test("none is left out", () => {
    assert.deepEqual([...checked].toSorted(), names);
  });
});
