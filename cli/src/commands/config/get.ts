import { Args } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";
import { CommandFailure } from "../../command-failure.ts";
import { exitCodes } from "../../exit-codes.ts";
import { shellWord } from "../../printable.ts";

export default class ConfigGet extends ClientCommand {
  static override summary = "Show the value of a key of the run-time configuration.";
  static override description = "Ends with 3 when there is no such key.";
  static override examples = ["<%= config.bin %> config get throttle.smtp"];
  static override args = { key: Args.string({ description: "The key.", required: true, ignoreStdin: true }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ConfigGet);
    await using fila = await this.client(flags.addr);
    const { value, revision } = await fila.admin.getConfig(args.key);
    if (value === undefined) {
      const told = `the configuration has no key "${args.key}"; set it with "fila config set ${shellWord(args.key)} VALUE"`;
      throw new CommandFailure("not_found", "CONFIG_KEY_NOT_FOUND", told, exitCodes.notFound);
    }
    if (flags.json) this.printJson({ key: args.key, value, revision });
    else this.log(value);
  }
}
