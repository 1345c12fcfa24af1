// The one parser of durations.
import { FilaError } from "./errors.ts";

/** Milliseconds as a number, or a number with its unit: "250ms", "30s", "5m", "12h", "1d". */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * The duration in whole milliseconds. `name` is what the error message calls it.
 * Throws FilaError invalid_argument INVALID_DURATION when it is malformed, negative or above `maximumMs`.
 */
export function milliseconds(value: Duration, name: string, maximumMs = Number.MAX_SAFE_INTEGER): number {
  const ms = typeof value === "number" ? value : parse(value);
  if (!Number.isFinite(ms) || ms < 0) {
    throw new FilaError(
      "invalid_argument",
      "INVALID_DURATION",
      `${name} is ${JSON.stringify(value)}; give milliseconds as a number, or a string such as "250ms", "30s", "5m", "12h", "1d"`,
    );
  }
  if (ms > maximumMs) {
    throw new FilaError(
      "invalid_argument",
      "INVALID_DURATION",
      `${name} is ${ms} ms; at most ${maximumMs} ms are allowed`,
    );
  }
  return Math.round(ms);
}

function parse(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const unit = units[match?.[2] ?? ""];
  return match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
}
