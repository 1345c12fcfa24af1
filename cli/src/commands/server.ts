import { Flags } from "@oclif/core";
import { BaseCommand } from "../base-command.ts";

/** The broker in this process: its pid is the command's, and SIGTERM drains it. */
export default class Server extends BaseCommand {
  static override summary = "Run the broker.";

  static override description =
    "Needs no flags: settings come from fila.toml in the working directory, else /etc/fila/fila.toml, and from the " +
    "environment. A flag wins over both. SIGTERM or Ctrl-C drains and ends it; a second one ends it at once. With " +
    "--json: one object with the address once it serves; the log stays on stderr.";

  static override examples = [
    "<%= config.bin %> server",
    "<%= config.bin %> server --data /var/lib/fila --listen 127.0.0.1:5555",
    "<%= config.bin %> server --print-config",
  ];

  static override flags = {
    data: Flags.string({ description: "Directory of the store (FILA_DATA_DIR)." }),
    listen: Flags.string({ description: "Address and port that serve every protocol (FILA_SERVER_LISTEN_ADDR)." }),
    config: Flags.string({ description: "Read this file instead of fila.toml." }),
    "print-config": Flags.boolean({
      description: "Show every setting with its value and where it came from, and end.",
      default: false,
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Server);
    // The server knows its settings by their names in the environment, and shows them under these names.
    if (flags.data !== undefined) process.env["FILA_DATA_DIR"] = flags.data;
    if (flags.listen !== undefined) process.env["FILA_SERVER_LISTEN_ADDR"] = flags.listen;
    const { runServer } = await import("@fila/server");
    await runServer([
      ...(flags.json ? ["--json"] : []),
      ...(flags["print-config"] ? ["--print-config"] : []),
      ...(flags.config === undefined ? [] : ["--config", flags.config]),
    ]);
  }
}
