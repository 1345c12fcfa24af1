import type { Writable } from "node:stream";
import { Args, Flags } from "@oclif/core";
import type { Fila, Lease } from "@fila/sdk";
import { availableLeases } from "../available-leases.ts";
import { ClientCommand } from "../client-command.ts";
import { UsageError } from "../command-failure.ts";
import { ExecWorker, type Handled } from "../exec/exec-worker.ts";
import { messageEnvironment } from "../exec/message-environment.ts";
import { RunningCommand, type Program } from "../exec/run-command.ts";
import { jsonLine, payloadLine } from "../message-line.ts";
import { Output } from "../output.ts";
import { Printer } from "../printer.ts";
import { StopSignals } from "../stop-signals.ts";

/** Leases fetched ahead of printing. */
const prefetch = 256;

export default class Consume extends ClientCommand {
  static override summary = "Print messages and ack them, or run a command for each.";

  static override description =
    "Prints each payload, byte for byte, and a newline; a message is acked when its line is written. With --json: one " +
    "object per message and line, with the payload as text, or as base64 where it is none (see its encoding). Runs " +
    "until --max, --exit-on-empty, Ctrl-C, or until nobody reads the output; what was not printed goes back to the queue." +
    "\n\n" +
    "With --exec, a command handles each message: the payload is its stdin; FILA_MESSAGE_ID, FILA_QUEUE, " +
    "FILA_FAIRNESS_KEY, FILA_ATTEMPT and FILA_HEADERS (JSON) are in its environment. Exit status 0 acks the message, any " +
    "other nacks it, with the last line of its stderr as the error. The lease is extended while it runs. --exec CMD runs " +
    "CMD by sh; --exec -- PROGRAM ARGS... runs the program itself, with no flag of fila behind it. Ctrl-C takes no more " +
    "messages and waits for the commands that run; a second one kills them, and their messages go back. With --json: one " +
    "object per message on stdout, and the commands' own output on stderr.";

  static override examples = [
    "<%= config.bin %> consume emails",
    "<%= config.bin %> consume emails --max 10 --json",
    "<%= config.bin %> consume emails --exit-on-empty | wc -l",
    "<%= config.bin %> consume emails --concurrency 4 --exec './send.sh \"$FILA_FAIRNESS_KEY\"'",
    "<%= config.bin %> consume emails --exec -- node send.js --quick",
  ];

  static override args = {
    queue: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
  };

  static override flags = {
    max: Flags.integer({ description: "Stop after so many messages.", min: 1 }),
    "exit-on-empty": Flags.boolean({ description: "Stop when the queue has nothing to give.", default: false }),
    exec: Flags.string({ description: "Run this for each message instead of printing it.", helpValue: "CMD" }),
    concurrency: Flags.integer({
      description: "With --exec: commands that run at the same time, 1 to 1,000. Default: 1.",
      min: 1,
      max: 1000,
    }),
  };

  async run(): Promise<void> {
    const program = this.#takeProgram();
    const { args, flags } = await this.parse(Consume);
    const exec = program ?? (flags.exec === undefined ? undefined : { file: "/bin/sh", args: ["-c", flags.exec] });
    if (exec !== undefined) await this.#exec(args.queue, exec, flags);
    else if (flags.concurrency !== undefined) throw new UsageError("--concurrency needs --exec");
    else await this.#print(args.queue, flags);
  }

  /** `--exec -- PROGRAM ARGS...`, taken from the end of the arguments, which oclif would read as its own. */
  #takeProgram(): Program | undefined {
    const end = this.argv.indexOf("--");
    if (end < 1 || this.argv[end - 1] !== "--exec") return undefined;
    const [file, ...args] = this.argv.slice(end + 1);
    if (file === undefined) throw new UsageError("--exec -- needs a program behind it");
    this.argv = this.argv.slice(0, end - 1);
    return { file, args };
  }

  async #print(queue: string, flags: ConsumeFlags): Promise<void> {
    using stop = new StopSignals();
    const output = new Output(this.stdio.stdout);
    const printer = new Printer(output, flags.json ? jsonLine : payloadLine, () => stop.abort());
    await using fila = await this.client(flags.addr);
    const max = flags.max ?? Infinity;
    const leases: AsyncIterable<Lease> = flags["exit-on-empty"]
      ? availableLeases(fila, queue, stop.signal, () => printer.idle())
      : fila.leases(queue, { prefetch: Math.min(prefetch, max), signal: stop.signal });

    let given = 0;
    for await (const lease of leases) {
      await printer.print(lease);
      given++;
      if (given >= max) break;
    }
    await printer.idle();
    // What is wrong with stdout was told where it broke.
    if (printer.failure !== undefined && printer.failure !== output.failure) throw printer.failure as Error;
    if (output.closedByReader) return;
    this.tell(`${printer.printed} message(s)`);
    if (printer.lost > 0)
      this.tell(`${printer.lost} of them were printed after their lease was over and will come again`);
  }

  async #exec(queue: string, program: Program, flags: ConsumeFlags): Promise<void> {
    const output = new Output(this.stdio.stdout);
    await using fila: Fila = await this.client(flags.addr);
    const stderr = (bytes: Uint8Array): Promise<void> => said(this.stdio.stderr, bytes);
    const worker = new ExecWorker(fila, {
      queue,
      concurrency: flags.concurrency ?? 1,
      max: flags.max ?? Infinity,
      exitOnEmpty: flags["exit-on-empty"],
      start: (lease) =>
        new RunningCommand(program, lease.payload, messageEnvironment(lease, flags.addr), {
          stdout: flags.json
            ? stderr
            : (bytes) =>
                output.write(bytes).catch((error: unknown) => {
                  worker.stop();
                  throw error;
                }),
          stderr,
        }),
      // Who takes no output hears of no failures either.
      handled: (message) => {
        if (!output.closedByReader) this.#tellHandled(message, flags.json);
      },
    });
    using stop = new StopSignals(() => worker.kill());
    stop.signal.addEventListener("abort", () => {
      if (worker.running > 0) {
        this.tell(`waiting for ${worker.running} command(s) to end; Ctrl-C again kills them`);
      }
    });
    await worker.run(stop.signal);
    if (stop.leaving || output.closedByReader) return;
    const { acked, nacked, lost } = worker;
    const parts = [`${acked} acked`, `${nacked} nacked`];
    if (lost > 0) parts.push(`${lost} lost (their lease was over before the command was)`);
    this.tell(`${acked + nacked + lost} message(s): ${parts.join(", ")}`);
  }

  #tellHandled({ lease, settled, exitCode, signal, error }: Handled, json: boolean): void {
    const { id, fairnessKey, attempt } = lease;
    if (json) this.printJson({ id, fairnessKey, attempt, settled, exitCode, signal, error });
    else if (settled === "nack") this.tell(`fila: message ${id} was nacked: ${error}`);
    else if (settled === "lost") this.tell(`fila: message ${id} was lost and will come again: ${error}`);
  }
}

interface ConsumeFlags {
  readonly addr: string;
  readonly json: boolean;
  readonly max: number | undefined;
  readonly "exit-on-empty": boolean;
  readonly concurrency: number | undefined;
}

/** Resolves when the bytes are with the operating system, or nobody wants them any more. */
function said(stream: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => stream.write(bytes, () => resolve()));
}
