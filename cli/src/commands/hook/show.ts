import { ClientCommand } from "../../client-command.ts";
import { queueArg } from "../../flags.ts";
import { describeHook, hookArg, hookNames } from "../../hook-text.ts";
import { printableText } from "../../printable.ts";

export default class HookShow extends ClientCommand {
  static override summary = "Show the scripts of a queue, and how they do.";
  static override description =
    "With the name of a hook: its source alone, as it was set. Without: both, with what was counted since the broker started.";
  static override examples = [
    "<%= config.bin %> hook show emails",
    "<%= config.bin %> hook show emails on_enqueue > tiers.lua",
  ];
  static override args = { queue: queueArg, hook: hookArg({ required: false }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(HookShow);
    const { queue, hook } = args;
    await using fila = await this.client(flags.addr);
    const { onEnqueue, onFailure, onHookError, hooksSeePayload } = await fila.admin.describeQueue(queue);
    const hooks = { on_enqueue: onEnqueue, on_failure: onFailure };
    if (flags.json) {
      this.printJson({ queue, ...hooks, onHookError, hooksSeePayload });
      return;
    }
    if (hook !== undefined) {
      const source = hooks[hook]?.source;
      if (source === undefined) this.tell(`Queue "${queue}" has no ${hook}.`);
      else this.stdio.stdout.write(this.stdio.stdout.isTTY ? `${printableText(source)}\n` : source);
      return;
    }
    const named = hookNames.flatMap((name) => (hooks[name] === undefined ? [] : [[name, hooks[name]] as const]));
    if (named.length === 0) {
      this.tell(`Queue "${queue}" has no scripts.`);
      return;
    }
    for (const [name, each] of named) {
      for (const line of describeHook(queue, name, each)) this.log(line);
    }
    this.log(`On errors: ${onHookError}`);
    this.log(`Scripts see payloads: ${hooksSeePayload ? "yes" : "no"}`);
    for (const [name, { source }] of named) this.log(`\n-- ${name}\n${printableText(source).trimEnd()}`);
  }
}
