import { Args, Flags } from "@oclif/core";
import type { RedriveProgress } from "@fila/sdk/admin";
import { ClientCommand } from "../client-command.ts";
import { exitCodes } from "../exit-codes.ts";
import { filterFlags, filterOf } from "../filter-flags.ts";
import { Progress } from "../progress.ts";
import { StopSignals } from "../stop-signals.ts";

export default class Redrive extends ClientCommand {
  static override summary = "Move dead letters back to their queue.";

  static override description =
    "To the tail, ready at once, with their attempts at 0. Without filters all of them, oldest first; what is leased is " +
    "passed over. --dry-run counts and moves nothing. Stopped by Ctrl-C or by a lost connection, it has moved what it " +
    "has moved, nothing twice: run it again for the rest.";

  static override examples = [
    "<%= config.bin %> redrive emails.dlq --dry-run",
    "<%= config.bin %> redrive emails.dlq --count 1",
    "<%= config.bin %> redrive emails.dlq --error timeout --since 1d --rate 100",
  ];

  static override args = {
    dlq: Args.string({ description: "Name of the dead-letter queue.", required: true, ignoreStdin: true }),
  };

  static override flags = {
    count: Flags.integer({ description: "Stop after so many; 0 = all. Default: 0.", min: 0 }),
    rate: Flags.integer({ description: "At most so many a second. Default: as fast as it goes.", min: 1, max: 1e9 }),
    "dry-run": Flags.boolean({ description: "Count what would be moved.", default: false }),
    "no-progress": Flags.boolean({ description: "No count while it works, which only a terminal shows." }),
    ...filterFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Redrive);
    const filter = filterOf(flags);
    const dryRun = flags["dry-run"];
    await using fila = await this.client(flags.addr);
    using stop = new StopSignals();
    const progress = new Progress(this.stdio.stderr, !flags.json && !flags["no-progress"]);
    const told = fila.admin.redrive(args.dlq, {
      filter,
      count: flags.count === 0 ? undefined : flags.count,
      dryRun,
      ratePerSecond: flags.rate,
      signal: stop.signal,
    });
    let last: RedriveProgress = { redriven: 0, examined: 0, done: false };
    try {
      for await (last of told) progress.update(last.redriven);
    } catch (error) {
      progress.clear();
      if (!stop.signal.aborted) {
        if (last.redriven > 0) this.tell(`${last.redriven} message(s) were moved; run it again for the rest`);
        throw error;
      }
      this.stdio.exitCode = exitCodes.interrupted;
    }
    progress.clear();
    this.#report(args.dlq, last, dryRun, flags.json);
  }

  #report(dlq: string, { redriven, examined, done }: RedriveProgress, dryRun: boolean, json: boolean): void {
    if (json) return this.printJson({ queue: dlq, redriven, examined, done, ...(dryRun && { dryRun }) });
    const what = `${redriven} message(s) from "${dlq}" to "${dlq.replace(/\.dlq$/, "")}"`;
    this.log(`${dryRun ? "Would redrive" : "Redrove"} ${done ? "" : "at least "}${what}`);
    if (!done) this.tell("stopped before it was done; run it again for the rest");
  }
}
