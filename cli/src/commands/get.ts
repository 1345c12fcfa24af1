import { Args, Flags } from "@oclif/core";
import { ClientCommand } from "../client-command.ts";
import { queueArg } from "../flags.ts";
import { describeMessage, messageObject } from "../stored-message-text.ts";

export default class Get extends ClientCommand {
  static override summary = "Show one message with everything that is known of it.";
  static override description = "It is not leased. --payload writes the payload alone, byte for byte.";
  static override examples = [
    "<%= config.bin %> get emails 01a1ff1d-8f11-7000-800c-000000000406",
    "<%= config.bin %> get emails 01a1ff1d-8f11-7000-800c-000000000406 --payload | jq .",
  ];
  static override args = {
    queue: queueArg,
    id: Args.string({ description: "Id of the message.", required: true, ignoreStdin: true }),
  };
  static override flags = {
    payload: Flags.boolean({ description: "Only the payload, byte for byte.", default: false, exclusive: ["json"] }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Get);
    await using fila = await this.client(flags.addr);
    const message = await fila.admin.getMessage(args.queue, args.id);
    if (flags.json) this.printJson(messageObject(message));
    else if (flags.payload) this.stdio.stdout.write(message.payload);
    else for (const line of describeMessage(message, Date.now())) this.log(line);
  }
}
