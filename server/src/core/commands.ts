// What the shell asks of the core: plain data. All times are milliseconds.
import type { Failure } from "./errors.ts";
import type { KeyHash } from "./idempotency.ts";
import type { KeyOverride } from "./queue.ts";
import type { QueueSettings } from "./queue-settings.ts";
import type { MessageName } from "./redrive.ts";
import type { MessageFilter, ScanPlace } from "./scan.ts";
import type { HookAnswer } from "./retry-policy.ts";

export interface IdempotencyKey extends KeyHash {
  readonly text: string;
}

/** A use of an idempotency key, by the message that it was for. */
export interface KeyUse {
  readonly key: KeyHash;
  readonly sequence: number;
}

/** One message to store, already validated but for the wall clock of `deliverAt`. */
export interface EnqueueItem {
  readonly queue: string;
  /** What a hook has decided is meant for the queue of this number, and for no other of its name. Absent: whatever queue
   * has the name. */
  readonly queueNumber?: number;
  readonly fairnessKey: string;
  /** 1 to 1,000; 0 = the key keeps its weight. */
  readonly weight: number;
  /** 1 to 1,000. */
  readonly cost: number;
  /** Sorted, without duplicates. */
  readonly throttleKeys: readonly string[];
  /** Deliver after this time, milliseconds; 0 = at once. Not together with `deliverAt`. */
  readonly delayMs?: number;
  /** Deliver at this time of the wall clock; 0 = at once. */
  readonly deliverAt?: number;
  /** The message's time to live from its enqueue, milliseconds; 0 = for ever. */
  readonly ttlMs?: number;
  /** An enqueue with a key that was used within the queue's window answers with the first message and stores nothing. */
  readonly idempotencyKey?: IdempotencyKey | undefined;
  /** Of a message with an idempotency key: its queue's hook could not decide, so nothing is to be stored for this reason.
   * That it was stored before is told nevertheless. */
  readonly refused?: Failure | undefined;
  /** Headers and payload in wire form (fields 2 and 3 of EnqueueRequest and of Message). The core never looks inside. */
  readonly body: Uint8Array;
}

/**
 * consume: a stream without credit messages; the core itself holds it to 128 unsettled messages and 1 MiB.
 * stream: StreamLease; credit comes from the client.
 * poll: one long poll; takes up to `credit` messages at once, then it is done and its leases stand.
 */
export type ConsumerKind = "consume" | "stream" | "poll";

/** 64 random bits that prove a lease, as two unsigned 32-bit halves. */
export interface LeaseToken {
  readonly high: number;
  readonly low: number;
}

export type SettleAction = "ack" | "nack" | "extend" | "release";

export interface SettleItem {
  /** UUIDv7 as the client sent it. */
  readonly id: string;
  /** Absent: the form without token, for leases granted over Consume only. */
  readonly token: LeaseToken | undefined;
  readonly action: SettleAction;
  /** nack: the reason given by the worker. */
  readonly error: string;
  /** nack: the delay that the worker asks for; undefined: the queue's policy. */
  readonly delayMs?: number | undefined;
  /** nack: another attempt is of no use. */
  readonly deadLetter?: boolean;
  /** extend: new duration; 0 = the lease's own. */
  readonly extendMs: number;
}

/** A number chosen by the shell that comes back in the reply. */
export type RequestId = number;
/** A number chosen by the shell; names one consumer for its whole life, never reused within a run. */
export type ConsumerId = number;
/** A number chosen by the shell; names one transport connection (an HTTP/2 session). */
export type ConnectionId = number;

export interface OpenConsumer {
  readonly type: "open";
  readonly consumer: ConsumerId;
  readonly queue: string;
  readonly kind: ConsumerKind;
  readonly connection: ConnectionId;
  readonly principal: string;
  readonly worker: string;
  /** StreamLease: names the stream over reconnections; "" = none. */
  readonly session: string;
  /** 0 = the queue's. */
  readonly visibilityMs: number;
  /** Messages that it takes at first. Ignored for consume. */
  readonly credit: number;
}

export type Command =
  | { readonly type: "enqueue"; readonly request: RequestId; readonly items: readonly EnqueueItem[] }
  | OpenConsumer
  | { readonly type: "credit"; readonly consumer: ConsumerId; readonly messages: number }
  /** Takes back all credit, for good; answered by `stopped`. */
  | { readonly type: "stop"; readonly consumer: ConsumerId }
  /** Deliveries up to this ordinal are written to the transport, and its buffer has drained. */
  | { readonly type: "written"; readonly consumer: ConsumerId; readonly ordinal: number }
  /** Deliveries that will never be written: the bytes cannot be read, or the message ended while they were being read.
   * `all`: nothing else of their turn was delivered. */
  | {
      readonly type: "undelivered";
      readonly consumer: ConsumerId;
      readonly ordinals: readonly number[];
      readonly all: boolean;
    }
  /** The stream is gone. Deliveries beyond `written` never reached its transport and go back without an attempt. */
  | { readonly type: "close"; readonly consumer: ConsumerId; readonly written: number }
  | {
      readonly type: "settle";
      readonly request: RequestId;
      readonly queue: string;
      readonly connection: ConnectionId;
      readonly principal: string;
      readonly items: readonly SettleItem[];
    }
  | {
      readonly type: "create-queue";
      readonly request: RequestId;
      readonly name: string;
      readonly settings: QueueSettings;
    }
  | { readonly type: "delete-queue"; readonly request: RequestId; readonly name: string; readonly force?: boolean }
  | {
      readonly type: "update-queue";
      readonly request: RequestId;
      readonly name: string;
      /** What is absent stays as it is. */
      readonly settings: Partial<QueueSettings>;
    }
  /** An operator's word on one fairness key; what is absent stays as it is. */
  | {
      readonly type: "set-key";
      readonly request: RequestId;
      readonly queue: string;
      readonly fairnessKey: string;
      readonly override: Partial<KeyOverride>;
    }
  | { readonly type: "cancel"; readonly request: RequestId; readonly queue: string; readonly id: string }
  /** An empty value deletes the key. */
  | { readonly type: "set-config"; readonly request: RequestId; readonly key: string; readonly value: string }
  | { readonly type: "get-config"; readonly request: RequestId; readonly key: string }
  | {
      readonly type: "list-config";
      readonly request: RequestId;
      readonly prefix: string;
      readonly after: string;
      readonly limit: number;
    }
  /** What changed after a revision. */
  | { readonly type: "config-changes"; readonly request: RequestId; readonly after: number; readonly limit: number }
  | { readonly type: "describe-queue"; readonly request: RequestId; readonly queue: string; readonly maxKeys: number }
  /** The fairness keys of a queue beyond a name, by name. */
  | {
      readonly type: "list-keys";
      readonly request: RequestId;
      readonly queue: string;
      readonly after: string;
      readonly limit: number;
    }
  /** Which of these uses of idempotency keys still count? */
  | {
      readonly type: "find-uses";
      readonly request: RequestId;
      readonly queue: string;
      readonly uses: readonly KeyUse[];
    }
  /** The idempotency key may be used again. */
  | { readonly type: "release-key"; readonly request: RequestId; readonly queue: string; readonly key: KeyHash }
  /** One slice of a walk over the messages of a queue. */
  | {
      readonly type: "scan";
      readonly request: RequestId;
      readonly queue: string;
      readonly filter: MessageFilter;
      readonly after: ScanPlace | undefined;
      readonly limit: number;
      readonly row: number;
    }
  /** Single messages by id; those that are not in the queue are left out. */
  | {
      readonly type: "get-messages";
      readonly request: RequestId;
      readonly queue: string;
      readonly ids: readonly string[];
    }
  /** Why is a message, or the next one of a key, not being delivered? Exactly one of the two is given. */
  | {
      readonly type: "explain";
      readonly request: RequestId;
      readonly queue: string;
      readonly id?: string;
      readonly fairnessKey?: string;
    }
  /** These dead letters go back to the queue that the dead-letter queue belongs to. */
  | {
      readonly type: "redrive";
      readonly request: RequestId;
      readonly queue: string;
      readonly messages: readonly MessageName[];
    }
  /** Everything that waits in the queue now goes; what is leased stays. */
  | { readonly type: "purge"; readonly request: RequestId; readonly queue: string }
  | { readonly type: "list-queues"; readonly request: RequestId; readonly after: string; readonly limit: number }
  | { readonly type: "queue-stats"; readonly request: RequestId; readonly name: string; readonly topKeys: number }
  /** What comes after an ended attempt; without effect when message and attempt are others by now. */
  | {
      readonly type: "decided";
      readonly queueNumber: number;
      readonly sequence: number;
      readonly attempt: number;
      readonly decision: HookAnswer;
    }
  /** A script of the queue has answered for the first time; without effect when the queue has another one by now. */
  | {
      readonly type: "script-worked";
      readonly queueNumber: number;
      readonly hook: "on_enqueue" | "on_failure";
      readonly script: string;
    }
  /** The bytes of a message cannot be read back: it is set aside and never delivered. */
  | { readonly type: "quarantine"; readonly queueNumber: number; readonly sequence: number }
  /** The connection is closed; what is remembered of it may go. */
  | { readonly type: "disconnect"; readonly connection: ConnectionId };
