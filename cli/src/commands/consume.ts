import { Args, Flags } from "@oclif/core";
import type { Lease } from "@fila/sdk";
import { availableLeases } from "../available-leases.ts";
import { BaseCommand } from "../base-command.ts";
import { jsonLine, payloadLine } from "../message-line.ts";
import { Output } from "../output.ts";
import { Printer } from "../printer.ts";
import { StopSignals } from "../stop-signals.ts";

/** Leases fetched ahead of printing. */
const prefetch = 256;

export default class Consume extends BaseCommand {
  static override summary = "Print messages and ack them.";

  static override description =
    "Prints each payload, byte for byte, and a newline; a message is acked when its line is written. With --json: one " +
    "object per message and line, with the payload as text, or as base64 where it is none (see its encoding). Runs " +
    "until --max, --exit-on-empty, Ctrl-C, or until nobody reads the output; what was not printed goes back to the queue.";

  static override examples = [
    "<%= config.bin %> consume emails",
    "<%= config.bin %> consume emails --max 10 --json",
    "<%= config.bin %> consume emails --exit-on-empty | wc -l",
  ];

  static override args = {
    queue: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
  };

  static override flags = {
    max: Flags.integer({ description: "Stop after so many messages.", min: 1 }),
    "exit-on-empty": Flags.boolean({ description: "Stop when the queue has nothing to give." }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Consume);
    using stop = new StopSignals();
    const output = new Output(process.stdout);
    const printer = new Printer(output, flags.json ? jsonLine : payloadLine, () => stop.abort());
    await using fila = await this.client(flags.addr);
    const max = flags.max ?? Infinity;
    const leases: AsyncIterable<Lease> = flags["exit-on-empty"]
      ? availableLeases(fila, args.queue, stop.signal, () => printer.idle())
      : fila.leases(args.queue, { prefetch: Math.min(prefetch, max), signal: stop.signal });

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
}
