// What all commands share: where data and talk go, and how a failure is told.
import { Command, Flags } from "@oclif/core";
import { wantsJson } from "./arguments.ts";
import { reportOf, type FailureReport } from "./command-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import { Limited, type List } from "./list-output.ts";
import { stdio } from "./stdio.ts";
import { printTable, type Column, type Row } from "./table.ts";

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

  /** Rows for people. Resolves with their number. */
  protected printTable(columns: readonly Column[], rows: AsyncIterable<Row> | Iterable<Row>): Promise<number> {
    return printTable(columns, rows, this.stdio.stdout.isTTY ? this.stdio.stdout.columns : undefined, (line) =>
      this.log(line),
    );
  }

  /** Rows for people, or an object a line; what the limit leaves out is told. */
  protected async printList<T>({ items, limit, columns, row, object, none }: List<T>, json: boolean): Promise<void> {
    const shown = new Limited(items, limit, this.stdio.stdout);
    if (json) {
      for await (const item of shown) this.printJson(object === undefined ? item : object(item));
      if (shown.truncated) this.printJson({ truncated: true });
      return;
    }
    const rows = async function* (): AsyncGenerator<Row> {
      for await (const item of shown) yield row(item);
    };
    if ((await this.printTable(columns, rows())) === 0) this.tell(none);
    else if (shown.truncated) this.tell(`There are more than these ${limit}; --limit shows more.`);
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
