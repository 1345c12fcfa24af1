// What a turn changed, in order: plain data that the storage layer writes down. Together with the catalog it is all that
// is needed to build the core again.
import type { ConsumerKind, LeaseToken } from "./commands.ts";

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

/** Where the facts and bytes of a changed message stand at that moment. */
interface Located {
  readonly queueNumber: number;
  readonly sequence: number;
  /** Page of its facts; 0 = none yet. */
  readonly page: number;
}

export interface EnqueuedMutation {
  readonly type: "enqueued";
  readonly slot: number;
  readonly lane: NumberedLane;
  readonly sequence: number;
  /** Wall clock. */
  readonly enqueuedAt: number;
  readonly readyAt: number;
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

/** A lease ended and the message is ready again; `counted` = an attempt ended. */
export interface ReturnedMutation extends Located {
  readonly type: "returned";
  readonly counted: boolean;
  readonly readyAt: number;
  /** For telemetry; not stored. */
  readonly by: LeaseEnd;
}

/** Acked. */
export interface RemovedMutation extends Located {
  readonly type: "removed";
  readonly record: number;
  readonly length: number;
}

/** Set aside because its bytes cannot be read. */
export interface QuarantinedMutation extends Located {
  readonly type: "quarantined";
}

/** Gone with its queue: the queue's number is dead, so nothing is written for it, but its bytes may go. */
export interface DroppedMutation {
  readonly type: "dropped";
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
  readonly visibilityMs: number;
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
  | RemovedMutation
  | QuarantinedMutation
  | DroppedMutation
  | WeighedMutation
  | ForgottenMutation
  | QueueCreatedMutation
  | QueueDeletedMutation;
