// The command as a process, and a real broker for it to speak to.
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import { silentLog, startServer } from "@fila/server";

export const bin = path.join(import.meta.dirname, "../../cli/bin/fila");

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A broker in memory, and the command with FILA_ADDR set to it. */
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
    return new FilaCommand(`127.0.0.1:${server.address.port}`, () => server.stop());
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

  async run(args: readonly string[], input: string | Uint8Array = "", env: NodeJS.ProcessEnv = {}): Promise<Ended> {
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
