import { Flags } from "@oclif/core";
import { ClientCommand } from "../client-command.ts";
import { queueArg } from "../flags.ts";
import { printable } from "../printable.ts";

export default class Resume extends ClientCommand {
  static override summary = "Go on with deliveries of a queue, or of one fairness key.";
  static override description = "A paused key stays paused when its queue goes on, and the other way round.";
  static override examples = ["<%= config.bin %> resume emails", "<%= config.bin %> resume emails --key tenant-42"];
  static override args = { queue: queueArg };
  static override flags = { key: Flags.string({ description: "Only this fairness key." }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Resume);
    const { queue } = args;
    const { key } = flags;
    await using fila = await this.client(flags.addr);
    if (key === undefined) await fila.admin.resumeQueue(queue);
    else await fila.admin.setKey(queue, key, { paused: false });
    if (flags.json) this.printJson({ queue, key, paused: false });
    else this.log(`Resumed ${key === undefined ? "" : `key "${printable(key)}" of `}queue "${queue}"`);
  }
}
