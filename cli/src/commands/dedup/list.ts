import type { IdempotencyKeyUse } from "@fila/sdk/admin";
import { ClientCommand } from "../../client-command.ts";
import { limitFlag, queueArg } from "../../flags.ts";
import { roughSpan } from "../../spans.ts";

export default class DedupList extends ClientCommand {
  static override summary = "List the idempotency keys that a queue remembers.";
  static override description =
    "In the order of their use: the message that was stored, and when the key may be used again.";
  static override examples = [
    "<%= config.bin %> dedup list orders",
    "<%= config.bin %> dedup list orders --limit 1000000 --json",
  ];
  static override args = { queue: queueArg };
  static override flags = { limit: limitFlag(1000) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(DedupList);
    await using fila = await this.client(flags.addr);
    const now = Date.now();
    const list = {
      items: fila.admin.listIdempotencyKeys(args.queue),
      limit: flags.limit,
      columns: [
        { heading: "MESSAGE" },
        { heading: "FREE IN", right: true },
        { heading: "IDEMPOTENCY KEY", flexible: true },
      ],
      row: ({ key, messageId, expiresAt }: IdempotencyKeyUse) => ({
        cells: [messageId, roughSpan(expiresAt.getTime() - now), key],
      }),
      none: `Queue "${args.queue}" remembers no idempotency keys.`,
    };
    await this.printList(list, flags.json);
  }
}
