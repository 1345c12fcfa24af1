import { Args } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";
import { queueArg } from "../../flags.ts";
import { printable } from "../../printable.ts";

export default class DedupRelease extends ClientCommand {
  static override summary = "Let an idempotency key be used again.";
  static override description = "The message that was stored with it stays as it is; the next one is stored too.";
  static override examples = ["<%= config.bin %> dedup release orders order-17/confirmation"];
  static override args = {
    queue: queueArg,
    key: Args.string({ description: "The idempotency key.", required: true, ignoreStdin: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DedupRelease);
    await using fila = await this.client(flags.addr);
    await fila.admin.releaseIdempotencyKey(args.queue, args.key);
    if (flags.json) this.printJson({ queue: args.queue, key: args.key });
    else this.log(`Released idempotency key "${printable(args.key)}" of queue "${args.queue}"`);
  }
}
