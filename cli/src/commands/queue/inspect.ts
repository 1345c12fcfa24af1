import { Args } from "@oclif/core";
import type { QueueStats } from "@fila/sdk";
import { ClientCommand } from "../../client-command.ts";

export default class QueueInspect extends ClientCommand {
  static override summary = "Show what a queue holds.";
  static override examples = [
    "<%= config.bin %> queue inspect emails",
    "<%= config.bin %> queue inspect emails --json",
  ];
  static override args = {
    name: Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueInspect);
    await using fila = await this.client(flags.addr);
    const stats = await fila.admin.stats(args.name);
    if (flags.json) this.printJson(stats);
    else for (const line of describe(stats)) this.log(line);
  }
}

function describe(stats: QueueStats): string[] {
  const keys = stats.keys.map(({ key, pending, weight }) => `  ${key}: ${pending} message(s), weight ${weight}`);
  return [
    `Queue: ${stats.name}`,
    `Depth: ${stats.depth}`,
    `In flight: ${stats.inFlight}`,
    `Active fairness keys: ${stats.activeFairnessKeys}`,
    `Active consumers: ${stats.activeConsumers}`,
    `Visibility timeout: ${stats.visibilityTimeoutMs} ms`,
    ...(keys.length > 0 ? ["Fairness keys:", ...keys] : []),
    ...(stats.truncated ? ["  ... (those with most messages are shown)"] : []),
  ];
}
