import type { Admin, FairnessKeySettings, QueueDescription, QueueStats, ThrottleStats } from "@fila/sdk/admin";
import { ClientCommand } from "../../client-command.ts";
import { queueArg } from "../../flags.ts";
import { printable, shellWord } from "../../printable.ts";
import { describeSettings } from "../../queue-flags.ts";

/** What is known of the queue that takes its dead letters. */
interface DeadLetters {
  readonly queue: string;
  readonly depth: number;
  readonly retentionMs: number;
}

export default class QueueInspect extends ClientCommand {
  static override summary = "Show what a queue holds, and its settings.";
  static override examples = [
    "<%= config.bin %> queue inspect emails",
    "<%= config.bin %> queue inspect emails --json",
  ];
  static override args = { name: queueArg };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(QueueInspect);
    await using fila = await this.client(flags.addr);
    const { admin } = fila;
    const [stats, settings] = await Promise.all([admin.stats(args.name), admin.describeQueue(args.name)]);
    const dead = await deadLetters(admin, settings.deadLetterQueue);
    if (flags.json) this.printJson({ ...stats, settings, deadLetters: dead });
    else for (const line of describe(stats, settings, dead)) this.log(line);
  }
}

/** undefined: it has none, or that was deleted. */
async function deadLetters(admin: Admin, queue: string | undefined): Promise<DeadLetters | undefined> {
  if (queue === undefined) return undefined;
  try {
    const [{ depth }, { retentionMs }] = await Promise.all([admin.stats(queue), admin.describeQueue(queue)]);
    return { queue, depth, retentionMs };
  } catch (error) {
    if ((error as { code?: unknown }).code === "not_found") return undefined;
    throw error;
  }
}

function describe(stats: QueueStats, settings: QueueDescription, dead: DeadLetters | undefined): string[] {
  const keys = stats.keys.map(
    ({ key, pending, weight }) => `  ${printable(key)}: ${pending} message(s), weight ${weight}`,
  );
  const resume = `; "fila resume ${shellWord(stats.name)}" goes on`;
  return [
    `Queue: ${stats.name}`,
    `Depth: ${stats.depth}`,
    `In flight: ${stats.inFlight}`,
    `Delayed: ${stats.delayed}`,
    ...(stats.deciding > 0 ? [`Deciding: ${stats.deciding}`] : []),
    `Active fairness keys: ${stats.activeFairnessKeys}`,
    `Active consumers: ${stats.activeConsumers}`,
    `Paused: ${stats.paused ? `yes${resume}` : "no"}`,
    ...(dead === undefined ? [] : [`Dead letters: ${dead.depth} message(s) in ${dead.queue}`]),
    ...describeSettings(settings, dead?.retentionMs ?? settings.retentionMs),
    ...(keys.length > 0 ? ["Fairness keys:", ...keys] : []),
    ...(stats.truncated ? [`  ... (those with most messages; "fila key list ${shellWord(stats.name)}" has all)`] : []),
    ...(stats.throttles.length > 0 ? ["Throttles:", ...stats.throttles.map(throttle)] : []),
    ...(settings.keys.length > 0
      ? ["Fairness keys with settings of their own:", ...settings.keys.map(keySetting)]
      : []),
  ];
}

function throttle({ key, tokens, ratePerSecond, burst, waiting }: ThrottleStats): string {
  const held = Math.floor(tokens * 10) / 10;
  return `  ${printable(key)}: ${held} of ${burst} tokens, ${ratePerSecond} a second, ${waiting} waiting`;
}

function keySetting({ key, weight, paused, maxInFlight }: FairnessKeySettings): string {
  const parts = [
    ...(weight === undefined ? [] : [`weight ${weight}`]),
    ...(maxInFlight === undefined ? [] : [`${maxInFlight} in flight at most`]),
    ...(paused ? ["paused"] : []),
  ];
  return `  ${printable(key)}: ${parts.join(", ")}`;
}
