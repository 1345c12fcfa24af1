import { pathToFileURL } from "node:url";
import { BaseCommand } from "../base-command.ts";
import { printVersion, versionOf } from "../version-text.ts";

export default class Version extends BaseCommand {
  static override summary = "Show which fila this is.";
  static override examples = ["<%= config.bin %> version", "<%= config.bin %> version --json"];

  async run(): Promise<void> {
    const { flags } = await this.parse(Version);
    printVersion(versionOf(new URL("package.json", pathToFileURL(`${this.config.root}/`))), flags.json);
  }
}
