// What the handlers of FilaAdmin have in common: checks of fields, and outcomes as answers or errors.
import type { ServiceImpl } from "@connectrpc/connect";
import type { FilaAdmin } from "@fila/sdk/gen";
import type { Outcome } from "../../broker/contract.ts";
import { failure } from "../../core/errors.ts";
import { queueNameFailure } from "../../core/queue-name.ts";
import { connectError } from "../connect-error.ts";
import { maxFairnessKeyBytes } from "../wire/limits.ts";

export type AdminMethods<Names extends keyof ServiceImpl<typeof FilaAdmin>> = Pick<
  ServiceImpl<typeof FilaAdmin>,
  Names
>;

/** Bytes of entries that a page holds, about; below the 4 MiB that many gRPC clients take at most. */
export const pageBytesAtMost = 4_000_000;

/** The value, or throws the failure. */
export function valueOf<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw connectError(outcome.failure);
}

export function invalidField(field: string, message: string): Error {
  return connectError(failure("INVALID_FIELD", `${field} ${message}`, { field }));
}

export function checkName(name: string, field: string): void {
  const wrong = queueNameFailure(name);
  if (wrong !== undefined) throw connectError({ ...wrong, field });
}

export function checkFairnessKey(key: string, field = "fairness_key"): void {
  if (key === "") throw invalidField(field, 'is empty; name the key (messages without one have the key "default")');
  const bytes = Buffer.byteLength(key);
  if (bytes > maxFairnessKeyBytes) {
    throw invalidField(field, `is ${bytes} bytes long; no key is longer than ${maxFairnessKeyBytes}`);
  }
}

/** The number as given, within its range. */
export function inRange(field: string, value: number | bigint, min: number, max: number): number {
  if (value < min || value > max) throw invalidField(field, `is ${value}; give ${min} to ${max}`);
  return Number(value);
}

/** How many entries a page may have; 0 = the default. */
export function pageLimit(limit: number, byDefault: number, max: number): number {
  return limit === 0 ? byDefault : inRange("limit", limit, 1, max);
}
