import { Args, Flags } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";
import { UsageError } from "../../command-failure.ts";
import { queueArg } from "../../flags.ts";
import { hookArg } from "../../hook-text.ts";
import { readScript, readScriptFrom } from "../../script-source.ts";

export default class HookSet extends ClientCommand {
  static override summary = "Give a queue a script, or take it away.";
  static override description =
    "The broker compiles it first, and refuses one that does not compile with its line. It is asked from the next message on.";
  static override examples = [
    "<%= config.bin %> hook set emails on_enqueue tiers.lua",
    "<%= config.bin %> hook set emails on_failure - < retry.lua",
    "<%= config.bin %> hook set emails on_enqueue --none",
  ];
  static override args = {
    queue: queueArg,
    hook: hookArg({ required: true }),
    file: Args.string({ description: "File with the Lua script; - = stdin.", ignoreStdin: true }),
  };
  static override flags = {
    none: Flags.boolean({ description: "The queue has no such script any more.", default: false }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(HookSet);
    const { queue, hook, file } = args;
    if (flags.none === (file !== undefined)) throw new UsageError("give the file of the script, or --none");
    const script =
      file === undefined ? "" : file === "-" ? await readScriptFrom(this.stdio.stdin) : await readScript(file, file);
    if (file !== undefined && script.trim() === "") {
      throw new UsageError(`${file}: the script is empty; --none takes the queue's script away`);
    }
    await using fila = await this.client(flags.addr);
    await fila.admin.updateQueue(queue, hook === "on_enqueue" ? { onEnqueue: script } : { onFailure: script });
    if (flags.json) this.printJson({ queue, hook, set: script !== "" });
    else this.log(script === "" ? `Removed ${hook} from queue "${queue}"` : `Set ${hook} of queue "${queue}"`);
  }
}
