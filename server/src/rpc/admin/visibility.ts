// The rule for the visibility timeout of a queue.
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { maxVisibilityMs, minVisibilityMs } from "../wire/limits.ts";

export const DEFAULT_VISIBILITY_MS = 30_000;

/** The duration that was asked for; 0 means the default. */
export function queueVisibilityMs(asked: bigint | undefined, field: string): number | Failure {
  if (asked === undefined || asked === 0n) return DEFAULT_VISIBILITY_MS;
  if (asked >= BigInt(minVisibilityMs) && asked <= BigInt(maxVisibilityMs)) return Number(asked);
  const message = `${field} is ${asked}; give ${minVisibilityMs} to ${maxVisibilityMs}, or 0 for ${DEFAULT_VISIBILITY_MS}`;
  return failure("INVALID_FIELD", message, { field });
}
