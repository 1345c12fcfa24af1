// Fairness keys and idempotency keys as operators see them.
import type { IdempotencyKeyInfo, KeyInfo } from "../gen/index.ts";
import { knownDate } from "./wire-values.ts";

/** What `setKey` changes; what is left out stays as it is. */
export interface FairnessKeyChanges {
  /** 1 to 1,000, before what the key's messages say; 0 gives the weight back to them. */
  readonly weight?: number | undefined;
  /** true: none of the key's messages is delivered. */
  readonly paused?: boolean | undefined;
  /** Leased messages of the key at a time, at most 1,000,000; 0 gives it back to the queue's `maxInFlightPerKey`. */
  readonly maxInFlight?: number | undefined;
}

/** One line of `listKeys`. */
export interface FairnessKeySummary {
  readonly key: string;
  /** Messages that may be delivered now. */
  readonly ready: number;
  /** Messages in any state. */
  readonly total: number;
  readonly weight: number;
  /** Cost units that the key may still use in its turn. */
  readonly deficit: number;
  readonly paused: boolean;
  /** Messages leased. */
  readonly inFlight: number;
  /** As many of its messages may be leased at a time; 0 = no limit. */
  readonly maxInFlight: number;
}

/** One line of `listIdempotencyKeys`. */
export interface IdempotencyKeyUse {
  readonly key: string;
  /** Of the message that was stored with it, whatever became of that. */
  readonly messageId: string;
  /** When the key may be used again. */
  readonly expiresAt: Date;
}

export function fairnessKeySummary(info: KeyInfo): FairnessKeySummary {
  const { key, ready, total, weight, currentDeficit, paused, inFlight, maxInFlight } = info;
  const [deficit, leased] = [Number(currentDeficit), Number(inFlight)];
  return { key, ready: Number(ready), total: Number(total), weight, deficit, paused, inFlight: leased, maxInFlight };
}

export function idempotencyKeyUse({ idempotencyKey, messageId, expiresAt }: IdempotencyKeyInfo): IdempotencyKeyUse {
  return { key: idempotencyKey, messageId, expiresAt: knownDate(expiresAt) };
}
