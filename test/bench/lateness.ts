// By how much things were late that were due at a time.
import { quantile } from "./pairs.ts";

/** Milliseconds, but the counts. */
export interface Lateness {
  readonly count: number;
  /** Before they were due; may never be. */
  readonly early: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** How long the broker meanwhile could run and had no processor. */
  readonly waited: number;
}

export function latenessOf(ms: readonly number[], waited: number): Lateness {
  return {
    count: ms.length,
    early: ms.filter((each) => each < 0).length,
    p50: quantile(ms, 0.5),
    p99: quantile(ms, 0.99),
    max: quantile(ms, 1),
    waited,
  };
}
