import { Flags } from "@oclif/core";
import { ClientCommand } from "../client-command.ts";
import { filterFlags, filterOf, stateFlag } from "../filter-flags.ts";
import { limitFlag, queueArg } from "../flags.ts";
import { messageList } from "../stored-message-text.ts";

export default class Search extends ClientCommand {
  static override summary = "Find messages of a queue, without leasing them.";
  static override description =
    "Oldest first. Filters given together must all hold. With --json: one object per message and line, with the payload as text, or as base64 where it is none (see its encoding); --no-payload leaves it out.";
  static override examples = [
    "<%= config.bin %> search emails --key tenant-42 --state delayed",
    "<%= config.bin %> search emails --header template=welcome --until 1h",
    "<%= config.bin %> search emails.dlq --error timeout --limit 1000 --json",
  ];
  static override args = { queue: queueArg };
  static override flags = {
    state: stateFlag,
    ...filterFlags,
    limit: limitFlag(100),
    payload: Flags.boolean({ description: "With --json: with headers and payload.", default: true, allowNo: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Search);
    const filter = filterOf(flags);
    await using fila = await this.client(flags.addr);
    // One more, to know whether there are.
    const query = { filter, limit: flags.limit + 1, withPayload: flags.json && flags.payload };
    const items = fila.admin.listMessages(args.queue, query);
    await this.printList(messageList(args.queue, items, flags.limit, Date.now()), flags.json);
  }
}
