// What all commands share: where data and talk go, and how a failure is told.
import { Command, Flags } from "@oclif/core";
import { wantsJson } from "./arguments.ts";
import { reportOf, type FailureReport } from "./command-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import { stdio } from "./stdio.ts";

/**
 * Data goes to stdout, talk to stderr. With `--json` stdout holds JSON only, also when the command fails: one object
 * `{"error": {code, reason, message, exitCode}}`, and stderr stays empty.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = {
    json: Flags.boolean({ description: "Print JSON, also for errors.", helpGroup: "GLOBAL" }),
  };

  protected readonly stdio = stdio();

  /** One line of stdout. */
  override log(line: string): void {
    this.stdio.stdout.write(`${line}\n`);
  }

  /** One JSON object on a line of stdout. */
  protected printJson(value: unknown): void {
    this.stdio.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** One line for people on stderr; nothing with `--json`. */
  protected tell(text: string): void {
    if (!wantsJson(this.argv)) this.stdio.stderr.write(`${text}\n`);
  }

  /** What is reported of a thrown value. */
  protected reportOf(error: unknown): FailureReport {
    const { flags, baseFlags } = this.ctor;
    return reportOf(error, { knownFlags: Object.keys({ ...baseFlags, ...flags }) });
  }

  protected override async catch(error: Error): Promise<void> {
    if (isExit(error)) throw error;
    const report = this.reportOf(error);
    this.stdio.exitCode = report.exitCode;
    if (wantsJson(this.argv)) this.printJson({ error: report });
    else this.stdio.stderr.write(`fila: ${report.message}\n`);
    if (report.exitCode === exitCodes.usage) {
      this.tell(`Try "fila ${(this.id ?? "").replaceAll(":", " ")} --help".`);
    }
  }
}

/** `this.exit()` travels as an error. */
function isExit(error: Error): boolean {
  return (error as { code?: unknown }).code === "EEXIT";
}
