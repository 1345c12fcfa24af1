import { createInterface } from "node:readline/promises";
import { Args, Flags } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";
import { CommandFailure } from "../../command-failure.ts";
import { exitCodes } from "../../exit-codes.ts";

export default class QueueDelete extends ClientCommand {
  static override summary = "Delete a queue with all its messages.";

  static override description =
    "On a terminal it asks first when the queue is not empty; in a script it does not ask. --dry-run shows what would be " +
    "deleted and deletes nothing.";

  static override examples = [
    "<%= config.bin %> queue delete emails",
    "<%= config.bin %> queue delete emails --dry-run",
  ];

  static override args = {
    name: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
  };

  static override flags = {
    yes: Flags.boolean({ description: "Do not ask.", default: false }),
    "dry-run": Flags.boolean({ description: "Show what would be deleted.", default: false }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueDelete);
    const asks = !flags.yes && process.stdin.isTTY && process.stderr.isTTY;
    await using fila = await this.client(flags.addr);
    if (flags["dry-run"] || asks) {
      const { depth, inFlight } = await fila.admin.stats(args.name);
      const touched = `queue "${args.name}" with ${depth} message(s), ${inFlight} of them in flight`;
      if (flags["dry-run"]) {
        if (flags.json) this.printJson({ queue: args.name, depth, inFlight, dryRun: true });
        else this.log(`Would delete ${touched}`);
        return;
      }
      if (depth > 0 && !(await confirmed(`Delete ${touched}? [y/N] `))) {
        throw new CommandFailure("canceled", "NOT_CONFIRMED", "nothing was deleted", exitCodes.error);
      }
    }
    await fila.admin.deleteQueue(args.name);
    if (flags.json) this.printJson({ queue: args.name });
    else this.log(`Deleted queue "${args.name}"`);
  }
}

/** Anything but a yes is a no, the end of the input and Ctrl-C too. */
async function confirmed(question: string): Promise<boolean> {
  using terminal = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  const answer = await Promise.race([terminal.question(question), closed]);
  return /^y(es)?$/i.test(answer.trim());
}
