// Each side of a pair is made of programs of its own, each in a process of its own.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import path from "node:path";

const running = new Set<ChildProcess>();
// However this process ends, none of its children stays.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function track<Child extends ChildProcess>(child: Child): Child {
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Where a process writes its CPU profile. */
export interface ProfileFile {
  readonly directory: string;
  readonly name: string;
}

export function nodeArguments(profile: ProfileFile | undefined, ...further: readonly string[]): string[] {
  const args = ["--conditions=@fila/source", ...further];
  if (profile === undefined) return args;
  mkdirSync(profile.directory, { recursive: true });
  return [
    ...args,
    "--cpu-prof",
    `--cpu-prof-dir=${profile.directory}`,
    `--cpu-prof-name=${profile.name}.cpuprofile`,
    "--cpu-prof-interval=500",
  ];
}

export const profilePath = ({ directory, name }: ProfileFile): string => path.join(directory, `${name}.cpuprofile`);

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

/** A program that was given its task; see `program-task.ts` for its side. */
export class Program {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static start(file: URL, task: unknown, profile?: ProfileFile, nodeFlags: readonly string[] = []): Program {
    const child = fork(file, [], {
      execArgv: nodeArguments(profile, ...nodeFlags),
      // Standard output is for the table.
      stdio: ["ignore", process.stderr.fd, "inherit", "ipc"],
      serialization: "advanced",
    });
    const program = new Program(track(child));
    child.send({ task });
    return program;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  send(message: string): void {
    this.#child.send(message);
  }

  /** The next thing that the program says. Rejects when it fails or ends. */
  answer(): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const onMessage = ({ value, error }: Answer): void => {
      this.#child.off("exit", onExit);
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    };
    const onExit = (code: number | null, signal: string | null): void => {
      this.#child.off("message", onMessage);
      reject(new Error(`${this.#child.spawnargs.at(-1)} ended (${signal ?? code}) without an answer`));
    };
    this.#child.once("message", onMessage).once("exit", onExit);
    return promise;
  }

  /** Waits for the end; asks for it first, unless the program ends by itself. */
  async stop(signal?: NodeJS.Signals): Promise<void> {
    await endOf(this.#child, signal);
  }
}

export async function endOf(child: ChildProcess, signal?: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  if (signal !== undefined) child.kill(signal);
  await exited;
}

/** Gives a program its task and waits for its one answer and its end. */
export async function runProgram<Result>(file: URL, task: unknown, profile?: ProfileFile): Promise<Result> {
  const program = Program.start(file, task, profile);
  try {
    return (await program.answer()) as Result;
  } finally {
    await program.stop();
  }
}
