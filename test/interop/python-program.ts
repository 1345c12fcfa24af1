// The Python program that holds the scenarios, as a process: it is told which promise to show, and asks for what only the
// owner of the broker's process can do.
import assert from "node:assert/strict";
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { type Scope, type ServerProcess, root } from "../e2e/server-process.ts";
import { temporaryDirectory } from "../temporary.ts";

/** `python3` in PATH may be a version manager's, which knows nothing of the system's grpcio. */
export const python = process.env["FILA_INTEROP_PYTHON"] ?? "/usr/bin/python3";
const program = join(import.meta.dirname, "python/main.py");

/** Generates Python's code from folders of .proto files. Returns the folder that holds it. */
export function generateStubs(scope: Scope, ...inputs: readonly string[]): string {
  const out = temporaryDirectory("e2e");
  const plugins = [
    { protoc_builtin: "python", out },
    { local: "grpc_python_plugin", out },
  ];
  for (const input of inputs) {
    const template = JSON.stringify({ version: "v2", plugins });
    execFileSync(join(root, "node_modules/.bin/buf"), ["generate", join(root, input), "--template", template], {
      cwd: root,
    });
  }
  return out;
}

const environment = (stubs: string): NodeJS.ProcessEnv => ({
  ...process.env,
  FILA_INTEROP_STUBS: stubs,
  PYTHONDONTWRITEBYTECODE: "1",
});

/** The promises that the program can show. */
export function listPromises(stubs: string): string[] {
  const lines = execFileSync(python, [program, "list"], { env: environment(stubs), encoding: "utf8" });
  return lines
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as string);
}

export class PythonProgram {
  readonly #server: ServerProcess;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(scope: Scope, api: string, stubs: string, server: ServerProcess) {
    this.#server = server;
    // What it writes to standard error (grpcio's own complaints) belongs beside the test's report.
    this.#child = spawn(python, [program, api, `127.0.0.1:${server.port}`], {
      env: environment(stubs),
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    scope.after(async () => {
      this.#child.kill("SIGKILL");
      if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    });
  }

  /** Fails with Python's own words when the promise is broken. */
  async show(promise: string): Promise<void> {
    // The scenario before may have failed between an end and a start.
    if (this.#server.run.over) await this.#server.restart();
    this.#tell(promise);
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) assert.fail("the Python program ended");
      const said = JSON.parse(value) as { ask: string } | { ended: string | null };
      if ("ended" in said) {
        if (said.ended !== null) assert.fail(said.ended);
        return;
      }
      this.#tell(await this.#toBroker(said.ask));
    }
  }

  async #toBroker(word: string): Promise<number | string | null> {
    const server = this.#server;
    switch (word) {
      case "terminate":
        return server.stop();
      case "begin to terminate":
        server.run.child.kill("SIGTERM");
        return null;
      case "await its end":
        return server.run.ended;
      case "kill":
        await server.kill();
        return server.run.ended;
      case "start":
        await server.restart();
        return null;
      default:
        return assert.fail(`the Python program asks to ${word}`);
    }
  }

  #tell(what: unknown): void {
    this.#child.stdin.write(`${JSON.stringify(what)}\n`);
  }
}
