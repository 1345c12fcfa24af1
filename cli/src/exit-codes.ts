// What the exit status says to a script.
import type { ErrorCode } from "@fila/sdk";

/** 0 is success. */
export const exitCodes = {
  error: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  unavailable: 5,
  conflict: 6,
  interrupted: 130,
} as const;

/** Codes of FilaError that are not listed exit with 1. */
const byCode: Partial<Record<ErrorCode, number>> = {
  invalid_argument: exitCodes.usage,
  not_found: exitCodes.notFound,
  unauthenticated: exitCodes.denied,
  permission_denied: exitCodes.denied,
  unavailable: exitCodes.unavailable,
  deadline_exceeded: exitCodes.unavailable,
  already_exists: exitCodes.conflict,
  failed_precondition: exitCodes.conflict,
  aborted: exitCodes.conflict,
};

/** The exit status for a code of FilaError. */
export function exitCodeOf(code: ErrorCode): number {
  return byCode[code] ?? exitCodes.error;
}
