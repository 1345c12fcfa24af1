// What all commands that speak to a server share.
import { Command, Flags } from "@oclif/core";
import type { Fila } from "@fila/sdk";
import { reportOf } from "./command-failure.ts";
import { exitCodes } from "./exit-codes.ts";

const defaultAddr = "localhost:5555";

/**
 * Data goes to stdout, talk to stderr. With `--json` stdout holds JSON only, also when the command fails: one object
 * `{"error": {code, reason, message, exitCode}}`, and stderr stays empty.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = {
    addr: Flags.string({
      description: "Address of the server.",
      env: "FILA_ADDR",
      default: defaultAddr,
      helpGroup: "GLOBAL",
    }),
    json: Flags.boolean({ description: "Print JSON, also for errors.", helpGroup: "GLOBAL" }),
  };

  /** Where the server is looked for; known once `client` was called. */
  #addr = defaultAddr;

  /** A client of the server at `addr`. Loads the SDK only now: help and usage errors need none of it. */
  protected async client(addr: string): Promise<Fila> {
    this.#addr = addr;
    const { connect } = await import("@fila/sdk");
    return connect(addr);
  }

  /** One JSON object on a line of stdout. */
  protected printJson(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** One line for people on stderr; nothing with `--json`. */
  protected tell(text: string): void {
    if (!this.#json) process.stderr.write(`${text}\n`);
  }

  protected override async catch(error: Error): Promise<void> {
    if (isExit(error)) throw error;
    const report = reportOf(error, this.#addr);
    process.exitCode = report.exitCode;
    if (this.#json) this.printJson({ error: report });
    else process.stderr.write(`fila: ${report.message}\n`);
    if (report.exitCode === exitCodes.usage && !this.#json) {
      process.stderr.write(`Try "fila ${(this.id ?? "").replaceAll(":", " ")} --help".\n`);
    }
  }

  /** Read from the raw arguments, because it must also hold when they do not parse. */
  get #json(): boolean {
    const end = this.argv.indexOf("--");
    return (end < 0 ? this.argv : this.argv.slice(0, end)).includes("--json");
  }
}

/** `this.exit()` travels as an error. */
function isExit(error: Error): boolean {
  return (error as { code?: unknown }).code === "EEXIT";
}
