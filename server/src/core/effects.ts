// What the core asks of the world once the turn is durable: plain data.
import type { ConsumerId, LeaseToken, RequestId } from "./commands.ts";
import type { Failure } from "./errors.ts";
import type { Explanation } from "./explain.ts";
import type { ConfigChange } from "./runtime-config.ts";
import type { MessageView } from "./message-view.ts";
import type { KeyOverride } from "./queue.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { MessageName } from "./redrive.ts";
import type { AttemptEnd } from "./retry-policy.ts";

/** The key of the message was used before, for the message with this id. */
export interface Duplicate {
  readonly duplicateOf: string;
}

/** The id of the stored message, or why it was not stored. */
export type EnqueueOutcome = string | Duplicate | Failure;

/** undefined = done; a number = extended, the wall-clock time when the lease ends now. */
export type SettleOutcome = undefined | number | Failure;

/** One lease granted. */
export interface Delivery {
  /** 1, 2, 3, ... within its consumer. */
  readonly ordinal: number;
  readonly id: string;
  readonly queue: string;
  /** With the sequence, the message's name: the queue that it was enqueued to. */
  readonly queueNumber: number;
  readonly sequence: number;
  readonly fairnessKey: string;
  readonly weight: number;
  readonly throttleKeys: readonly string[];
  readonly attempts: number;
  /** Wall clock. */
  readonly enqueuedAt: number;
  readonly leasedAt: number;
  readonly leaseExpiresAt: number;
  readonly token: LeaseToken;
  /** Slot in the message table: from it the shell looks up where the bytes are, before the next turn. */
  readonly slot: number;
}

export interface LostLease {
  readonly id: string;
  readonly token: LeaseToken;
}

export interface QueueSummary {
  readonly name: string;
  readonly depth: number;
  readonly inFlight: number;
  readonly consumers: number;
}

export interface KeyStats {
  readonly key: string;
  readonly pending: number;
  readonly deficit: number;
  readonly weight: number;
}

/** A bucket that messages of a queue name. */
export interface ThrottleStats {
  readonly key: string;
  readonly tokens: number;
  /** Per second. */
  readonly rate: number;
  readonly burst: number;
  /** Lanes of all queues that wait at it. */
  readonly waiting: number;
}

export interface QueueStats extends QueueSummary {
  readonly activeKeys: number;
  readonly visibilityMs: number;
  /** Wait for a time or for the end of a delay. */
  readonly delayed: number;
  readonly deciding: number;
  readonly paused: boolean;
  readonly keys: readonly KeyStats[];
  /** The configured ones that its messages name, those at which most wait first. */
  readonly throttles: readonly ThrottleStats[];
  /** The queue has more keys than `keys` shows. */
  readonly truncated: boolean;
}

export interface KeySummary {
  readonly key: string;
  /** May be delivered now. */
  readonly ready: number;
  /** In any state. */
  readonly total: number;
  readonly weight: number;
  readonly deficit: number;
  readonly paused: boolean;
  readonly inFlight: number;
  /** What holds for it; 0 = no limit. */
  readonly maxInFlight: number;
}

export interface QueueDescription {
  readonly name: string;
  readonly settings: QueueSettings;
  /** Name of its dead-letter queue; "" = it has none. */
  readonly deadLetters: string;
  /** The first ones by name. */
  readonly keys: readonly ({ readonly key: string } & KeyOverride)[];
}

export type Reply =
  | { readonly type: "enqueued"; readonly request: RequestId; readonly outcomes: readonly EnqueueOutcome[] }
  | {
      readonly type: "settled";
      readonly request: RequestId;
      readonly queueNumber: number;
      readonly outcomes: readonly SettleOutcome[];
    }
  | { readonly type: "done"; readonly request: RequestId }
  | {
      readonly type: "scanned";
      readonly request: RequestId;
      readonly messages: readonly MessageView[];
      /** Where the next slice begins; undefined: this was the last one. */
      readonly row: number | undefined;
    }
  | { readonly type: "config-value"; readonly request: RequestId; readonly value: string; readonly revision: number }
  | {
      readonly type: "config-entries";
      readonly request: RequestId;
      readonly entries: readonly (readonly [key: string, value: string])[];
      readonly total: number;
      readonly more: boolean;
      readonly revision: number;
    }
  | { readonly type: "config-changes"; readonly request: RequestId; readonly changes: readonly ConfigChange[] }
  | { readonly type: "described"; readonly request: RequestId; readonly description: QueueDescription }
  | {
      readonly type: "keys";
      readonly request: RequestId;
      readonly keys: readonly KeySummary[];
      readonly total: number;
      readonly more: boolean;
    }
  | {
      readonly type: "uses-found";
      readonly request: RequestId;
      readonly queueNumber: number;
      /** In the order of the uses: the id of the message; undefined: the use does not count any more. */
      readonly ids: readonly (string | undefined)[];
    }
  | { readonly type: "explained"; readonly request: RequestId; readonly explanation: Explanation }
  | {
      readonly type: "redriven";
      readonly request: RequestId;
      readonly messages: number;
      /** What is enqueued next to either queue will have these names. */
      readonly next: readonly MessageName[];
    }
  | { readonly type: "purged"; readonly request: RequestId; readonly messages: number }
  | { readonly type: "failed"; readonly request: RequestId; readonly failure: Failure }
  | {
      readonly type: "queues";
      readonly request: RequestId;
      readonly queues: readonly QueueSummary[];
      readonly total: number;
      /** There are more after the last one. */
      readonly more: boolean;
    }
  | { readonly type: "stats"; readonly request: RequestId; readonly stats: QueueStats };

export type Effect =
  | Reply
  /** The configuration has a new revision: watches have something to read. */
  | { readonly type: "config-changed"; readonly revision: number }
  | {
      readonly type: "opened";
      readonly consumer: ConsumerId;
      readonly visibilityMs: number;
      /** Leases of the same session from before a restart, now held by this consumer. */
      readonly adopted: readonly { readonly id: string; readonly token: LeaseToken; readonly leaseExpiresAt: number }[];
    }
  /** A poll that nothing can be leased for at this moment; it goes on waiting. */
  | { readonly type: "idle"; readonly consumer: ConsumerId }
  | { readonly type: "deliver"; readonly consumer: ConsumerId; readonly deliveries: readonly Delivery[] }
  /** Nothing is delivered to this consumer any more; what was delivered before stands. */
  | { readonly type: "stopped"; readonly consumer: ConsumerId }
  | { readonly type: "lost"; readonly consumer: ConsumerId; readonly leases: readonly LostLease[] }
  /** What comes after this ended attempt? Answered by the command `decided`; the retry policy stands in after 1 s. */
  | {
      readonly type: "decide";
      readonly queue: string;
      readonly id: string;
      readonly queueNumber: number;
      readonly sequence: number;
      readonly fairnessKey: string;
      readonly throttleKeys: readonly string[];
      /** Ended ones, this one included. */
      readonly attempt: number;
      readonly end: AttemptEnd;
    }
  /** The consumer is gone from the core: refused at its opening, or its queue was deleted. */
  | { readonly type: "ended"; readonly consumer: ConsumerId; readonly failure: Failure };
