import { Args, Flags } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";

export default class QueueCreate extends ClientCommand {
  static override summary = "Create a queue.";
  static override examples = [
    "<%= config.bin %> queue create emails",
    "<%= config.bin %> queue create reports --visibility-timeout 300000",
  ];

  static override args = {
    name: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
  };

  static override flags = {
    "visibility-timeout": Flags.integer({
      description: "How long a lease lasts, milliseconds, 1,000 to 43,200,000. Default: 30,000.",
      min: 1000,
      max: 43_200_000,
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueCreate);
    await using fila = await this.client(flags.addr);
    await fila.admin.createQueue(args.name, { visibilityTimeout: flags["visibility-timeout"] });
    if (flags.json) this.printJson({ queue: args.name });
    else this.log(`Created queue "${args.name}"`);
  }
}
