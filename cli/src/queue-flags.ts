// Settings of a queue as flags, and how they are told.
import { Flags } from "@oclif/core";
import type { Admin, HookErrorPolicy, QueueDescription, QueueSettings } from "@fila/sdk/admin";
import { durationFlag } from "./flags.ts";
import { describeHook } from "./hook-text.ts";
import { scriptFlag } from "./script-source.ts";
import { exactSpan } from "./spans.ts";

const [hour, day] = [3_600_000, 86_400_000];
const helpGroup = "SETTING";

export const settingFlags = {
  "visibility-timeout": {
    ...durationFlag("visibility-timeout", "How long a lease lasts, 1s to 12h. Default: 30s.", 1000, 12 * hour),
    helpGroup,
  },
  "max-attempts": Flags.integer({
    description: "Ended attempts after which a message is a dead letter; 0 = never. Default: 16.",
    min: 0,
    max: 1_000_000,
    helpGroup,
  }),
  "initial-backoff": {
    ...durationFlag("initial-backoff", "Delay after the first nack; it doubles each time. Default: 100ms.", 0, day),
    helpGroup,
  },
  "max-backoff": {
    ...durationFlag("max-backoff", "The delay does not grow beyond it. Default: 5m.", 0, 7 * day),
    helpGroup,
  },
  "idempotency-window": {
    ...durationFlag("idempotency-window", "How long an idempotency key is remembered. Default: 10m.", 1000, 7 * day),
    helpGroup,
  },
  "dead-letter-expired": Flags.boolean({
    description: "Messages whose time to live is over become dead letters. Default: they are dropped.",
    allowNo: true,
    helpGroup,
  }),
  retention: {
    ...durationFlag("retention", "How long its dead letters are kept; 0 = for ever. Default: 14d.", 0, 3650 * day),
    helpGroup,
  },
  "on-enqueue": { ...scriptFlag("on-enqueue", "Script that decides what a message is; '' = none."), helpGroup },
  "on-failure": {
    ...scriptFlag("on-failure", "Script that decides what follows a failed attempt; '' = none."),
    helpGroup,
  },
  "on-hook-error": Flags.custom<HookErrorPolicy>({
    description: "What holds when a script fails. Default: default.",
    options: ["default", "last_good", "reject"],
    helpGroup,
  })(),
  "hooks-see-payload": Flags.boolean({
    description: "Scripts see payloads, up to 64 KiB. Default: they do not.",
    allowNo: true,
    helpGroup,
  }),
  "max-in-flight": capFlag("Leased messages at a time; 0 = no limit. Default: no limit."),
  "max-in-flight-per-key": capFlag("Leased messages of each fairness key at a time; 0 = no limit. Default: no limit."),
};

export function capFlag(description: string) {
  return Flags.integer({ description, min: 0, max: 1_000_000, helpGroup });
}

export interface SettingValues {
  readonly "visibility-timeout": number | undefined;
  readonly "max-attempts": number | undefined;
  readonly "initial-backoff": number | undefined;
  readonly "max-backoff": number | undefined;
  readonly "idempotency-window": number | undefined;
  readonly "dead-letter-expired": boolean | undefined;
  readonly retention: number | undefined;
  readonly "on-enqueue": string | undefined;
  readonly "on-failure": string | undefined;
  readonly "on-hook-error": HookErrorPolicy | undefined;
  readonly "hooks-see-payload": boolean | undefined;
  readonly "max-in-flight": number | undefined;
  readonly "max-in-flight-per-key": number | undefined;
}

const deadLetterSuffix = ".dlq";

export function isDeadLetterQueue(queue: string): boolean {
  return queue.endsWith(deadLetterSuffix);
}

export function deadLettersOf(queue: string): string {
  return isDeadLetterQueue(queue) ? queue : `${queue}${deadLetterSuffix}`;
}

/** What the flags say of the queue itself. A retention is that of its dead-letter queue. */
export function settingsOf(queue: string, flags: SettingValues): QueueSettings {
  const expired = flags["dead-letter-expired"];
  return {
    visibilityTimeout: flags["visibility-timeout"],
    maxAttempts: flags["max-attempts"],
    initialBackoff: flags["initial-backoff"],
    maxBackoff: flags["max-backoff"],
    idempotencyWindow: flags["idempotency-window"],
    expiredMessages: expired === undefined ? undefined : expired ? "dead_letter" : "drop",
    onEnqueue: flags["on-enqueue"],
    onFailure: flags["on-failure"],
    onHookError: flags["on-hook-error"],
    hooksSeePayload: flags["hooks-see-payload"],
    maxInFlight: flags["max-in-flight"],
    maxInFlightPerKey: flags["max-in-flight-per-key"],
    ...(isDeadLetterQueue(queue) && { retention: flags.retention }),
  };
}

/** Sets it where it belongs, unless `settingsOf` has it. */
export async function setRetention(admin: Admin, queue: string, retention: number | undefined): Promise<void> {
  if (retention === undefined || isDeadLetterQueue(queue)) return;
  await admin.updateQueue(deadLettersOf(queue), { retention });
}

export function describeSettings(described: QueueDescription, retentionMs: number): string[] {
  const { visibilityTimeoutMs, maxAttempts, initialBackoffMs, maxBackoffMs, idempotencyWindowMs } = described;
  const attempts = maxAttempts === 0 ? "no limit" : String(maxAttempts);
  return [
    `Visibility timeout: ${exactSpan(visibilityTimeoutMs)}`,
    `Attempts: ${attempts}, backoff ${exactSpan(initialBackoffMs)} to ${exactSpan(maxBackoffMs)}`,
    `Idempotency window: ${exactSpan(idempotencyWindowMs)}`,
    `Expired messages: ${described.expiredMessages === "drop" ? "dropped" : "dead-lettered"}`,
    `Dead letters kept: ${retentionMs === 0 ? "for ever" : exactSpan(retentionMs)}`,
    ...describeCaps(described),
    ...describeHooks(described),
  ];
}

function describeCaps({ maxInFlight, maxInFlightPerKey }: QueueDescription): string[] {
  return [
    ...(maxInFlight === 0 ? [] : [`In flight at most: ${maxInFlight}`]),
    ...(maxInFlightPerKey === 0 ? [] : [`In flight at most, per key: ${maxInFlightPerKey}`]),
  ];
}

function describeHooks({ name, onEnqueue, onFailure, onHookError }: QueueDescription): string[] {
  if (onEnqueue === undefined && onFailure === undefined) return [];
  return [
    ...(onEnqueue === undefined ? [] : describeHook(name, "on_enqueue", onEnqueue)),
    ...(onFailure === undefined ? [] : describeHook(name, "on_failure", onFailure)),
    `On errors of scripts: ${onHookError}`,
  ];
}
