import type { FairnessKeySummary } from "@fila/sdk/admin";
import { ClientCommand } from "../../client-command.ts";
import { limitFlag, queueArg } from "../../flags.ts";

export default class KeyList extends ClientCommand {
  static override summary = "List the fairness keys of a queue that have messages.";
  static override description =
    "By name: messages that may be delivered now, all messages, weight, and whether it is paused.";
  static override examples = [
    "<%= config.bin %> key list emails",
    "<%= config.bin %> key list emails --limit 100000 --json",
  ];
  static override args = { queue: queueArg };
  static override flags = { limit: limitFlag(1000) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(KeyList);
    await using fila = await this.client(flags.addr);
    const list = {
      items: fila.admin.listKeys(args.queue),
      limit: flags.limit,
      columns: [
        { heading: "KEY", flexible: true },
        { heading: "     READY", right: true },
        { heading: "     TOTAL", right: true },
        { heading: "WEIGHT", right: true },
        { heading: "IN FLIGHT", right: true },
        { heading: "PAUSED" },
      ],
      row: ({ key, ready, total, weight, inFlight, maxInFlight, paused }: FairnessKeySummary) => ({
        cells: [
          key,
          String(ready),
          String(total),
          String(weight),
          inFlightText(inFlight, maxInFlight),
          paused ? "yes" : "no",
        ],
      }),
      none: `Queue "${args.queue}" has no fairness keys: it has no messages.`,
    };
    await this.printList(list, flags.json);
  }
}

function inFlightText(inFlight: number, most: number): string {
  return most === 0 ? String(inFlight) : `${inFlight} of ${most}`;
}
