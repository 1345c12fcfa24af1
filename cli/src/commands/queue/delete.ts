import { Args } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";

export default class QueueDelete extends ClientCommand {
  static override summary = "Delete a queue with all its messages.";
  static override examples = ["<%= config.bin %> queue delete emails"];
  static override args = {
    name: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueDelete);
    await using fila = await this.client(flags.addr);
    await fila.admin.deleteQueue(args.name);
    if (flags.json) this.printJson({ queue: args.name });
    else this.log(`Deleted queue "${args.name}"`);
  }
}
