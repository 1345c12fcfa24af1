import type { HookFailure } from "@fila/sdk/admin";
import { ClientCommand } from "../../client-command.ts";
import { queueArg } from "../../flags.ts";
import { failureText } from "../../hook-text.ts";
import { roughSpan } from "../../spans.ts";

export default class HookErrors extends ClientCommand {
  static override summary = "List the last calls of a queue's scripts that failed.";
  static override description = "Newest first, at most 16 of each hook, since the broker started.";
  static override examples = ["<%= config.bin %> hook errors emails", "<%= config.bin %> hook errors emails --json"];
  static override args = { queue: queueArg };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(HookErrors);
    await using fila = await this.client(flags.addr);
    const errors = await fila.admin.hookErrors(args.queue);
    const now = Date.now();
    const list = {
      items: errors,
      limit: errors.length,
      columns: [
        { heading: "AGE", right: true },
        { heading: "HOOK" },
        { heading: "SCRIPT" },
        { heading: "ERROR", flexible: true },
      ],
      row: (failure: HookFailure) => ({
        cells: [
          failure.at === undefined ? "" : roughSpan(now - failure.at.getTime()),
          failure.hook,
          failure.sha256.slice(0, 12),
          failureText(failure),
        ],
      }),
      none: `No script of queue "${args.queue}" has failed since the broker started.`,
    };
    await this.printList(list, flags.json);
  }
}
