// One run of the command that handles a message.
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { forwardLines } from "./forward-lines.ts";

/** What is run: a program with its arguments, no shell between. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
}

/** Where the command's own output goes. A rejected write counts as a failure of the command. */
export interface CommandOutput {
  stdout(bytes: Uint8Array): Promise<void>;
  stderr(bytes: Uint8Array): Promise<void>;
}

/** How it ended. Exactly one of `exitCode` and `signal` is null, but for a command that could not be started. */
export interface CommandEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last line that it wrote to its stderr, or "". */
  readonly lastError: string;
  /** Why it could not be started, or its output not be written. */
  readonly failure: Error | undefined;
  /** It never ran. */
  readonly notStarted: boolean;
}

/** How long output is waited for that processes left behind by the command may still write. */
const outputGraceMs = 1_000;
/** Between asking a command to end and killing it. */
const killAfterMs = 5_000;

/** A command under way, in a process group of its own: Ctrl-C at the terminal does not reach it. */
export class RunningCommand {
  /** Never rejects. */
  readonly ended: Promise<CommandEnd>;
  readonly #child: ChildProcessWithoutNullStreams | undefined;
  #killer: NodeJS.Timeout | undefined;

  /** Starts it with `payload` on its stdin. */
  constructor(program: Program, payload: Uint8Array, env: NodeJS.ProcessEnv, output: CommandOutput) {
    try {
      this.#child = spawn(program.file, program.args, { env, stdio: "pipe", detached: true });
    } catch (error) {
      // What the environment cannot hold, such as a NUL in a fairness key.
      this.ended = Promise.resolve(notStarted(error as Error));
      return;
    }
    const { stdin } = this.#child;
    // A command need not read its input.
    stdin.on("error", () => {});
    stdin.end(payload);
    this.ended = this.#end(this.#child, output);
  }

  /** Asks it to end, and kills it when it does not. */
  stop(): void {
    this.#signal("SIGTERM");
    this.#killer ??= setTimeout(() => this.kill(), killAfterMs);
  }

  kill(): void {
    this.#signal("SIGKILL");
  }

  async #end(child: ChildProcessWithoutNullStreams, output: CommandOutput): Promise<CommandEnd> {
    let failure: Error | undefined;
    const failed = (error: unknown): string => {
      failure ??= error instanceof Error ? error : new Error(String(error));
      return "";
    };
    const outputs = Promise.all([
      forwardLines(child.stdout, (bytes) => output.stdout(bytes)).catch(failed),
      forwardLines(child.stderr, (bytes) => output.stderr(bytes)).catch(failed),
    ]);
    try {
      const [exitCode, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
      const grace = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, outputGraceMs);
      const [, lastError] = await outputs;
      clearTimeout(grace);
      return { exitCode, signal, lastError, failure, notStarted: false };
    } catch (error) {
      return notStarted(error as Error);
    } finally {
      clearTimeout(this.#killer);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It ended just now.
    }
  }
}

function notStarted(failure: Error): CommandEnd {
  return { exitCode: null, signal: null, lastError: "", failure, notStarted: true };
}
