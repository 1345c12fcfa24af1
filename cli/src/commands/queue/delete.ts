import { Flags } from "@oclif/core";
import type { Admin } from "@fila/sdk/admin";
import { ClientCommand } from "../../client-command.ts";
import { canAsk, confirm } from "../../confirmation.ts";
import { queueArg, yesFlag } from "../../flags.ts";

interface Touched {
  readonly depth: number;
  readonly inFlight: number;
  readonly deadLetters: number;
}

export default class QueueDelete extends ClientCommand {
  static override summary = "Delete a queue with all its messages.";

  static override description =
    "Its dead-letter queue goes with it. While that holds messages it refuses, unless --force is given or a terminal says " +
    "yes. On a terminal it asks first when there are any messages; in a script it does not ask. --dry-run shows what " +
    "would be deleted and deletes nothing.";

  static override examples = [
    "<%= config.bin %> queue delete emails",
    "<%= config.bin %> queue delete emails --dry-run",
    "<%= config.bin %> queue delete emails --yes --force",
  ];

  static override args = { name: queueArg };

  static override flags = {
    yes: yesFlag,
    force: Flags.boolean({ description: "Dead letters go too.", default: false }),
    "dry-run": Flags.boolean({ description: "Show what would be deleted.", default: false }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueDelete);
    const asks = !flags.yes && canAsk(this.stdio);
    let { force } = flags;
    await using fila = await this.client(flags.addr);
    if (flags["dry-run"] || asks) {
      const touched = await touchedOf(fila.admin, args.name);
      if (flags["dry-run"]) {
        if (flags.json) this.printJson({ queue: args.name, ...touched, dryRun: true });
        else this.log(`Would delete ${describe(args.name, touched)}`);
        return;
      }
      if (touched.depth > 0 || touched.deadLetters > 0) {
        await confirm(this.stdio, `Delete ${describe(args.name, touched)}?`);
        force = true;
      }
    }
    await fila.admin.deleteQueue(args.name, { force });
    if (flags.json) this.printJson({ queue: args.name });
    else this.log(`Deleted queue "${args.name}"`);
  }
}

async function touchedOf(admin: Admin, queue: string): Promise<Touched> {
  const [{ depth, inFlight }, { deadLetterQueue }] = await Promise.all([
    admin.stats(queue),
    admin.describeQueue(queue),
  ]);
  const deadLetters = deadLetterQueue === undefined ? 0 : (await admin.stats(deadLetterQueue)).depth;
  return { depth, inFlight, deadLetters };
}

function describe(queue: string, { depth, inFlight, deadLetters }: Touched): string {
  const dead = deadLetters > 0 ? `, and ${deadLetters} dead letter(s)` : "";
  return `queue "${queue}" with ${depth} message(s), ${inFlight} of them in flight${dead}`;
}
