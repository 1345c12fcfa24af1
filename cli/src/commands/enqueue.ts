import { fstatSync } from "node:fs";
import { Args, Flags } from "@oclif/core";
import type { EnqueueOptions, Fila } from "@fila/sdk";
import { ClientCommand } from "../client-command.ts";
import { UsageError } from "../command-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { durationFlag, timeFlag } from "../flags.ts";
import { LineKey } from "../line-key.ts";
import { LineEnqueue } from "../line-enqueue.ts";
import { readJsonLines, readLines, type Reading } from "../line-reading.ts";
import { untilDestroyed } from "../lines.ts";
import { parsePairs } from "../pairs.ts";
import { Progress } from "../progress.ts";
import { StopSignals } from "../stop-signals.ts";

const year = 365 * 86_400_000;
const pathHelp = "a path such as .tenant, .user.id or .items[0].id";

export default class Enqueue extends ClientCommand {
  static override summary = "Store messages in a queue.";

  static override description =
    "Prints the id of the message. With --lines, each line of stdin is a message, byte for byte without its newline; " +
    "with --ndjson it must also be a JSON value, whose parts can be taken as key, weight, cost and throttle keys. A " +
    "summary goes to stderr. A line without a key gets the default key and is counted; a line that is refused is told " +
    "with its number, and the others go on. Ctrl-C ends the reading and waits for the answers to what was sent. A message " +
    "whose idempotency key was used before is not stored again: its id is that of the first, and it is told.";

  static override examples = [
    "<%= config.bin %> enqueue emails 'hello' --key tenant-42",
    "<%= config.bin %> enqueue logs --lines --key-regex '^(\\S+)' < access.log",
    "<%= config.bin %> enqueue orders --ndjson --key-from .tenant --weight-from .plan.weight < orders.ndjson",
    "<%= config.bin %> enqueue emails 'a reminder' --delay 1h --ttl 1d",
    "<%= config.bin %> enqueue orders 'order 17' --idempotency-key order-17/confirmation",
    "seq 1 100000 | <%= config.bin %> enqueue numbers --lines",
  ];

  static override args = {
    queue: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
    // Without ignoreStdin oclif reads a piped stdin as the argument.
    payload: Args.string({ description: "The message, unless --lines or --ndjson is given.", ignoreStdin: true }),
  };

  static override flags = {
    lines: Flags.boolean({ description: "Each line of stdin is a message.", default: false, exclusive: ["ndjson"] }),
    ndjson: Flags.boolean({ description: "Each line of stdin is a message and holds a JSON value.", default: false }),
    key: Flags.string({ description: "Fairness key.", exclusive: ["key-regex", "key-from"] }),
    "key-regex": Flags.string({
      description: "Of each line: JavaScript regular expression whose first group is the fairness key.",
      exclusive: ["key-from"],
    }),
    "key-from": Flags.string({ description: `With --ndjson: ${pathHelp} to the fairness key.` }),
    weight: Flags.integer({ description: "Weight of the fairness key from now on, 1 to 1,000.", min: 1, max: 1000 }),
    "weight-from": Flags.string({
      description: "With --ndjson: path to the weight; --weight where there is none.",
    }),
    cost: Flags.integer({ description: "What a delivery takes from the key's share, 1 to 1,000.", min: 1, max: 1000 }),
    "cost-from": Flags.string({
      description: "With --ndjson: path to the cost; --cost where there is none.",
    }),
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
    "throttle-key-from": Flags.string({
      description: "With --ndjson: path to a throttle key; may be repeated.",
      multiple: true,
      multipleNonGreedy: true,
    }),
    delay: {
      ...durationFlag("delay", "Not delivered before this time has passed, at most 365d.", 0, year),
      exclusive: ["deliver-at"],
    },
    "deliver-at": timeFlag("deliver-at", "Not delivered before it, like 2026-01-31T12:00:00Z; at most a year ahead."),
    ttl: durationFlag("ttl", "Not delivered after this time, at most 365d; 0 = for ever.", 0, year),
    "idempotency-key": Flags.string({ description: "Stored once, however often it is enqueued with this key." }),
    "idempotency-key-from": Flags.string({ description: "With --ndjson: path to the idempotency key of each line." }),
    "no-progress": Flags.boolean({ description: "No count while it works, which only a terminal shows." }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Enqueue);
    const fromInput = flags.lines || flags.ndjson;
    if (fromInput === (args.payload !== undefined)) {
      throw new UsageError(
        fromInput
          ? `give a message or --${flags.lines ? "lines" : "ndjson"}, not both`
          : "there is no message; give one after the queue, or --lines or --ndjson and stdin",
      );
    }
    for (const name of ["key-from", "weight-from", "cost-from", "throttle-key-from", "idempotency-key-from"] as const) {
      if (flags[name] !== undefined && !flags.ndjson) throw new UsageError(`--${name} needs --ndjson`);
    }
    if (flags["key-regex"] !== undefined && !fromInput) throw new UsageError("--key-regex needs --lines or --ndjson");
    if (flags["idempotency-key"] !== undefined && fromInput) {
      throw new UsageError(
        "--idempotency-key is for one message; --ndjson --idempotency-key-from PATH has one for each line",
      );
    }
    const options: EnqueueOptions = {
      headers: flags.header && parsePairs("--header", flags.header),
      fairnessKey: flags.key,
      weight: flags.weight,
      cost: flags.cost,
      throttleKeys: flags["throttle-key"],
      delay: flags.delay,
      deliverAt: flags["deliver-at"],
      ttl: flags.ttl === 0 ? undefined : flags.ttl,
    };
    const lineKey = flags["key-regex"] === undefined ? undefined : new LineKey(flags["key-regex"]);
    if (args.payload === undefined) {
      const reading = flags.ndjson ? readJsonLines(options, lineKey, flags) : readLines(options, lineKey);
      await this.#enqueueInput(args.queue, reading, flags);
    } else {
      await using fila = await this.client(flags.addr);
      const idempotencyKey = flags["idempotency-key"];
      const stored =
        idempotencyKey === undefined
          ? { id: await fila.enqueue(args.queue, args.payload, options) }
          : await fila.enqueueOnce(args.queue, args.payload, { ...options, idempotencyKey });
      if (flags.json) this.printJson(stored);
      else this.log(stored.id);
      if ("duplicate" in stored && stored.duplicate)
        this.tell("a duplicate: this is the id of the message that was stored first");
    }
  }

  async #enqueueInput(queue: string, reading: Reading, flags: InputFlags): Promise<void> {
    const { stdin, stderr } = this.stdio;
    if (stdin.fd !== undefined && fstatSync(stdin.fd).isDirectory())
      throw new UsageError("stdin is a directory; give a file or a pipe");
    await using fila: Fila = await this.client(flags.addr);
    const begun = performance.now();
    using stop = new StopSignals();
    const progress = new Progress(stderr, !flags.json && !flags["no-progress"]);
    const work = new LineEnqueue(reading.messageOf, stop.signal);
    stop.signal.addEventListener("abort", () => {
      // A terminal that waits for input would otherwise hold the process after Ctrl-C.
      stdin.destroy();
      progress.clear();
      if (work.underWay > 0) {
        this.tell(`waiting for the answers to ${work.underWay} message(s); Ctrl-C again ends at once`);
      }
    });
    if (stdin.isTTY) this.tell("reading lines from the terminal; Ctrl-D ends them");
    const input = untilDestroyed(stdin, stop.signal);
    await work.run(fila, queue, input, () => progress.update(work.enqueued + work.duplicates + work.failed));
    stdin.destroy();
    progress.clear();
    this.#report(queue, work, reading, (performance.now() - begun) / 1000, flags.json);
    if (work.errors.length === 0 && stop.signal.aborted) this.stdio.exitCode = exitCodes.interrupted;
  }

  #report(queue: string, work: LineEnqueue, reading: Reading, seconds: number, json: boolean): void {
    const withoutKey = reading.withoutKey();
    const reports = work.errors.map(({ line, error }) => ({ line, ...this.reportOf(error) }));
    const [first] = reports;
    if (first !== undefined) this.stdio.exitCode = first.exitCode;
    if (json) {
      const { enqueued, duplicates, failed, stopped } = work;
      const errors = first && { error: first, errors: reports };
      this.printJson({ enqueued, duplicates, failed, stopped, withoutKey, seconds, ...errors });
      return;
    }
    for (const { line, message } of reports) this.tell(`fila: line ${line}: ${message}`);
    const parts = [`Enqueued ${work.enqueued} message(s) to "${queue}" in ${seconds.toFixed(2)} s`];
    if (work.duplicates > 0) parts.push(`${work.duplicates} duplicate(s) were there already`);
    if (withoutKey > 0) parts.push(`${withoutKey} line(s) ${reading.keyless} and got the default key`);
    if (work.failed > 0) parts.push(`${work.failed} line(s) failed or have no answer`);
    if (work.stopped) parts.push(`nothing behind line ${work.lastLine} was sent`);
    this.tell(parts.join("; "));
  }
}

interface InputFlags {
  readonly addr: string;
  readonly json: boolean;
  readonly "no-progress": boolean;
}
