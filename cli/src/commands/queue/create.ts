import { ClientCommand } from "../../client-command.ts";
import { queueArg } from "../../flags.ts";
import { setRetention, settingFlags, settingsOf } from "../../queue-flags.ts";

export default class QueueCreate extends ClientCommand {
  static override summary = "Create a queue, and its dead-letter queue.";

  static override description =
    "NAME.dlq takes what cannot be delivered; --retention is a setting of that. A duration is milliseconds, or a number " +
    "with its unit: 250ms, 30s, 5m, 12h, 1d. fila queue update changes settings later.";

  static override examples = [
    "<%= config.bin %> queue create emails",
    "<%= config.bin %> queue create reports --visibility-timeout 5m --max-attempts 5",
    "<%= config.bin %> queue create orders --idempotency-window 1d --dead-letter-expired --retention 30d",
  ];

  static override args = { name: queueArg };
  static override flags = settingFlags;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueCreate);
    await using fila = await this.client(flags.addr);
    await fila.admin.createQueue(args.name, settingsOf(args.name, flags));
    await setRetention(fila.admin, args.name, flags.retention);
    if (flags.json) this.printJson({ queue: args.name });
    else this.log(`Created queue "${args.name}"`);
  }
}
