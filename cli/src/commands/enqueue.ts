import { Args, Flags } from "@oclif/core";
import type { EnqueueOptions, Fila } from "@fila/sdk";
import { BaseCommand } from "../base-command.ts";
import { reportOf, UsageError } from "../command-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { LineKey } from "../line-key.ts";
import { enqueueLines, type LinesResult } from "../line-enqueue.ts";
import { parsePairs } from "../pairs.ts";
import { StopSignals } from "../stop-signals.ts";

export default class Enqueue extends BaseCommand {
  static override summary = "Store messages in a queue.";

  static override description =
    "Prints the id of the message. With --lines, each line of stdin is a message, byte for byte without its newline, " +
    "and a summary goes to stderr. A line that --key-regex does not match gets the default key and is counted.";

  static override examples = [
    "<%= config.bin %> enqueue emails 'hello' --key tenant-42",
    "<%= config.bin %> enqueue logs --lines --key-regex '^(\\S+)' < access.log",
    "seq 1 100000 | <%= config.bin %> enqueue numbers --lines",
  ];

  static override args = {
    queue: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
    // Without ignoreStdin oclif reads a piped stdin as the argument.
    payload: Args.string({ description: "The message, unless --lines is given.", ignoreStdin: true }),
  };

  static override flags = {
    lines: Flags.boolean({ description: "Each line of stdin is a message.", default: false }),
    key: Flags.string({ description: "Fairness key.", exclusive: ["key-regex"] }),
    "key-regex": Flags.string({
      description: "With --lines: JavaScript regular expression whose first group is the fairness key.",
      dependsOn: ["lines"],
    }),
    weight: Flags.integer({ description: "Weight of the fairness key from now on, 1 to 1,000.", min: 1, max: 1000 }),
    cost: Flags.integer({ description: "What a delivery takes from the key's share, 1 to 1,000.", min: 1, max: 1000 }),
    header: Flags.string({
      description: "Header as name=value; may be repeated.",
      multiple: true,
      multipleNonGreedy: true,
    }),
    "throttle-key": Flags.string({
      description: "Throttle key; may be repeated.",
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Enqueue);
    if (flags.lines === (args.payload !== undefined)) {
      throw new UsageError(
        flags.lines
          ? "give a message or --lines, not both"
          : "there is no message; give one after the queue, or --lines and stdin",
      );
    }
    const options: EnqueueOptions = {
      headers: flags.header && parsePairs("--header", flags.header),
      fairnessKey: flags.key,
      weight: flags.weight,
      cost: flags.cost,
      throttleKeys: flags["throttle-key"],
    };
    const lineKey = flags["key-regex"] === undefined ? undefined : new LineKey(flags["key-regex"]);
    await using fila = await this.client(flags.addr);
    if (args.payload === undefined) {
      await this.#lines(fila, args.queue, options, lineKey, flags);
    } else {
      const id = await fila.enqueue(args.queue, args.payload, options);
      if (flags.json) this.printJson({ id });
      else this.log(id);
    }
  }

  async #lines(
    fila: Fila,
    queue: string,
    options: EnqueueOptions,
    lineKey: LineKey | undefined,
    { addr, json }: { addr: string; json: boolean },
  ): Promise<void> {
    const begun = performance.now();
    using stop = new StopSignals();
    // A terminal that waits for input would otherwise hold the process after Ctrl-C.
    stop.signal.addEventListener("abort", () => process.stdin.destroy());
    const result = await enqueueLines(fila, queue, untilDestroyed(process.stdin), options, lineKey, stop.signal);
    process.stdin.destroy();
    const withoutKey = lineKey?.withoutKey ?? 0;
    const seconds = (performance.now() - begun) / 1000;
    const reports = result.errors.map(({ line, error }) => ({ line, ...reportOf(error, addr) }));
    if (json) {
      const { enqueued, failed, stopped } = result;
      this.printJson({
        enqueued,
        failed,
        stopped,
        withoutKey,
        seconds,
        ...(reports[0] && { error: reports[0], errors: reports }),
      });
    } else {
      for (const { line, message } of reports) this.tell(`fila: line ${line}: ${message}`);
      this.tell(summary(queue, result, withoutKey, seconds));
    }
    if (reports[0] !== undefined) process.exitCode = reports[0].exitCode;
    else if (stop.signal.aborted) process.exitCode = exitCodes.interrupted;
  }
}

function summary(queue: string, result: LinesResult, withoutKey: number, seconds: number): string {
  const parts = [`Enqueued ${result.enqueued} message(s) to "${queue}" in ${seconds.toFixed(2)} s`];
  if (withoutKey > 0) parts.push(`${withoutKey} line(s) did not match --key-regex and got the default key`);
  if (result.failed > 0) parts.push(`${result.failed} line(s) failed or have no answer`);
  if (result.stopped) parts.push(`nothing behind line ${result.enqueued + result.failed} was sent`);
  return parts.join("; ");
}

/** A stream that we destroyed ourselves is at its end, not broken. */
async function* untilDestroyed(input: NodeJS.ReadStream): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of input) yield chunk as Uint8Array;
  } catch (error) {
    if (!input.destroyed || (error as { code?: unknown }).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}
