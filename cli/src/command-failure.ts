// What a command reports when it fails: one shape for people and for programs.
import type { FilaError } from "@fila/sdk";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";

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

/** Any thrown value as what is reported. `addr` is where the server was looked for. */
export function reportOf(error: unknown, addr: string): FailureReport {
  if (error instanceof UsageError || isParseError(error)) {
    return { code: "invalid_argument", reason: "USAGE", message: oneLine(error.message), exitCode: exitCodes.usage };
  }
  if (isFilaError(error)) {
    const message = error.reason === "CONNECTION_FAILED" ? unreachable(addr, error) : error.message;
    return { code: error.code, reason: error.reason, message, exitCode: exitCodeOf(error.code) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "unknown", reason: "", message, exitCode: exitCodes.error };
}

function unreachable(addr: string, error: FilaError): string {
  return `${error.message}\nStart one with "fila server", or name another with --addr (now ${addr}).`;
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
  return message.replace(/\nSee more help with --help$/, "").replace(/\s*\n\s*/g, " ");
}
