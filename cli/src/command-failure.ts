// What a command reports when it fails: one shape for people and for programs.
import type { FilaError } from "@fila/sdk";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { nearest } from "./nearest.ts";

/** The object under "error" that `--json` prints on stdout. */
export interface FailureReport {
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly exitCode: number;
}

/** A command line that cannot be meant: exit status 2. The message names the thing and the remedy. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Something that a command found, with the status that its script will see. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly report: Omit<FailureReport, "message">;

  constructor(code: string, reason: string, message: string, exitCode: number) {
    super(message);
    this.report = { code, reason, exitCode };
  }
}

/** What is known of the command that failed. */
export interface Circumstances {
  /** Where the server was looked for. */
  readonly addr?: string;
  /** Without dashes. */
  readonly knownFlags?: readonly string[];
}

/** Any thrown value as what is reported. */
export function reportOf(error: unknown, { addr = "", knownFlags = [] }: Circumstances = {}): FailureReport {
  if (error instanceof CommandFailure) return { ...error.report, message: error.message };
  if (error instanceof UsageError || isParseError(error)) {
    const message = oneLine(error.message) + flagMeant(error, knownFlags);
    return { code: "invalid_argument", reason: "USAGE", message, exitCode: exitCodes.usage };
  }
  if (isFilaError(error)) {
    const message = withRemedy(error, addr);
    return { code: error.code, reason: error.reason, message, exitCode: exitCodeOf(error.code) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "unknown", reason: "", message, exitCode: exitCodes.error };
}

/** By the reason of the broker: what can be done on the command line. */
const remedies: Partial<Record<string, string>> = {
  MESSAGE_NOT_FOUND: '"fila explain ID" looks in every queue',
  CONFIG_COMPACTED: '"fila config list" shows what holds, and "fila config watch" what changes from now on',
};

function withRemedy({ reason, message }: FilaError, addr: string): string {
  if (reason === "CONNECTION_FAILED") {
    return `${message}\nStart one with "fila server", or name another with --addr (now ${addr}).`;
  }
  const remedy = remedies[reason];
  return remedy === undefined ? message : `${message}; ${remedy}`;
}

/** By name: the class is behind a lazy import. */
function isFilaError(error: unknown): error is FilaError {
  return error instanceof Error && (error.name === "FilaError" || error.name === "LeaseLost");
}

/** oclif's own complaints about flags and arguments carry the exit status 2. */
function isParseError(error: unknown): error is Error {
  return error instanceof Error && (error as { oclif?: { exit?: number } }).oclif?.exit === exitCodes.usage;
}

/** oclif's messages as one line, without its own pointer to the help. */
function oneLine(message: string): string {
  const line = message
    .replace(/\nSee more help with --help$/, "")
    .replace(/\s*\n\s*/g, " ")
    // It shows the parsed value of a flag that excludes another.
    .replace(/^The following error occurred: (--[\w-]+)=.* (cannot also be provided)/, "$1 $2");
  // Before what names its flag itself.
  return line.replace(/^Parsing (--\S+) (?=\1 )/, "").replace(/^Parsing (--\S+) Expected/, "$1: expected");
}

/** oclif's complaint about flags that do not exist names them. */
function flagMeant(error: Error, known: readonly string[]): string {
  const flags = (error as { flags?: unknown }).flags;
  const flag: unknown = Array.isArray(flags) ? flags[0] : undefined;
  const meant = typeof flag === "string" ? nearest(flag.replace(/^-+|=.*$/g, ""), known) : undefined;
  return meant === undefined ? "" : `; did you mean --${meant}?`;
}
