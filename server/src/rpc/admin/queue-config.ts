// The settings of a queue as CreateQueue and UpdateQueue give them: the one place with their ranges.
import { ExpiredMessages } from "@fila/sdk/gen";
import type { QueueConfig, UpdateQueueRequest } from "@fila/sdk/gen";
import { isDeadLetterName, maxAttemptsLimit, maxInFlightLimit } from "../../core/queue-settings.ts";
import type { QueueSettings } from "../../core/queue-settings.ts";
import { failure } from "../../core/errors.ts";
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
  refuseScript("config.on_enqueue_script", config?.onEnqueueScript);
  refuseScript("config.on_failure_script", config?.onFailureScript);
  const settings: Settings = { visibilityMs: visibilityMs(config?.visibilityTimeoutMs, "config.") };
  if (config === undefined) return settings;
  takeNumbers(settings, name, config, "config.");
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

function refuseScript(field: string, script: string | undefined): void {
  if (script === undefined || script === "") return;
  throw connectError(
    failure("NOT_IMPLEMENTED", `${field}: this version runs no scripts yet; create the queue without one`),
  );
}
