import { Args } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";
import { printable } from "../../printable.ts";

export default class ConfigSet extends ClientCommand {
  static override summary = "Set a key of the run-time configuration.";
  static override description = "An empty value deletes the key. A change acts at once, and is kept.";
  static override examples = [
    "<%= config.bin %> config set throttle.smtp 50,100",
    "<%= config.bin %> config set throttle.smtp ''",
  ];
  static override args = {
    key: Args.string({ description: "The key, 1 to 256 bytes.", required: true, ignoreStdin: true }),
    value: Args.string({
      description: "The value, up to 1,024 bytes; '' deletes the key.",
      required: true,
      ignoreStdin: true,
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ConfigSet);
    const { key, value } = args;
    await using fila = await this.client(flags.addr);
    await fila.admin.setConfig(key, value);
    if (flags.json) this.printJson({ key, value });
    else this.log(value === "" ? `Deleted "${printable(key)}"` : `Set "${printable(key)}" to "${printable(value)}"`);
  }
}
