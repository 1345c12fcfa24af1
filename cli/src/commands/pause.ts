import { Flags } from "@oclif/core";
import { ClientCommand } from "../client-command.ts";
import { queueArg } from "../flags.ts";
import { printable } from "../printable.ts";

export default class Pause extends ClientCommand {
  static override summary = "Stop deliveries of a queue, or of one fairness key.";
  static override description =
    "It still takes messages in; what is leased can be settled. It holds over restarts, until fila resume.";
  static override examples = ["<%= config.bin %> pause emails", "<%= config.bin %> pause emails --key tenant-42"];
  static override args = { queue: queueArg };
  static override flags = { key: Flags.string({ description: "Only this fairness key." }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Pause);
    const { queue } = args;
    const { key } = flags;
    await using fila = await this.client(flags.addr);
    if (key === undefined) await fila.admin.pauseQueue(queue);
    else await fila.admin.setKey(queue, key, { paused: true });
    if (flags.json) this.printJson({ queue, key, paused: true });
    else this.log(`Paused ${key === undefined ? "" : `key "${printable(key)}" of `}queue "${queue}"`);
  }
}
