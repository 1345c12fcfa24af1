import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { createLog, maxTextLength, type LeveledLog, type LogOptions } from "./log.ts";

function logTo(lines: string[], options: Partial<LogOptions> = {}): LeveledLog {
  return createLog({ write: (line) => lines.push(line), ...options });
}

function parsed(line: string | undefined): Record<string, unknown> {
  assert.ok(line?.endsWith("\n") === true);
  return JSON.parse(line) as Record<string, unknown>;
}

describe("the log", () => {
  it("writes one line of JSON per event, with its level, time and fields", () => {
    const lines: string[] = [];
    const log = logTo(lines);
    log.info("queue created", { queue: "orders", count: 3, ok: true, nothing: undefined });
    log.warn("w");
    log.error("e", new Error("why"), { queue: "q" });
    const [info, warn, error] = lines.map(parsed);
    const { time, ...rest } = info!;
    assert.equal(new Date(time as string).toISOString(), time);
    assert.deepEqual(rest, { level: "info", queue: "orders", count: 3, ok: true, msg: "queue created" });
    assert.equal(warn!["level"], "warn");
    assert.equal(error!["queue"], "q");
    assert.match(error!["cause"] as string, /^Error: why\n +at .*log\.test\.ts/);
  });

  it("drops what is below its level, which can be changed at any time", () => {
    const lines: string[] = [];
    const log = logTo(lines);
    const say = (): void => {
      for (const level of ["debug", "info", "warn", "error"] as const) log[level](level);
    };
    const said = (): unknown[] => lines.splice(0).map((line) => parsed(line)["msg"]);
    say();
    assert.deepEqual(said(), ["info", "warn", "error"]);
    log.level = "debug";
    assert.equal(log.level, "debug");
    say();
    assert.deepEqual(said(), ["debug", "info", "warn", "error"]);
    log.level = "error";
    say();
    assert.deepEqual(said(), ["error"]);
    log.level = "silent";
    say();
    assert.deepEqual(said(), []);
    assert.equal(logTo([], { level: "warn" }).level, "warn");
  });

  it("cuts what is long, in events, fields and causes", () => {
    const lines: string[] = [];
    const long = "x".repeat(100_000);
    const cause = new Error(long);
    logTo(lines).error(long, cause, { field: long });
    const line = parsed(lines[0]);
    for (const name of ["msg", "field"]) assert.equal(line[name], `${"x".repeat(maxTextLength)}... (99000 more)`);
    assert.ok(lines[0]!.length < 11_000);
  });

  it("is readable for a person, and nothing that a client sent can forge a line or command the terminal", () => {
    const lines: string[] = [];
    const log = logTo(lines, { readable: true });
    log.info("stopping", { signal: "SIGTERM", why: "two words" });
    assert.match(lines.shift()!, /^\S+Z info stopping signal=SIGTERM why="two words"\n$/);
    const nasty = "a\nb\u001b[2J\u009b1m\u2028\u202e";
    log.error(nasty, new Error(nasty), { nasty });
    const written = lines.join("");
    // eslint-disable-next-line no-control-regex -- none of them may be left
    assert.doesNotMatch(written, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/);
    assert.match(written, /^\S+Z error a b \[2J.* nasty="a\\nb\\u001b\[2J.*"\n( {4}.*\n)+$/);
  });

  it("has written everything when the process ends, however it ends", () => {
    const count = 2_000;
    for (const [end, status] of [
      ["process.exit(3)", 3],
      ["throw new Error('at the end')", 1],
    ] as const) {
      const program = `
        const { stderrLog } = await import(${JSON.stringify(new URL("log.ts", import.meta.url).href)});
        const log = stderrLog();
        process.on("uncaughtException", (error) => { log.error("fatal", error); process.exit(1); });
        for (let at = 0; at < ${count}; at++) log.info("event", { at });
        ${end};`;
      const child = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", program], {
        encoding: "utf8",
        timeout: 30_000,
        maxBuffer: 1e7,
      });
      assert.equal(child.status, status, child.stderr.slice(-500));
      const lines = child.stderr.trimEnd().split("\n").map(parsedLine);
      assert.deepEqual(
        lines.slice(0, count).map(({ at }) => at),
        Array.from({ length: count }, (_, at) => at),
      );
      assert.deepEqual(
        lines.slice(count).map(({ msg }) => msg),
        status === 1 ? ["fatal"] : [],
      );
    }
  });
});

function parsedLine(line: string): Record<string, unknown> {
  return JSON.parse(line) as Record<string, unknown>;
}
