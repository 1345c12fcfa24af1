import { Flags } from "@oclif/core";
import { BaseCommand } from "../base-command.ts";
import { CommandFailure, UsageError } from "../command-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import { StopSignals } from "../stop-signals.ts";

const defaultPort = 5555;
const greeting = "hello from curl";

/** A whole broker in this process, for trying things out: the same as `fila server` but for the disk. */
export default class Dev extends BaseCommand {
  static override summary = "Run a broker in memory, to try things out.";

  static override description =
    "The same broker as fila server, without a disk: nothing is kept when it ends, and it holds as much as the memory " +
    'does. It creates a queue, "hello" or those of --queue, and prints a curl that puts a message into it. It reads no ' +
    "configuration. Ctrl-C ends it at once. With --json: one object with the url and the queues once it serves.";

  static override examples = [
    "<%= config.bin %> dev",
    "<%= config.bin %> dev --port 0 --queue emails --queue reports",
    "<%= config.bin %> dev --json",
  ];

  static override flags = {
    port: Flags.integer({
      description: `Port on this machine; 0 takes a free one. Default: ${defaultPort}.`,
      min: 0,
      max: 65_535,
      exclusive: ["listen"],
    }),
    listen: Flags.string({ description: "Address and port instead, like 127.0.0.1:5555." }),
    insecure: Flags.boolean({
      description: "Allow --listen beyond this machine: whoever reaches the port owns the broker.",
      default: false,
    }),
    queue: Flags.string({
      description: 'Queue to create; may be repeated. Default: "hello".',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Dev);
    using stop = new StopSignals();
    const ended = new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
    const queues = [...new Set(flags.queue ?? ["hello"])];
    const server = await this.#start(flags.listen ?? `127.0.0.1:${flags.port ?? defaultPort}`, flags.insecure);
    try {
      await createQueues(server.url, queues);
      if (flags.json) this.printJson({ url: server.url, ...server.address, queues });
      else for (const line of describe(server.url, queues)) this.log(line);
      await ended;
      this.tell("ended; nothing was kept");
    } finally {
      await server.stop();
    }
  }

  async #start(listen: string, insecure: boolean) {
    const { startServer } = await import("@fila/server");
    try {
      return await startServer(
        {
          "server.listen_addr": listen,
          "server.insecure": insecure,
          // There is nothing to be kept by waiting for workers.
          "server.drain_deadline_ms": 0,
          // This command says itself what happens.
          "telemetry.log_level": "warn",
        },
        { storage: "memory" },
      );
    } catch (error) {
      throw startFailure(error, listen);
    }
  }
}

/** What the server says of its own configuration, in terms of the flags of this command. */
function startFailure(error: unknown, listen: string): unknown {
  if (!(error instanceof Error) || error.name !== "StartError") return error;
  if ((error.cause as { code?: unknown } | undefined)?.code === "EADDRINUSE") {
    const message = `another program listens at ${listen}; choose another port with --port, or --port 0 for a free one`;
    return new CommandFailure("failed_precondition", "ADDRESS_IN_USE", message, exitCodes.conflict);
  }
  return new UsageError(
    error.message.replace(/^server\.listen_addr:?/, "--listen").replace(/set insecure = .*/, "add --insecure"),
  );
}

async function createQueues(url: string, queues: readonly string[]): Promise<void> {
  const { connect } = await import("@fila/sdk");
  await using fila = connect(url);
  for (const queue of queues) await fila.admin.createQueue(queue);
}

function describe(url: string, queues: readonly string[]): string[] {
  const [queue = ""] = queues;
  const { host, port } = new URL(url);
  const addr = port === String(defaultPort) && host.startsWith("127.") ? "" : ` --addr ${host}`;
  const body = JSON.stringify({ queue, payload: Buffer.from(greeting).toString("base64") });
  return [
    `A broker in memory serves at ${url}; nothing is kept when it ends (Ctrl-C).`,
    `Created queue ${queues.map((name) => `"${name}"`).join(", ")}. Put a message ("${greeting}") into it:`,
    `  curl ${url}/fila.v1.FilaService/Enqueue -H 'content-type: application/json' -d ${quoted(body)}`,
    "and print it:",
    `  fila consume ${quoted(queue)}${addr}`,
  ];
}

/** As a word of a shell. */
function quoted(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
