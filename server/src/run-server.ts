// The life of the server process: start, say where, stop on a signal.
import { parseArgs } from "node:util";
import { compose } from "./compose.ts";
import type { RunningServer } from "./compose.ts";
import { ConfigError } from "./config/config-file.ts";
import { loadConfig } from "./config/load-config.ts";
import type { LoadedConfig } from "./config/load-config.ts";
import { configAsJson, printConfig } from "./config/print-config.ts";
import { StartError } from "./start-error.ts";
import { returnStartupGarbage } from "./startup-garbage.ts";
import { stderrLog } from "./telemetry/log.ts";
import type { LeveledLog } from "./telemetry/log.ts";

/** When stopping takes so much longer than the drain deadline, something hangs. */
const STOP_MARGIN_MS = 10_000;

const usage = `Usage: fila-server [--config FILE] [--print-config] [--json]

Runs the broker. It needs no flags: settings come from fila.toml in the working directory, else from
/etc/fila/fila.toml, and from the environment (FILA_SECTION_KEY; FILA_DATA_DIR). See docs/configuration.md.

  --config FILE   read this file, which must exist, and no other
  --print-config  show every setting with its value and where it came from, and end
  --json          print JSON on standard output: an object with the address, or {"error": ...}
  --help          show this text, and end
`;

/** Runs the server in this process, up to its end. Called by the bins `fila-server` and `fila server`. */
export async function runServer(args: readonly string[]): Promise<void> {
  // Whoever reads our output may stop doing so at any time, which is no reason to stop serving.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  const options = readArguments(args);
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  const log = stderrLog();
  const dieOf = (error: unknown): void => {
    log.error("the broker must end; its state will be rebuilt from the store at the next start", error);
    process.exit(1);
  };
  process.on("uncaughtException", dieOf);
  process.on("unhandledRejection", dieOf);
  try {
    const { file } = options;
    const loaded = loadConfig({ cwd: process.cwd(), env: process.env, ...(file === undefined ? {} : { file }) });
    if (options.printConfig) {
      process.stdout.write(options.json ? `${JSON.stringify(configAsJson(loaded))}\n` : printConfig(loaded));
      return;
    }
    log.level = loaded.config["telemetry.log_level"];
    for (const warning of loaded.warnings) log.warn(warning);
    await serve(loaded, log, dieOf, options.json ? greetingAsJson : greeting);
  } catch (error) {
    if (error instanceof StartError || error instanceof ConfigError) fail(error.message, options.json);
    throw error;
  }
}

interface Arguments {
  readonly help: boolean;
  readonly printConfig: boolean;
  readonly json: boolean;
  readonly file: string | undefined;
}

function readArguments(args: readonly string[]): Arguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", default: false },
        "print-config": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        config: { type: "string" },
      },
    });
    return { help: values.help, printConfig: values["print-config"], json: values.json, file: values.config };
  } catch (error) {
    const why = error instanceof Error ? error.message.split(". ")[0] : String(error);
    fail(`${why}; try --help`, args.includes("--json"));
  }
}

type Greeting = (server: RunningServer, dataDir: string) => string;

async function serve(
  { config }: LoadedConfig,
  log: LeveledLog,
  fatal: (error: unknown) => void,
  greet: Greeting,
): Promise<void> {
  let server: RunningServer | undefined = undefined;
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    // Before there is anything to stop, and when somebody does not want to wait.
    if (stopping || server === undefined) process.exit(server === undefined ? 0 : 1);
    stopping = true;
    const deadlineMs = config["server.drain_deadline_ms"];
    log.info("stopping; a second signal ends at once", { signal, drain_deadline_ms: deadlineMs });
    setTimeout(() => {
      log.error("stopping hangs; ending without it");
      process.exit(1);
    }, deadlineMs + STOP_MARGIN_MS);
    server.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error("stopping failed", error);
        process.exit(1);
      },
    );
  };
  // Stay registered: with no listener left, the second signal would kill without a word.
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGUSR2", () => {
    log.level = log.level === "debug" ? config["telemetry.log_level"] : "debug";
    log.warn("a signal changed the level of the log", { log_level: log.level });
  });
  server = await compose(config, { log, fatal });
  process.stdout.write(greet(server, config["storage.data_dir"]));
  returnStartupGarbage();
}

function greeting({ url, address }: RunningServer, dataDir: string): string {
  const call = (procedure: string, body: string): string =>
    `  curl ${url}/fila.v1.${procedure} -H 'content-type: application/json' -d '${body}'\n`;
  return (
    `fila listens on ${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}, data in ${dataDir}\n` +
    `Create a queue and put a message ("hello") into it:\n` +
    call("FilaAdmin/CreateQueue", '{"name":"orders"}') +
    call("FilaService/Enqueue", '{"queue":"orders","payload":"aGVsbG8="}')
  );
}

function greetingAsJson({ url, address }: RunningServer, dataDir: string): string {
  return `${JSON.stringify({ url, host: address.host, port: address.port, dataDir })}\n`;
}

function fail(message: string, json: boolean): never {
  const error = { code: "unknown", reason: "START_FAILED", message, exitCode: 1 };
  if (json) process.stdout.write(`${JSON.stringify({ error })}\n`);
  else process.stderr.write(`fila-server: ${message}\n`);
  process.exit(error.exitCode);
}
