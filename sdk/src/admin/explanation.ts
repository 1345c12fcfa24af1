// Why a message is not being delivered right now.
import type { ExplainResponse } from "../gen/index.ts";
import { failureOf, type Failure } from "./messages.ts";
import { knownDate } from "./wire-values.ts";

/** What `explain` is asked about: a message, or the next message of a fairness key. */
export type ExplainSubject = { readonly messageId: string } | { readonly fairnessKey: string };

/** The first thing that holds a message, with its numbers. */
export type ExplanationReason =
  /** Not in this queue: never there, or settled, cancelled, purged, expired. For a key: none of its messages could be delivered now. */
  | { readonly reason: "unknown" }
  /** A worker has it ("" when that has no name). */
  | { readonly reason: "leased"; readonly workerId: string; readonly until: Date; readonly attempt: number }
  /** Its attempt has ended, and the queue's hook is asked what comes next. */
  | { readonly reason: "deciding"; readonly attempt: number }
  /** It waits for a time, or for the end of a delay or backoff. */
  | { readonly reason: "delayed"; readonly until: Date }
  /** It is in the dead-letter queue `queue`. */
  | { readonly reason: "dead_lettered"; readonly queue: string; readonly failure: Failure | undefined }
  /** Its bytes are damaged on the disk. */
  | { readonly reason: "unreadable" }
  | { readonly reason: "queue_paused" }
  | { readonly reason: "key_paused"; readonly fairnessKey: string }
  /** Nobody consumes the queue. */
  | { readonly reason: "no_consumer" }
  /** There are consumers, and none takes a message. */
  | {
      readonly reason: "no_credit";
      readonly consumers: number;
      /** Of these consumers: have no credit left. */
      readonly withoutCredit: number;
      /** Of these: hold as many unsettled messages as a Consume stream may. */
      readonly full: number;
      /** Of these: do not read what was sent to them. */
      readonly notReading: number;
      /** Of these: take no more messages. */
      readonly stopped: number;
    }
  /** Others go before it. */
  | {
      readonly reason: "not_its_turn";
      /** Messages of its own key. */
      readonly messagesAhead: number;
      /** Other keys that take turns with its own. */
      readonly keysAhead: number;
      /** Deliveries of the queue until its own, if nothing more comes. */
      readonly deliveriesAhead: number;
      /** The numbers are lower bounds. */
      readonly atLeast: boolean;
    }
  /** A bucket among its throttle keys does not hold its cost. */
  | {
      readonly reason: "throttled";
      /** The bucket that is short longest. */
      readonly throttleKey: string;
      /** What it holds now. */
      readonly tokens: number;
      readonly ratePerSecond: number;
      readonly burst: number;
      /** In the bucket's line, from 1. */
      readonly placeInLine: number;
      /** When the head of that line may go; undefined: never, with this rate and burst. */
      readonly nextAt: Date | undefined;
    }
  /** As many messages are leased as may be. */
  | {
      readonly reason: "concurrency_full";
      readonly cap: number;
      /** undefined: the cap is that of the queue. */
      readonly fairnessKey: string | undefined;
      /** Who holds them, at most 16 ("" = a worker without a name). */
      readonly workerIds: readonly string[];
    }
  /** Of a newer broker; `text` says it. */
  | { readonly reason: "other" };

/** A reason, and the same in words. */
export type Explanation = ExplanationReason & { readonly text: string };

export function explanationOf({ reason, text }: ExplainResponse): Explanation {
  return { ...reasonOf(reason), text };
}

function reasonOf({ case: name, value }: ExplainResponse["reason"]): ExplanationReason {
  switch (name) {
    case "unknown":
    case "unreadable":
      return { reason: name };
    case "leased":
      return { reason: name, workerId: value.workerId, until: knownDate(value.until), attempt: value.attempt };
    case "deciding":
      return { reason: name, attempt: value.attempt };
    case "delayed":
      return { reason: name, until: knownDate(value.until) };
    case "deadLettered":
      return { reason: "dead_lettered", queue: value.queue, failure: value.failure && failureOf(value.failure) };
    case "queuePaused":
      return { reason: "queue_paused" };
    case "keyPaused":
      return { reason: "key_paused", fairnessKey: value.fairnessKey };
    case "noConsumer":
      return { reason: "no_consumer" };
    case "noCredit": {
      const { consumers, withoutCredit, full, notReading, stopped } = value;
      return { reason: "no_credit", consumers, withoutCredit, full, notReading, stopped };
    }
    case "notItsTurn": {
      const [messagesAhead, keysAhead] = [Number(value.messagesAhead), Number(value.keysAhead)];
      const deliveriesAhead = Number(value.deliveriesAhead);
      return { reason: "not_its_turn", messagesAhead, keysAhead, deliveriesAhead, atLeast: value.atLeast };
    }
    case "throttled": {
      const { throttleKey, tokens, ratePerSecond, burst, nextAt } = value;
      const placeInLine = Number(value.placeInLine);
      const next = nextAt === undefined ? undefined : knownDate(nextAt);
      return { reason: name, throttleKey, tokens, ratePerSecond, burst, placeInLine, nextAt: next };
    }
    case "concurrencyFull": {
      const { cap, workerIds } = value;
      const fairnessKey = value.fairnessKey === "" ? undefined : value.fairnessKey;
      return { reason: "concurrency_full", cap, fairnessKey, workerIds };
    }
    case undefined:
      return { reason: "other" };
  }
}
