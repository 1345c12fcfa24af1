import { ClientCommand } from "../client-command.ts";
import { filterFlags, filterOf, stateFlag } from "../filter-flags.ts";
import { limitFlag, queueArg } from "../flags.ts";
import { messageList } from "../stored-message-text.ts";

export default class Peek extends ClientCommand {
  static override summary = "Show the first messages of a queue, without leasing them.";
  static override description = "Oldest first, each with the beginning of its payload. Looking changes nothing.";
  static override examples = [
    "<%= config.bin %> peek emails",
    "<%= config.bin %> peek emails.dlq --reason max_attempts --error timeout",
  ];
  static override args = { queue: queueArg };
  static override flags = { state: stateFlag, ...filterFlags, limit: limitFlag(10) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Peek);
    const filter = filterOf(flags);
    await using fila = await this.client(flags.addr);
    // One more, to know whether there are.
    const query = { filter, limit: flags.limit + 1, withPayload: true };
    const items = fila.admin.listMessages(args.queue, query);
    await this.printList(messageList(args.queue, items, flags.limit, Date.now()), flags.json);
  }
}
