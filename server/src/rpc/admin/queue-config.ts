// The settings of a queue as CreateQueue and UpdateQueue give them: the one place with their ranges.
import { ExpiredMessages, HookErrorMode } from "@fila/sdk/gen";
import type { QueueConfig, UpdateQueueRequest } from "@fila/sdk/gen";
import { isDeadLetterName, maxAttemptsLimit, maxInFlightLimit, maxScriptBytes } from "../../core/queue-settings.ts";
import type { QueueSettings } from "../../core/queue-settings.ts";
import { connectError } from "../connect-error.ts";
import { inRange, invalidField } from "./answers.ts";
import { queueVisibilityMs } from "./visibility.ts";

const days = 24 * 60 * 60_000;

/** Name on the wire, name of the setting, and range, both ends included. */
const ranges = [
  ["max_attempts", "maxAttempts", 0, maxAttemptsLimit],
  ["initial_backoff_ms", "initialBackoffMs", 0, days],
  ["max_backoff_ms", "maxBackoffMs", 0, 7 * days],
  ["idempotency_window_ms", "dedupWindowMs", 1_000, 7 * days],
  ["retention_ms", "retentionMs", 0, 3_650 * days],
  ["max_in_flight", "maxInFlight", 0, maxInFlightLimit],
  ["max_in_flight_per_key", "maxInFlightPerKey", 0, maxInFlightLimit],
] as const;

type Settings = { -readonly [Name in keyof QueueSettings]?: QueueSettings[Name] };
type Numbers = Pick<
  UpdateQueueRequest,
  | "maxAttempts"
  | "initialBackoffMs"
  | "maxBackoffMs"
  | "idempotencyWindowMs"
  | "retentionMs"
  | "maxInFlight"
  | "maxInFlightPerKey"
>;

/** What a new queue of this name is to have; the rest are defaults. Throws for what is out of range. */
export function newSettings(name: string, config: QueueConfig | undefined): Settings {
  const settings: Settings = { visibilityMs: visibilityMs(config?.visibilityTimeoutMs, "config.") };
  if (config === undefined) return settings;
  takeNumbers(settings, name, config, "config.");
  takeHooks(settings, name, config, "config.");
  const expiredTo = expiredToOf(config.expiredMessages);
  if (expiredTo !== undefined) settings.expiredTo = expiredTo;
  return settings;
}

/** What is to change. */
export function changedSettings(request: UpdateQueueRequest): Settings {
  const { queue, visibilityTimeoutMs, deadLetterExpired } = request;
  const settings: Settings = {};
  if (visibilityTimeoutMs !== undefined) settings.visibilityMs = visibilityMs(visibilityTimeoutMs, "");
  takeNumbers(settings, queue, request, "");
  takeHooks(settings, queue, request, "");
  if (deadLetterExpired !== undefined) settings.expiredTo = deadLetterExpired ? "dead-letter" : "drop";
  return settings;
}

function takeNumbers(settings: Settings, queue: string, given: Numbers, path: string): void {
  const { idempotencyWindowMs: dedupWindowMs, retentionMs } = given;
  for (const [field, setting, min, max] of ranges) {
    const value = setting === "dedupWindowMs" ? dedupWindowMs : given[setting];
    if (value !== undefined) settings[setting] = inRange(`${path}${field}`, value, min, max);
  }
  if (retentionMs !== undefined && !isDeadLetterName(queue)) {
    throw invalidField(
      `${path}retention_ms`,
      `is for dead-letter queues; set it on "${queue}.dlq" with UpdateQueue, or leave it out`,
    );
  }
}

function visibilityMs(asked: bigint | undefined, path: string): number {
  const ms = queueVisibilityMs(asked, `${path}visibility_timeout_ms`);
  if (typeof ms !== "number") throw connectError(ms);
  return ms;
}

function expiredToOf(asked: ExpiredMessages): QueueSettings["expiredTo"] | undefined {
  switch (asked) {
    case ExpiredMessages.UNSPECIFIED:
      return undefined;
    case ExpiredMessages.DROP:
      return "drop";
    case ExpiredMessages.DEAD_LETTER:
      return "dead-letter";
    default:
      throw invalidField("config.expired_messages", `is ${asked as number}; choose DROP or DEAD_LETTER`);
  }
}

type HookFields = Partial<
  Pick<UpdateQueueRequest, "onEnqueueScript" | "onFailureScript" | "onHookError" | "hooksSeePayload">
>;

/** Whether a script is one, the broker finds out. */
function takeHooks(settings: Settings, queue: string, given: HookFields, path: string): void {
  const { onEnqueueScript, onFailureScript, onHookError, hooksSeePayload } = given;
  if (onEnqueueScript !== undefined) {
    settings.onEnqueueScript = script(onEnqueueScript, queue, `${path}on_enqueue_script`);
  }
  if (onFailureScript !== undefined) {
    settings.onFailureScript = script(onFailureScript, queue, `${path}on_failure_script`);
  }
  const mode = errorModeOf(onHookError ?? HookErrorMode.UNSPECIFIED, `${path}on_hook_error`);
  if (mode !== undefined) settings.onHookError = mode;
  if (hooksSeePayload !== undefined) settings.hooksSeePayload = hooksSeePayload;
}

function script(source: string, queue: string, field: string): string {
  if (source !== "" && isDeadLetterName(queue)) {
    throw invalidField(field, "is for queues that take messages in; dead-letter queues run no scripts");
  }
  const bytes = Buffer.byteLength(source);
  if (bytes > maxScriptBytes) {
    throw invalidField(field, `is ${bytes} bytes long; shorten it to at most ${maxScriptBytes}`);
  }
  return source;
}

function errorModeOf(asked: HookErrorMode, field: string): QueueSettings["onHookError"] | undefined {
  switch (asked) {
    case HookErrorMode.UNSPECIFIED:
      return undefined;
    case HookErrorMode.DEFAULT:
      return "default";
    case HookErrorMode.LAST_GOOD:
      return "last_good";
    case HookErrorMode.REJECT:
      return "reject";
    default:
      throw invalidField(field, `is ${asked as number}; choose DEFAULT, LAST_GOOD or REJECT`);
  }
}
