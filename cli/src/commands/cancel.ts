import { Args } from "@oclif/core";
import { ClientCommand } from "../client-command.ts";
import { queueArg } from "../flags.ts";

export default class Cancel extends ClientCommand {
  static override summary = "Remove one message.";
  static override description =
    "It does not ask: the id names exactly one. A worker that holds the message is told that its lease is lost, and its " +
    "ack is refused.";
  static override examples = ["<%= config.bin %> cancel emails 01a1ff1d-8f11-7000-800c-000000000406"];
  static override args = {
    queue: queueArg,
    id: Args.string({ description: "Id of the message.", required: true, ignoreStdin: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Cancel);
    await using fila = await this.client(flags.addr);
    await fila.admin.cancelMessage(args.queue, args.id);
    if (flags.json) this.printJson({ queue: args.queue, id: args.id });
    else this.log(`Cancelled message ${args.id} of queue "${args.queue}"`);
  }
}
