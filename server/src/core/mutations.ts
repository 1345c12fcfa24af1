// What a turn changed, in order: plain data that the storage layer writes down. Together with the catalog it is all that
// is needed to build the core again.
import type { ConsumerKind, IdempotencyKey, LeaseToken } from "./commands.ts";
import type { KeyHash } from "./idempotency.ts";
import type { ConfigChange } from "./runtime-config.ts";
import type { KeyOverride } from "./queue.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { AttemptEnd, DeadLetterReason } from "./retry-policy.ts";

/** The messages of one fairness key with the same set of throttle keys. */
export interface LaneFacts {
  readonly queueNumber: number;
  readonly fairnessKey: string;
  /** Sorted, without duplicates. */
  readonly throttleKeys: readonly string[];
}

/** A lane that can be numbered without a look-up: with many keys, nearly every message of a commit has another lane. */
export interface NumberedLane extends LaneFacts {
  /** The pass of writing in which `number` was given. */
  numberedIn: number;
  number: number;
}

/** Who holds a lease. */
export interface Holder {
  readonly kind: ConsumerKind;
  readonly principal: string;
  readonly worker: string;
  /** StreamLease: names the stream over reconnections; "" = none. */
  readonly session: string;
}

/** What a message waits for: nothing, a duration, a time of day. */
export type Waiting = "ready" | "delayed" | "scheduled";

/** Where the facts and bytes of a changed message stand at that moment. */
interface Located {
  /** The queue that it was enqueued to: part of its name, wherever it is now. */
  readonly queueNumber: number;
  readonly sequence: number;
  /** Page of its facts; 0 = none yet. */
  readonly page: number;
  /** The queue that it was in until then. For telemetry; not stored. */
  readonly inQueue: number;
}

export interface EnqueuedMutation {
  readonly type: "enqueued";
  readonly slot: number;
  readonly lane: NumberedLane;
  readonly sequence: number;
  /** Wall clock. */
  readonly enqueuedAt: number;
  /** Wall clock: its place in its lane, or when it is due. */
  readonly readyAt: number;
  readonly waiting: Waiting;
  /** Wall clock; 0 = never. */
  readonly expiresAt: number;
  readonly cost: number;
  readonly body: Uint8Array;
}

export interface LeasedMutation extends Located {
  readonly type: "leased";
  readonly token: LeaseToken;
  readonly durationMs: number;
  /** Wall clock. */
  readonly leasedAt: number;
  readonly holder: Holder;
}

/** What ends a lease whose message stays. A stream that came back too late after a restart died as well. */
export type LeaseEnd = "nack" | "expiry" | "dead-stream" | "release";

/** A lease ended and the message is ready again, or waits; `counted` = an attempt ended. */
export interface ReturnedMutation extends Located {
  readonly type: "returned";
  readonly counted: boolean;
  /** Wall clock: its place in its lane, or when it is due. */
  readonly readyAt: number;
  readonly waiting: Exclude<Waiting, "scheduled">;
  /** For telemetry; not stored. */
  readonly by: LeaseEnd;
}

/** An attempt ended, and the queue's hook is asked what comes next. */
export interface DecidingMutation extends Located {
  readonly type: "deciding";
  readonly end: AttemptEnd;
}

/** It was decided that the message is delivered again. */
export interface DecidedMutation extends Located {
  readonly type: "decided";
  readonly readyAt: number;
  readonly waiting: Exclude<Waiting, "scheduled">;
}

/** Why a message was dead-lettered; a record of its own, under the message's name. */
export interface FailureRecord {
  readonly reason: DeadLetterReason;
  /** What the last attempt failed of. */
  readonly error: string;
  /** Wall clock: the end of the first attempt, and of the last. */
  readonly firstFailedAt: number;
  readonly lastFailedAt: number;
  readonly sourceQueue: string;
}

/** To another queue: dead-lettered (with a failure record) or redriven. It is ready there, with a new place. */
export interface MovedMutation extends Located {
  readonly type: "moved";
  readonly lane: NumberedLane;
  readonly readyAt: number;
  /** Wall clock; 0 = never. */
  readonly expiresAt: number;
  readonly attempts: number;
  /** undefined: redriven, and the record of its failure goes. */
  readonly failure: FailureRecord | undefined;
  /** Its bytes cannot be read: it is set aside in its new queue. */
  readonly quarantined: boolean;
  /** The attempt whose end led here, where that was not written down before. For telemetry; not stored. */
  readonly ended: AttemptEnd["by"] | undefined;
}

/** Acked, or gone for another reason but a purge. */
export interface RemovedMutation extends Located {
  readonly type: "removed";
  readonly by: "ack" | "ttl" | "cancel";
  /** The attempt whose end led here, where that was not written down before. For telemetry; not stored. */
  readonly ended: AttemptEnd["by"] | undefined;
  /** There may be a record of its failure, which goes with it. */
  readonly hasFailure: boolean;
  readonly record: number;
  readonly length: number;
}

/** Messages with consecutive sequences that a purge has removed, and that stood together: of a large purge, a thing for each
 * message would be so much garbage that others wait for it to be collected. */
export interface PurgedMutation extends Located {
  readonly type: "purged";
  /** The last one of them; `sequence` is the first. */
  last: number;
  readonly hasFailure: boolean;
  readonly record: number;
  /** Of all of them. */
  length: number;
}

/** Set aside because its bytes cannot be read. */
export interface QuarantinedMutation extends Located {
  readonly type: "quarantined";
}

/** Gone with its queue: the queue's number is dead, so nothing is written for it, but its bytes may go. */
export interface DroppedMutation {
  readonly type: "dropped";
  /** There may be a record of its failure under this name, which goes with it. */
  readonly failure: { readonly queueNumber: number; readonly sequence: number } | undefined;
  readonly page: number;
  readonly record: number;
  readonly length: number;
}

export interface WeighedMutation {
  readonly type: "weighed";
  readonly queueNumber: number;
  readonly fairnessKey: string;
  readonly weight: number;
}

/** A key that had a weight of its own has no message left. */
export interface ForgottenMutation {
  readonly type: "forgotten";
  readonly queueNumber: number;
  readonly fairnessKey: string;
}

export interface QueueCreatedMutation {
  readonly type: "queue-created";
  readonly queueNumber: number;
  readonly name: string;
  readonly settings: QueueSettings;
  /** Number of its dead-letter queue; 0 = none. */
  readonly deadLetters: number;
  /** Dead-letter queues: number of the queue that it was made with; 0 = it was made by itself. */
  readonly madeFor: number;
}

export interface QueueUpdatedMutation extends Omit<QueueCreatedMutation, "type"> {
  readonly type: "queue-updated";
}

/** undefined: the key has no override any more. */
export interface KeySetMutation {
  readonly type: "key-set";
  readonly queueNumber: number;
  readonly fairnessKey: string;
  readonly override: KeyOverride | undefined;
}

export interface ConfigSetMutation extends ConfigChange {
  readonly type: "config-set";
}

/** An idempotency key was used. */
export interface KeyUsedMutation {
  readonly type: "key-used";
  readonly queueNumber: number;
  readonly key: IdempotencyKey;
  readonly sequence: number;
  /** Wall clock. */
  readonly enqueuedAt: number;
  readonly expiresAt: number;
}

/** An operator has set an idempotency key free. */
export interface KeyReleasedMutation {
  readonly type: "key-released";
  readonly queueNumber: number;
  readonly key: KeyHash;
}

/** The oldest uses of idempotency keys of a queue no longer count. */
export interface KeysForgottenMutation {
  readonly type: "keys-forgotten";
  readonly queueNumber: number;
  readonly count: number;
}

export interface QueueDeletedMutation {
  readonly type: "queue-deleted";
  readonly queueNumber: number;
  readonly name: string;
}

export type Mutation =
  | EnqueuedMutation
  | LeasedMutation
  | ReturnedMutation
  | DecidingMutation
  | DecidedMutation
  | MovedMutation
  | RemovedMutation
  | PurgedMutation
  | QuarantinedMutation
  | DroppedMutation
  | WeighedMutation
  | ForgottenMutation
  | QueueCreatedMutation
  | QueueUpdatedMutation
  | KeySetMutation
  | ConfigSetMutation
  | KeyUsedMutation
  | KeyReleasedMutation
  | KeysForgottenMutation
  | QueueDeletedMutation;
