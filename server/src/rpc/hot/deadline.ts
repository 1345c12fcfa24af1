import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** The value of grpc-timeout in milliseconds, at most `maxMs`: beyond what a timer holds it would fire at once. */
export function parseGrpcTimeout(value: string, maxMs: number): number | Failure {
  const unit = unitMs[value.slice(-1)];
  const digits = value.slice(0, -1);
  if (unit === undefined || digits.length > 8 || !/^\d+$/.test(digits)) {
    return badTimeout("grpc-timeout", value, "1 to 8 digits and one of H M S m u n");
  }
  return Math.min(maxMs, Number(digits) * unit);
}

/** The same for connect-timeout-ms. */
export function parseConnectTimeout(value: string, maxMs: number): number | Failure {
  if (value.length > 10 || !/^\d+$/.test(value)) {
    return badTimeout("connect-timeout-ms", value, "1 to 10 digits");
  }
  return Math.min(maxMs, Number(value));
}

function badTimeout(header: string, value: string, form: string): Failure {
  return failure("INVALID_REQUEST", `the header ${header} is "${value.slice(0, 40)}"; send ${form}`);
}
