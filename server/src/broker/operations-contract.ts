// What operators may ask of the broker. Answers come only after the turn that made them is durable. While the broker
// drains, questions are still answered and changes are refused.
import type { KeyHash } from "../core/idempotency.ts";
import type { KeySummary, QueueDescription } from "../core/effects.ts";
import type { Explanation } from "../core/explain.ts";
import type { MessageView } from "../core/message-view.ts";
import type { FailureRecord } from "../core/mutations.ts";
import type { QueueSettings } from "../core/queue-settings.ts";
import type { KeyOverride } from "../core/queue.ts";
import type { DeadLetterReason } from "../core/retry-policy.ts";
import type { ConfigChange } from "../core/runtime-config.ts";
import type { MessageFilter, ScanPlace } from "../core/scan.ts";
import type { HookError, HookState, Trial, TrialResult } from "../hooks/port.ts";
import type { Outcome } from "./contract.ts";

/** What is absent does not matter. Times are those of the wall clock. */
export interface SearchFilter extends MessageFilter {
  /** Only these. At most 1,000. */
  readonly ids?: readonly string[] | undefined;
  /** Dead letters: why they are. */
  readonly reason?: DeadLetterReason | undefined;
  /** Dead letters: a part of the last error. */
  readonly errorContains?: string | undefined;
  /** Whether headers and payload, in wire form (fields 2 and 3 of Message), are looked for. */
  readonly body?: ((body: Uint8Array) => boolean) | undefined;
}

export interface ListQuery {
  readonly queue: string;
  readonly filter: SearchFilter;
  /** `next` of the page before; undefined: from the start. */
  readonly after: ScanPlace | undefined;
  /** 1 to 1,000. */
  readonly limit: number;
  readonly withBodies: boolean;
}

/** A message as operators see it. */
export interface StoredMessage {
  readonly view: MessageView;
  /** Headers and payload in wire form (fields 2 and 3 of Message), when they were asked for and can be read. It may be a
   * view into a shared buffer: copy what must outlive the call. */
  readonly body: Uint8Array | undefined;
  /** Its bytes were asked for and are not what was written. */
  readonly unreadable: boolean;
  /** Dead letters: what it failed of. */
  readonly failure: FailureRecord | undefined;
}

export interface MessagePage {
  /** Oldest first. */
  readonly messages: readonly StoredMessage[];
  /** undefined: there are no more. Else there may be, also when this page is empty. */
  readonly next: ScanPlace | undefined;
}

export interface KeyPage {
  readonly keys: readonly KeySummary[];
  readonly total: number;
  readonly more: boolean;
}

export type ExplainSubject =
  { readonly id: string; readonly fairnessKey?: undefined } | { readonly fairnessKey: string; readonly id?: undefined };

export interface Explained {
  readonly explanation: Explanation;
  /** Dead letters: what it failed of. */
  readonly failure: FailureRecord | undefined;
  /** The same in a sentence. */
  readonly text: string;
}

export interface RedriveOrder {
  /** The dead-letter queue. */
  readonly queue: string;
  readonly filter: SearchFilter;
  /** 0 = all that the filter leaves. */
  readonly count: number;
  /** Only counts. */
  readonly dryRun: boolean;
  /** Messages per second at most; 0 = as fast as it goes. */
  readonly ratePerSecond: number;
}

export interface RedriveProgress {
  /** Moved so far, or counted. */
  readonly redriven: number;
  /** Looked at so far. */
  readonly examined: number;
}

export interface ConfigPage {
  readonly entries: readonly (readonly [key: string, value: string])[];
  readonly total: number;
  readonly more: boolean;
  readonly revision: number;
}

export interface ConfigBatch {
  /** In order. */
  readonly changes: readonly ConfigChange[];
  /** All changes up to it were told. */
  readonly revision: number;
  /** There were no more at this moment. */
  readonly caughtUp: boolean;
}

/** The place of a use of an idempotency key in the order of their use. */
export interface UsePlace {
  readonly commit: number;
  /** Among the uses of the commit. */
  readonly index: number;
}

export interface IdempotencyUse {
  readonly key: string;
  readonly messageId: string;
  /** Wall clock. */
  readonly expiresAt: number;
}

export interface IdempotencyPage {
  readonly uses: readonly IdempotencyUse[];
  /** undefined: there are no more. Else there may be, also when this page is empty. */
  readonly next: UsePlace | undefined;
}

export interface DescribedQueue extends QueueDescription {
  /** undefined: it has no such script. */
  readonly onEnqueue: HookState | undefined;
  readonly onFailure: HookState | undefined;
}

/** A script that is tried with a sample message. */
export interface HookTrial extends Omit<Trial, "seePayload"> {
  /** "" = that of the queue. */
  readonly source: string;
  /** undefined: as the queue says. */
  readonly seePayload: boolean | undefined;
}

export interface Operations {
  /** What is absent stays as it is. Scripts are checked first. */
  updateQueue(queue: string, settings: Partial<QueueSettings>): Promise<Outcome<void>>;
  /** @param maxKeys keys with settings of their own that are named at most */
  describeQueue(queue: string, maxKeys: number): Promise<Outcome<DescribedQueue>>;
  /** Calls a script away from all traffic. */
  tryHook(order: HookTrial): Promise<Outcome<TrialResult>>;
  /** Newest first; the last 16 of each hook since the broker started. */
  hookErrors(queue: string): Promise<Outcome<readonly HookError[]>>;
  /** How many messages are gone. Answers when the last of them is. */
  purgeQueue(queue: string): Promise<Outcome<number>>;
  /** What is absent stays as it is. */
  setKey(queue: string, fairnessKey: string, override: Partial<KeyOverride>): Promise<Outcome<void>>;
  listKeys(queue: string, after: string, limit: number): Promise<Outcome<KeyPage>>;

  /** Rejects with the signal's reason once it aborts. */
  listMessages(query: ListQuery, signal?: AbortSignal): Promise<Outcome<MessagePage>>;
  getMessage(queue: string, id: string): Promise<Outcome<StoredMessage>>;
  cancelMessage(queue: string, id: string): Promise<Outcome<void>>;
  explain(queue: string, about: ExplainSubject): Promise<Outcome<Explained>>;
  /**
   * Moves dead letters back to their queue. `progress` is called a few times a second. Rejects with the signal's reason
   * once it aborts; what was moved by then stays moved, and doing it again moves the rest.
   */
  redrive(
    order: RedriveOrder,
    progress: (progress: RedriveProgress) => void,
    signal: AbortSignal,
  ): Promise<Outcome<RedriveProgress>>;

  /** An empty value deletes the key. */
  setConfig(key: string, value: string): Promise<Outcome<void>>;
  /** "" = there is none. */
  getConfig(key: string): Promise<Outcome<{ readonly value: string; readonly revision: number }>>;
  listConfig(prefix: string, after: string, limit: number): Promise<Outcome<ConfigPage>>;
  /** Every change after a revision, once and in order, for as long as it is asked for more. Ends with the first failure,
   * which is DRAINING when the broker stops, and without one when the signal aborts. */
  watchConfig(after: number, signal: AbortSignal): AsyncIterable<Outcome<ConfigBatch>>;

  listIdempotencyKeys(queue: string, after: UsePlace | undefined, limit: number): Promise<Outcome<IdempotencyPage>>;
  releaseIdempotencyKey(queue: string, key: KeyHash): Promise<Outcome<void>>;
}
