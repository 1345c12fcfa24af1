import { Flags } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";

export default class ConfigList extends ClientCommand {
  static override summary = "List the run-time configuration.";
  static override description = "By key. With --json: one object per key and line.";
  static override examples = ["<%= config.bin %> config list", "<%= config.bin %> config list --prefix throttle."];
  static override flags = { prefix: Flags.string({ description: "Only keys that begin with it.", default: "" }) };

  async run(): Promise<void> {
    const { flags } = await this.parse(ConfigList);
    await using fila = await this.client(flags.addr);
    const { entries } = await fila.admin.listConfig(flags.prefix);
    if (flags.json) {
      for (const entry of entries) this.printJson(entry);
      return;
    }
    const columns = [{ heading: "KEY", flexible: true }, { heading: "VALUE" }];
    const rows = entries.map(({ key, value }) => ({ cells: [key, value] }));
    if ((await this.printTable(columns, rows)) === 0) this.tell("The configuration has no such keys.");
  }
}
