/**
 * The client of Fila, a message broker with fair scheduling. Start with `connect`.
 */
export {
  connect,
  type ConnectOptions,
  type Fila,
  type LeaseOptions,
  type LeasesOptions,
  type SettlementRequest,
  type SettlementResult,
} from "./connect.ts";
export type { Admin, HealthStatus } from "./admin/admin.ts";
export type { CreateQueueOptions, FairnessKeyStats, QueueStats, QueueSummary } from "./admin/queues.ts";
export { bytes, json, queue, type Codec, type Payload, type Queue } from "./codec.ts";
export type { Lease } from "./consuming/lease.ts";
export { DeadLetter, RetryAfter, type NackOptions } from "./consuming/nack.ts";
export type { SettlementAction } from "./consuming/settlement.ts";
export type { LeaseIterator } from "./consuming/leases.ts";
export { milliseconds, type Duration } from "./duration.ts";
export { errorCodes, FilaError, LeaseLost, type ErrorCode, type FilaErrorDetails } from "./errors.ts";
export { limits } from "./limits.ts";
export type { EnqueueResult } from "./producing/enqueue-many.ts";
export type { EnqueuedOnce, EnqueueMessage, EnqueueOnceOptions, EnqueueOptions } from "./producing/enqueue-options.ts";
export type { Handler, HandlerContext, Message, MessageInfo } from "./working/handler.ts";
export type { Worker, WorkerState } from "./working/worker.ts";
export type { StopOptions, WorkOptions } from "./working/worker-options.ts";
