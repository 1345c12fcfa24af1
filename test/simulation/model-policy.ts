// What comes after an ended attempt, as the retry policy promises it.
import type { QueueSettings } from "../../server/src/core/queue-settings.ts";
import type { AttemptEnd, DeadLetterReason } from "../../server/src/core/retry-policy.ts";
import type { Span } from "./model-clock.ts";

export type Verdict =
  | { readonly type: "dead-letter"; readonly reason: DeadLetterReason }
  /** The delay in whole milliseconds; 0 = at once. */
  | { readonly type: "retry"; readonly delay: Span };

/** @param attempts ended ones, this one included */
export function verdictOf(
  settings: QueueSettings,
  end: AttemptEnd,
  attempts: number,
  isDeadLetterQueue: boolean,
): Verdict {
  if (!isDeadLetterQueue) {
    if (end.by === "nack" && end.deadLetter) return { type: "dead-letter", reason: "rejected" };
    const last = settings.maxAttempts > 0 && attempts >= settings.maxAttempts;
    if (last) return { type: "dead-letter", reason: "max_attempts" };
  }
  if (end.by !== "nack") return after(0);
  if (end.delayMs !== undefined) return after(end.delayMs);
  let base = settings.initialBackoffMs;
  for (let doublings = attempts - 1; doublings > 0 && base < settings.maxBackoffMs; doublings -= 1) base *= 2;
  base = Math.min(base, settings.maxBackoffMs);
  // Never early, and up to a quarter late.
  return { type: "retry", delay: { low: base, high: Math.floor(base * 1.25) } };
}

export function after(ms: number): Verdict {
  return { type: "retry", delay: { low: ms, high: ms } };
}
