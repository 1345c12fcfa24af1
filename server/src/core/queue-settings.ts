// What an operator can set on a queue. Stored with the catalog; acts on the backlog at once.

/** What becomes of a message whose time to live is over. */
export type ExpiredTo = "drop" | "dead-letter";

export interface QueueSettings {
  /** How long a lease lasts unless its consumer says otherwise; 1,000 to 43,200,000. */
  readonly visibilityMs: number;
  /** Ended attempts after which a message is dead-lettered; 0 = never. */
  readonly maxAttempts: number;
  /** Delay after the first nack; it doubles with each further ended attempt. 0 = none. */
  readonly initialBackoffMs: number;
  /** The delay does not grow beyond this (before jitter). */
  readonly maxBackoffMs: number;
  readonly expiredTo: ExpiredTo;
  /** For how long an idempotency key is remembered. */
  readonly dedupWindowMs: number;
  /** Dead-letter queues: entries are dropped after this time; 0 = never. */
  readonly retentionMs: number;
  /** Ended attempts are put to the queue's hook; the retry policy stands in for it when it does not answer. */
  readonly asksOnFailure: boolean;
  /** An operator has stopped it: messages are taken in, and none is delivered. */
  readonly paused: boolean;
}

const minutes = 60_000;
const days = 24 * 60 * minutes;

export const defaultQueueSettings: QueueSettings = Object.freeze({
  visibilityMs: 30_000,
  maxAttempts: 16,
  initialBackoffMs: 100,
  maxBackoffMs: 5 * minutes,
  expiredTo: "drop",
  dedupWindowMs: 10 * minutes,
  retentionMs: 14 * days,
  asksOnFailure: false,
  paused: false,
});

export const maxAttemptsLimit = 1_000_000;
/** Delays, times to live and windows reach no further: one year. */
export const longestMs = 365 * days;

export const deadLetterSuffix = ".dlq";

export function isDeadLetterName(name: string): boolean {
  return name.endsWith(deadLetterSuffix);
}
