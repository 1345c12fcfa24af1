// What an operator can set on a queue. Stored with the catalog; acts on the backlog at once.

/** What holds for a message when the script of its queue fails: what the request says, what the last script before it
 * that worked says, or that it is refused. */
export type HookErrorMode = "default" | "last_good" | "reject";

/** What is known of the scripts that one hook of a queue has had. */
export interface ProvenScripts {
  /** The script that the hook has now has answered at least once. */
  readonly current: boolean;
  /** The last one before it that had; "" = none. */
  readonly before: string;
}

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
  /** Lua; "" = none. Asked about every message before it is enqueued. */
  readonly onEnqueueScript: string;
  /** Lua; "" = none. Ended attempts are put to it; the retry policy stands in for it when it does not answer. */
  readonly onFailureScript: string;
  readonly onHookError: HookErrorMode;
  /** Scripts see payloads, up to what one of their strings may hold. */
  readonly hooksSeePayload: boolean;
  /** Kept by the core, by hook; nobody sets it. */
  readonly provenOnEnqueue: ProvenScripts;
  readonly provenOnFailure: ProvenScripts;
  /** An operator has stopped it: messages are taken in, and none is delivered. */
  readonly paused: boolean;
  /** Leased messages at most; 0 = no limit. */
  readonly maxInFlight: number;
  /** Leased messages of each fairness key at most, unless an operator says otherwise for one; 0 = no limit. */
  readonly maxInFlightPerKey: number;
}

/** Of a hook that has had no script. */
export const nothingProven: ProvenScripts = Object.freeze({ current: false, before: "" });

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
  onEnqueueScript: "",
  onFailureScript: "",
  onHookError: "default",
  hooksSeePayload: false,
  provenOnEnqueue: nothingProven,
  provenOnFailure: nothingProven,
  paused: false,
  maxInFlight: 0,
  maxInFlightPerKey: 0,
});

/** The settings after a change. A script that worked and gives way is remembered as the last good one. */
export function changed(settings: QueueSettings, change: Partial<QueueSettings>): QueueSettings {
  const after = { ...settings, ...change };
  return {
    ...after,
    provenOnEnqueue: proven(settings.onEnqueueScript, after.onEnqueueScript, settings.provenOnEnqueue),
    provenOnFailure: proven(settings.onFailureScript, after.onFailureScript, settings.provenOnFailure),
  };
}

function proven(before: string, after: string, known: ProvenScripts): ProvenScripts {
  return before === after || !known.current ? known : { current: false, before };
}

/** Of one script. */
export const maxScriptBytes = 64 << 10;

export const maxAttemptsLimit = 1_000_000;
export const maxInFlightLimit = 1_000_000;
/** Delays, times to live and windows reach no further: one year. */
export const longestMs = 365 * days;

export const deadLetterSuffix = ".dlq";

export function isDeadLetterName(name: string): boolean {
  return name.endsWith(deadLetterSuffix);
}
