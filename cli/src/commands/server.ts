import { Flags } from "@oclif/core";
import { BaseCommand } from "../base-command.ts";
import { UsageError } from "../command-failure.ts";

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
    const { ConfigError, loadConfig, runServer } = await import("@fila/server");
    try {
      loadConfig({ cwd: process.cwd(), env: process.env, ...(flags.config !== undefined && { file: flags.config }) });
    } catch (error) {
      // What is wrong elsewhere the server tells itself.
      const told = error instanceof ConfigError ? inTermsOfFlags(error.message, flags) : undefined;
      if (told !== undefined) throw new UsageError(told);
    }
    await runServer([
      ...(flags.json ? ["--json"] : []),
      ...(flags["print-config"] ? ["--print-config"] : []),
      ...(flags.config === undefined ? [] : ["--config", flags.config]),
    ]);
  }
}

interface ServerFlags {
  readonly data: string | undefined;
  readonly listen: string | undefined;
  readonly config: string | undefined;
}

/** undefined: no flag is to blame. */
function inTermsOfFlags(message: string, { data, listen, config }: ServerFlags): string | undefined {
  if (listen !== undefined && message.startsWith("FILA_SERVER_LISTEN_ADDR")) {
    return message.replace("FILA_SERVER_LISTEN_ADDR", "--listen");
  }
  if (data !== undefined && message.startsWith("FILA_DATA_DIR")) return message.replace("FILA_DATA_DIR", "--data");
  return config !== undefined && message === `${config}: there is no such file` ? `--config ${message}` : undefined;
}
