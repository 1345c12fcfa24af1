// The command, inside this process or as one of its own, and a real broker for it to speak to.
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { EventEmitter, once } from "node:events";
import path from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { silentLog, startServer } from "@fila/server";
import { commandFirst } from "../../cli/src/arguments.ts";
import { loadConfig, runCommandLine } from "../../cli/src/command-line.ts";
import { withStdio, type Stdio } from "../../cli/src/stdio.ts";

export const bin = path.join(import.meta.dirname, "../../cli/bin/fila");

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const main = new URL("../../cli/src/main.ts", import.meta.url).href;

/** A run inside this process. Signals are its own: `emit("SIGINT")` is Ctrl-C. */
export class InsideRun extends EventEmitter implements Stdio {
  readonly stdin: Stdio["stdin"];
  readonly stdout: Stdio["stdout"] & PassThrough = new PassThrough({ highWaterMark: 64 * 1024 });
  readonly stderr: Stdio["stderr"] & PassThrough = new PassThrough();
  exitCode: number | undefined = undefined;
  readonly ended: Promise<Ended>;

  /** `terminal`: all three streams say that they are one. */
  constructor(args: readonly string[], input: string | Uint8Array | Readable = "", terminal = false) {
    super();
    this.stdin = input instanceof Readable ? input : Readable.from(pieces(Buffer.from(input)));
    if (terminal) for (const stream of [this.stdin, this.stdout, this.stderr]) Object.assign(stream, { isTTY: true });
    this.ended = this.#run(args);
  }

  async #run(args: readonly string[]): Promise<Ended> {
    const output = Promise.all([text(this.stdout), text(this.stderr)]);
    // One for each run: help alters it.
    const config = await loadConfig(main);
    await withStdio(this, () => runCommandLine(commandFirst(args), config));
    this.stdout.end();
    this.stderr.end();
    const [stdout, stderr] = await output;
    return { status: this.exitCode ?? 0, stdout, stderr };
  }
}

/** As a pipe gives them. */
function* pieces(input: Buffer): Generator<Buffer> {
  for (let at = 0; at < input.length; at += 64 * 1024) yield input.subarray(at, at + 64 * 1024);
}

/** A broker in memory, and the command with FILA_ADDR set to it. One at a time in a process. */
export class FilaCommand {
  readonly addr: string;
  /** Ends the broker alone. */
  readonly stopBroker: () => Promise<void>;
  readonly #children = new Set<ChildProcessWithoutNullStreams>();

  private constructor(addr: string, stopBroker: () => Promise<void>) {
    this.addr = addr;
    this.stopBroker = stopBroker;
  }

  static async withBroker(): Promise<FilaCommand> {
    const settings = { "server.listen_addr": "127.0.0.1:0", "server.drain_deadline_ms": 0 };
    const server = await startServer(settings, { log: silentLog, storage: "memory" });
    const addr = `127.0.0.1:${server.address.port}`;
    const before = process.env["FILA_ADDR"];
    process.env["FILA_ADDR"] = addr;
    return new FilaCommand(addr, async () => {
      if (before === undefined) delete process.env["FILA_ADDR"];
      else process.env["FILA_ADDR"] = before;
      await server.stop();
    });
  }

  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
    const child = spawn(bin, args, { env: { ...process.env, FILA_ADDR: this.addr, ...env }, stdio: "pipe" });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Kills what a failed test left running, and ends the broker. */
  async stop(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await this.stopBroker();
  }

  /** Inside this process, which is thirty times as fast as a process of its own. */
  run(args: readonly string[], input: string | Uint8Array = ""): Promise<Ended> {
    return new InsideRun(args, input).ended;
  }

  async runProcess(
    args: readonly string[],
    input: string | Uint8Array = "",
    env: NodeJS.ProcessEnv = {},
  ): Promise<Ended> {
    const child = this.start(args, env);
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    return ending(child);
  }

  /** A line of a shell, in which `fila` is this command. */
  async shell(line: string, cwd?: string): Promise<Ended> {
    const env = { ...process.env, FILA_ADDR: this.addr, PATH: `${path.dirname(bin)}:${process.env["PATH"]}` };
    const child = spawn("/bin/sh", ["-c", line], { env, cwd, stdio: "pipe" });
    child.stdin.end();
    return ending(child);
  }

  /** What `run` printed as JSON, one value a line. */
  async json(args: readonly string[], input = ""): Promise<unknown[]> {
    return jsonLines((await this.run([...args, "--json"], input)).stdout);
  }

  async depth(queue: string): Promise<number> {
    const [stats] = await this.json(["queue", "inspect", queue]);
    return (stats as { depth: number }).depth;
  }
}

/** Every line must be JSON. */
export function jsonLines(stdout: string): unknown[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}

/** Resolves when it has ended and its output is complete. */
export async function ending(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const closed = once(child, "close") as Promise<[number | null]>;
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { status, stdout, stderr };
}

/** Resolves with everything that a stream said once that matches. Rejects when it ends before. */
export function says(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    stream.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (pattern.test(said)) resolve(said);
    });
    stream.on("end", () => reject(new Error(`it ended and never said ${pattern}: ${said}`)));
  });
}
