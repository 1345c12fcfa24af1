// Queues as operators set them and see them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { milliseconds, type Duration } from "../duration.ts";
import {
  ExpiredMessages,
  type DescribeQueueResponse,
  type GetStatsResponse,
  type QueueConfigSchema,
  type QueueInfo,
  type UpdateQueueRequestSchema,
} from "../gen/index.ts";
import { checkCount, invalidField, limits } from "../limits.ts";
import { utf8Size } from "../wire/frame-writer.ts";
import {
  hookDescription,
  hookErrorMode,
  hookErrorPolicy,
  type HookDescription,
  type HookErrorPolicy,
} from "./hooks.ts";
import { known } from "./wire-values.ts";

/** What becomes of messages whose time to live is over. */
export type ExpiredMessagesPolicy = "drop" | "dead_letter";

/** Settings of a queue. Those that are left out: in `createQueue` the default, in `updateQueue` as they are. */
export interface QueueSettings {
  /** How long a lease lasts unless its consumer says otherwise, 1 s to 12 h. Default: 30 s. */
  readonly visibilityTimeout?: Duration | undefined;
  /** Attempts that ended, after which a message is a dead letter; 0 = never, at most 1,000,000. Default: 16. */
  readonly maxAttempts?: number | undefined;
  /** Delay after the first nack; it doubles with each further attempt. 0 to a day. Default: 100 ms. */
  readonly initialBackoff?: Duration | undefined;
  /** The delay does not grow beyond this, before up to a quarter is added. 0 to a week. Default: 5 min. */
  readonly maxBackoff?: Duration | undefined;
  /** What becomes of messages whose time to live is over. Default: "drop". */
  readonly expiredMessages?: ExpiredMessagesPolicy | undefined;
  /** For how long an idempotency key is remembered, 1 s to a week. Default: 10 min. */
  readonly idempotencyWindow?: Duration | undefined;
  /** Dead-letter queues only: how long entries are kept; 0 = for ever, at most ten years. Default: 14 days. */
  readonly retention?: Duration | undefined;
  /** Lua that decides what a message is when it comes in, at most 64 KiB; "" = none. Default: none. */
  readonly onEnqueue?: string | undefined;
  /** Lua that decides what becomes of a message whose attempt has ended, at most 64 KiB; "" = none. Default: none. */
  readonly onFailure?: string | undefined;
  /** What holds when a script fails. Default: "default". */
  readonly onHookError?: HookErrorPolicy | undefined;
  /** Scripts see payloads, up to 64 KiB. Default: false. */
  readonly hooksSeePayload?: boolean | undefined;
  /** Leased messages at a time, at most 1,000,000; 0 = no limit. Default: 0. */
  readonly maxInFlight?: number | undefined;
  /** Leased messages of each fairness key at a time, at most 1,000,000; 0 = no limit. `setKey` sets it for one. Default: 0. */
  readonly maxInFlightPerKey?: number | undefined;
}

/** Settings of a new queue. */
export type CreateQueueOptions = QueueSettings;

export interface DeleteQueueOptions {
  /** false: rejects with failed_precondition DEAD_LETTERS_LEFT while the dead-letter queue holds messages. Default: true. */
  readonly force?: boolean | undefined;
}

/** One line of `listQueues`. */
export interface QueueSummary {
  readonly name: string;
  /** Messages not yet settled. */
  readonly depth: number;
  /** Messages leased. */
  readonly inFlight: number;
  readonly activeConsumers: number;
}

/** A fairness key of a queue. */
export interface FairnessKeyStats {
  readonly key: string;
  readonly pending: number;
  readonly deficit: number;
  readonly weight: number;
}

/** A token bucket that holds messages of a queue back, or may. */
export interface ThrottleStats {
  readonly key: string;
  /** What it holds now. */
  readonly tokens: number;
  readonly ratePerSecond: number;
  readonly burst: number;
  /** Messages, of all queues, at the head of their line that wait for it now. */
  readonly waiting: number;
}

export interface QueueStats extends QueueSummary {
  /** Messages that wait for a time or for the end of a delay. */
  readonly delayed: number;
  /** Messages whose attempt has ended, while the queue's hook is asked what comes next. */
  readonly deciding: number;
  readonly paused: boolean;
  readonly activeFairnessKeys: number;
  readonly visibilityTimeoutMs: number;
  /** The 100 keys with most pending messages. */
  readonly keys: readonly FairnessKeyStats[];
  /** There are more keys than `keys` shows. */
  readonly truncated: boolean;
  /** Buckets among the throttle keys of its messages, those that are waited for most first; at most 100. */
  readonly throttles: readonly ThrottleStats[];
}

/** What an operator set on a fairness key. */
export interface FairnessKeySettings {
  readonly key: string;
  /** undefined: the key's own, which its messages set. */
  readonly weight: number | undefined;
  readonly paused: boolean;
  /** Leased messages of the key at a time; undefined: the queue's `maxInFlightPerKey`. */
  readonly maxInFlight: number | undefined;
}

/** A queue's settings, durations in milliseconds; see QueueSettings. */
export interface QueueDescription {
  readonly name: string;
  readonly visibilityTimeoutMs: number;
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly expiredMessages: ExpiredMessagesPolicy;
  readonly idempotencyWindowMs: number;
  /** Dead-letter queues: how long entries are kept; 0 = for ever. */
  readonly retentionMs: number;
  readonly paused: boolean;
  /** undefined: it has none, being one itself. */
  readonly deadLetterQueue: string | undefined;
  /** Fairness keys with settings of their own; at most 1,000. */
  readonly keys: readonly FairnessKeySettings[];
  /** undefined: it has no such script. */
  readonly onEnqueue: HookDescription | undefined;
  readonly onFailure: HookDescription | undefined;
  readonly onHookError: HookErrorPolicy;
  readonly hooksSeePayload: boolean;
  /** 0 = no limit. */
  readonly maxInFlight: number;
  readonly maxInFlightPerKey: number;
}

/** Throws FilaError invalid_argument. */
export function queueConfig(settings: QueueSettings): MessageInitShape<typeof QueueConfigSchema> {
  const { expiredMessages } = settings;
  const { visibilityTimeoutMs = 0n, ...numbers } = numbersOf(settings);
  return {
    visibilityTimeoutMs,
    ...numbers,
    ...scriptsOf(settings),
    ...(expiredMessages !== undefined && {
      expiredMessages: deadLetters(expiredMessages) ? ExpiredMessages.DEAD_LETTER : ExpiredMessages.DROP,
    }),
  };
}

/** Throws FilaError invalid_argument. */
export function queueChanges(settings: QueueSettings): MessageInitShape<typeof UpdateQueueRequestSchema> {
  const { expiredMessages } = settings;
  const deadLetterExpired = expiredMessages === undefined ? undefined : deadLetters(expiredMessages);
  return { ...numbersOf(settings), ...scriptsOf(settings), ...known({ deadLetterExpired }) };
}

function scriptsOf(settings: QueueSettings) {
  const { onEnqueue, onFailure, onHookError, hooksSeePayload } = settings;
  return known({
    onEnqueueScript: checkScript("onEnqueue", onEnqueue),
    onFailureScript: checkScript("onFailure", onFailure),
    onHookError: onHookError === undefined ? undefined : hookErrorMode(onHookError),
    hooksSeePayload,
  });
}

function checkScript(field: string, script: string | undefined): string | undefined {
  if (script === undefined) return undefined;
  if (typeof script !== "string" || !script.isWellFormed()) {
    throw invalidField(field, "is not a text of valid Unicode; give the source of a Lua script");
  }
  const size = utf8Size(script);
  if (size <= limits.scriptBytes) return script;
  throw invalidField(field, `is ${size} bytes long; at most ${limits.scriptBytes} are allowed`);
}

function numbersOf(settings: QueueSettings) {
  const { maxAttempts } = settings;
  const cap = (name: "maxInFlight" | "maxInFlightPerKey"): number | undefined => {
    const value = settings[name];
    return value === undefined ? undefined : checkCount(name, value, 0, limits.inFlight);
  };
  const ms = (value: Duration | undefined, name: string, maximumMs: number): bigint | undefined =>
    value === undefined ? undefined : BigInt(milliseconds(value, name, maximumMs));
  return known({
    visibilityTimeoutMs: ms(settings.visibilityTimeout, "visibilityTimeout", limits.visibilityTimeoutMs),
    maxAttempts: maxAttempts === undefined ? undefined : checkCount("maxAttempts", maxAttempts, 0, limits.maxAttempts),
    initialBackoffMs: ms(settings.initialBackoff, "initialBackoff", limits.initialBackoffMs),
    maxBackoffMs: ms(settings.maxBackoff, "maxBackoff", limits.maxBackoffMs),
    idempotencyWindowMs: ms(settings.idempotencyWindow, "idempotencyWindow", limits.idempotencyWindowMs),
    retentionMs: ms(settings.retention, "retention", limits.retentionMs),
    maxInFlight: cap("maxInFlight"),
    maxInFlightPerKey: cap("maxInFlightPerKey"),
  });
}

function deadLetters(policy: ExpiredMessagesPolicy): boolean {
  if (["drop", "dead_letter"].includes(policy)) return policy === "dead_letter";
  throw invalidField("expiredMessages", `is ${JSON.stringify(policy)}; it must be "drop" or "dead_letter"`);
}

export function queueSummary({ name, depth, inFlight, activeConsumers }: QueueInfo): QueueSummary {
  return { name, depth: Number(depth), inFlight: Number(inFlight), activeConsumers };
}

export function queueStats(name: string, stats: GetStatsResponse): QueueStats {
  return {
    name,
    depth: Number(stats.depth),
    inFlight: Number(stats.inFlight),
    delayed: Number(stats.delayed),
    deciding: Number(stats.deciding),
    paused: stats.paused,
    activeConsumers: stats.activeConsumers,
    activeFairnessKeys: Number(stats.activeFairnessKeys),
    visibilityTimeoutMs: Number(stats.visibilityTimeoutMs),
    keys: stats.perKeyStats.map((key) => ({
      key: key.key,
      pending: Number(key.pendingCount),
      deficit: Number(key.currentDeficit),
      weight: key.weight,
    })),
    truncated: stats.truncated,
    throttles: stats.perThrottleStats.map(({ key, tokens, ratePerSecond, burst, waiting }) => ({
      key,
      tokens,
      ratePerSecond,
      burst,
      waiting: Number(waiting),
    })),
  };
}

export function queueDescription(described: DescribeQueueResponse): QueueDescription {
  return {
    name: described.name,
    visibilityTimeoutMs: Number(described.visibilityTimeoutMs),
    maxAttempts: described.maxAttempts,
    initialBackoffMs: Number(described.initialBackoffMs),
    maxBackoffMs: Number(described.maxBackoffMs),
    expiredMessages: described.deadLetterExpired ? "dead_letter" : "drop",
    idempotencyWindowMs: Number(described.idempotencyWindowMs),
    retentionMs: Number(described.retentionMs),
    paused: described.paused,
    deadLetterQueue: described.deadLetterQueue === "" ? undefined : described.deadLetterQueue,
    keys: described.keys.map(({ fairnessKey, weight, paused, maxInFlight }) => ({
      key: fairnessKey,
      weight: weight === 0 ? undefined : weight,
      paused,
      maxInFlight: maxInFlight === 0 ? undefined : maxInFlight,
    })),
    onEnqueue: hookDescription(described.onEnqueue),
    onFailure: hookDescription(described.onFailure),
    onHookError: hookErrorPolicy(described.onHookError),
    hooksSeePayload: described.hooksSeePayload,
    maxInFlight: described.maxInFlight,
    maxInFlightPerKey: described.maxInFlightPerKey,
  };
}
