import { ClientCommand } from "../../client-command.ts";
import { UsageError } from "../../command-failure.ts";
import { queueArg } from "../../flags.ts";
import { setRetention, settingFlags, settingsOf } from "../../queue-flags.ts";

export default class QueueUpdate extends ClientCommand {
  static override summary = "Change settings of a queue.";

  static override description =
    "What is not given stays as it is. A change acts on the messages that wait already; --retention on dead letters that " +
    "come after it.";

  static override examples = [
    "<%= config.bin %> queue update emails --max-attempts 5 --max-backoff 1h",
    "<%= config.bin %> queue update emails --no-dead-letter-expired",
  ];

  static override args = { name: queueArg };
  static override flags = settingFlags;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueUpdate);
    const { retention, ...own } = settingsOf(args.name, flags);
    const ownChange = retention !== undefined || Object.values(own).some((value) => value !== undefined);
    if (!ownChange && flags.retention === undefined) {
      const names = Object.keys(settingFlags).map((name) => `--${name}`);
      throw new UsageError(`there is nothing to change; give ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);
    }
    await using fila = await this.client(flags.addr);
    if (ownChange) await fila.admin.updateQueue(args.name, { ...own, retention });
    await setRetention(fila.admin, args.name, flags.retention);
    if (flags.json) this.printJson({ queue: args.name });
    else this.log(`Updated queue "${args.name}"`);
  }
}
