// What a stranger does first with the packages installed: start a broker, send with the curl that it prints, consume.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { says } from "../e2e/fila-command.ts";

/** `folder` holds the program `fila`, which is run from an empty folder. Rejects when a step does not work. */
export async function firstMinute(folder: string): Promise<void> {
  const cwd = mkdtempSync(path.join(tmpdir(), "fila-first-minute-"));
  const env = { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
  // As typed: what `fila dev` prints goes to a shell without a change.
  const typed = (line: string): string => execFileSync("/bin/sh", ["-c", line], { cwd, env, encoding: "utf8" });
  const dev = spawn("fila", ["dev", "--port", "0"], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(dev, "exit") as Promise<[number | null]>;
  try {
    const greeting = await says(dev.stdout, /^ {2}fila consume .*\n/m);
    const [curl, consume] = [/^ {2}curl .*$/m, /^ {2}fila consume .*$/m].map((line) => line.exec(greeting)![0].trim());
    assert.match(typed(curl!), /"messageId":/);
    assert.equal(typed(`${consume} --max 1`), "hello from curl\n");
    dev.kill("SIGINT");
    assert.equal((await ended)[0], 0, "fila dev ends with 0 on Ctrl-C");
  } finally {
    dev.kill("SIGKILL");
    rmSync(cwd, { recursive: true, force: true });
  }
}
