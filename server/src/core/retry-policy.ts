// When a message whose attempt has ended is delivered again, or that it is not.
import type { QueueSettings } from "./queue-settings.ts";

/** Why a message lies in a dead-letter queue. */
export type DeadLetterReason = "max_attempts" | "rejected" | "hook" | "ttl" | "corrupt";

/** How an attempt ended. */
export type AttemptEnd =
  | {
      readonly by: "nack";
      /** What the worker said. */
      readonly error: string;
      /** The delay that the worker asks for; undefined: the policy's. */
      readonly delayMs: number | undefined;
      /** The worker says that another attempt is of no use. */
      readonly deadLetter: boolean;
    }
  | { readonly by: "expiry" | "dead-stream" };

export type Decision =
  | { readonly type: "retry"; readonly delayMs: number }
  | { readonly type: "dead-letter"; readonly reason: DeadLetterReason };

/** What a hook says. backoff: again, after the delay that the policy has for it. policy: the policy is to decide. */
export type HookAnswer = Decision | { readonly type: "backoff" } | { readonly type: "policy" };

/** The largest part of a delay that is added to it, so that what failed together does not come again together. */
const jitter = 0.25;

/**
 * The delay after this many ended attempts: exponential from `initialBackoffMs` with factor 2 up to `maxBackoffMs`, and
 * up to a quarter added; whole milliseconds.
 * @param spread 0 to 1: how much of the jitter
 */
export function backoffMs(settings: QueueSettings, attempts: number, spread: number): number {
  const base = Math.min(settings.maxBackoffMs, settings.initialBackoffMs * 2 ** Math.min(attempts - 1, 50));
  return Math.floor(base * (1 + jitter * spread));
}

/** A number from 0 to 1 that differs from message to message and from attempt to attempt, and is the same in every run. */
export function spreadOf(sequence: number, attempts: number): number {
  let h = Math.imul(sequence | 0, 0x9e3779b1) ^ Math.imul(attempts, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 0xffff_ffff;
}

/**
 * The policy of queues without a hook, and of those whose hook does not answer.
 * @param attempts ended ones, this one included
 * @param isDeadLetterQueue there is no dead-letter queue of a dead-letter queue: a nack only backs off
 */
export function decide(
  settings: QueueSettings,
  end: AttemptEnd,
  attempts: number,
  sequence: number,
  isDeadLetterQueue: boolean,
): Decision {
  if (!isDeadLetterQueue) {
    if (end.by === "nack" && end.deadLetter) return { type: "dead-letter", reason: "rejected" };
    if (settings.maxAttempts > 0 && attempts >= settings.maxAttempts) {
      return { type: "dead-letter", reason: "max_attempts" };
    }
  }
  // Who died took the time that the lease had already.
  if (end.by !== "nack") return { type: "retry", delayMs: 0 };
  return { type: "retry", delayMs: end.delayMs ?? backoffMs(settings, attempts, spreadOf(sequence, attempts)) };
}

/** What is to be done about an answer of the queue's hook. It holds beyond the queue's largest number of attempts, too. */
export function decisionOf(
  answer: HookAnswer,
  settings: QueueSettings,
  end: AttemptEnd,
  attempts: number,
  sequence: number,
): Decision {
  if (answer.type === "policy") return decide(settings, end, attempts, sequence, false);
  if (answer.type !== "backoff") return answer;
  const delayMs = end.by === "nack" ? backoffMs(settings, attempts, spreadOf(sequence, attempts)) : 0;
  return { type: "retry", delayMs };
}

/** What a dead-lettered message's record says when no worker gave an error. */
export function errorOf(end: AttemptEnd): string {
  switch (end.by) {
    case "nack":
      return end.error;
    case "expiry":
      return "the lease expired: the worker neither settled nor extended it within the visibility timeout";
    case "dead-stream":
      return "the worker's stream ended before it settled the message";
  }
}
