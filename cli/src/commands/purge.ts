import { Flags } from "@oclif/core";
import { ClientCommand } from "../client-command.ts";
import { assertCanAsk, confirm } from "../confirmation.ts";
import { queueArg, yesFlag } from "../flags.ts";

export default class Purge extends ClientCommand {
  static override summary = "Remove all messages that wait in a queue.";

  static override description =
    "What is leased, and what is enqueued meanwhile, stays; so do its dead letters, which are a queue of their own. It " +
    "asks on a terminal, and needs --yes in a script. --dry-run counts what would go.";

  static override examples = [
    "<%= config.bin %> purge emails --dry-run",
    "<%= config.bin %> purge emails",
    "<%= config.bin %> purge emails.dlq --yes",
  ];

  static override args = { queue: queueArg };

  static override flags = {
    yes: yesFlag,
    "dry-run": Flags.boolean({ description: "Count what would go.", default: false }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Purge);
    const { queue } = args;
    const asks = !flags.yes && !flags["dry-run"];
    if (asks) assertCanAsk(this.stdio, "a purge");
    await using fila = await this.client(flags.addr);
    if (asks || flags["dry-run"]) {
      const { depth, inFlight } = await fila.admin.stats(queue);
      const count = depth - inFlight;
      if (flags["dry-run"]) {
        if (flags.json) this.printJson({ queue, count, dryRun: true });
        else this.log(`Would purge ${count} message(s) from "${queue}"; ${inFlight} in flight would stay`);
        return;
      }
      await confirm(this.stdio, `Purge ${count} message(s) from "${queue}"? ${inFlight} in flight stay.`);
    }
    const purged = await fila.admin.purgeQueue(queue);
    if (flags.json) this.printJson({ queue, purged });
    else this.log(`Purged ${purged} message(s) from "${queue}"`);
  }
}
