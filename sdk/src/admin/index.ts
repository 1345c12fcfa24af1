/**
 * Operating a Fila broker. Start with `connectAdmin`; a client of `connect` has the same as its `admin`.
 */
export type { Admin, HealthStatus } from "./admin.ts";
export { connectAdmin, type AdminConnection, type ConnectAdminOptions } from "./connect-admin.ts";
export type { ExplainSubject, Explanation, ExplanationReason } from "./explanation.ts";
export type {
  EnqueueDecision,
  FailureDecision,
  HookBreakerState,
  HookDescription,
  HookErrorPolicy,
  HookFailure,
  HookFailureReason,
  HookName,
  HookTrial,
  HookTrialOptions,
  HookTrialOutcome,
} from "./hooks.ts";
export type { FairnessKeyChanges, FairnessKeySummary, IdempotencyKeyUse } from "./keys.ts";
export type {
  DeadLetterReason,
  Failure,
  ListMessagesOptions,
  MessageFilter,
  MessageState,
  StoredMessage,
  StoredMessageWithPayload,
} from "./messages.ts";
export type {
  CreateQueueOptions,
  DeleteQueueOptions,
  ExpiredMessagesPolicy,
  FairnessKeySettings,
  FairnessKeyStats,
  QueueDescription,
  QueueSettings,
  QueueStats,
  QueueSummary,
  ThrottleStats,
} from "./queues.ts";
export type { RedriveOptions, RedriveProgress } from "./redrive.ts";
export type { ConfigChange, ConfigEntry, ConfigSnapshot, ConfigValue, WatchConfigOptions } from "./runtime-config.ts";
export { milliseconds, type Duration } from "../duration.ts";
export { errorCodes, FilaError, type ErrorCode, type FilaErrorDetails } from "../errors.ts";
