// Explanations in words: one sentence for each reason, with its numbers.
import type { Refusal } from "../../core/consumer.ts";
import type { Explanation } from "../../core/explain.ts";
import type { FailureRecord } from "../../core/mutations.ts";
import type { ExplainSubject } from "../operations-contract.ts";

/** @param now wall clock */
export function explanationText(
  queue: string,
  about: ExplainSubject,
  explanation: Explanation,
  failure: FailureRecord | undefined,
  now: number,
): string {
  switch (explanation.why) {
    case "unknown":
      return about.id === undefined
        ? `fairness key ${JSON.stringify(about.fairnessKey)} of queue "${queue}" has no message that could be delivered now`
        : `queue "${queue}" has no such message: it was never there, or it is settled, cancelled, purged or expired`;
    case "dead-lettered":
      return `it is a dead letter and lies in "${explanation.queue}"${because(failure)}`;
    case "unreadable":
      return "its bytes cannot be read back from the store, so it is never delivered";
    case "leased": {
      const { worker, until, attempt } = explanation;
      const who = worker === "" ? "a worker without a name" : `worker "${worker}"`;
      return `${who} holds it until ${time(until)} (${span(until - now)}); ${attempt} attempts ended before`;
    }
    case "deciding":
      return `its attempt ${explanation.attempt} has ended, and the queue's hook is asked what comes next`;
    case "delayed":
      return `it waits until ${time(explanation.until)} (${span(explanation.until - now)})`;
    case "queue-paused":
      return `queue "${queue}" is paused; resume it`;
    case "key-paused":
      return `fairness key ${JSON.stringify(explanation.fairnessKey)} is paused; resume it`;
    case "throttled": {
      const { throttleKey, tokens, rate, burst, place, nextAt } = explanation;
      const next = nextAt === undefined ? "the limit lets nothing through" : `the next may go ${span(nextAt - now)}`;
      return `it waits for throttle key ${JSON.stringify(throttleKey)} (${rate} a second, ${burst} at once, ${Math.floor(tokens * 1_000) / 1_000} left), in place ${place} of its line; ${next}`;
    }
    case "concurrency-full": {
      const { cap, fairnessKey } = explanation;
      const whose = fairnessKey === undefined ? `queue "${queue}"` : `fairness key ${JSON.stringify(fairnessKey)}`;
      return `${whose} has as many messages leased as may be: ${cap}; it waits until one of them is settled`;
    }
    case "no-consumer":
      return `queue "${queue}" has no consumer; start a worker`;
    case "no-credit":
      return `none of the ${explanation.consumers} consumers takes a message now: ${refusals(explanation.because)}`;
    case "not-its-turn": {
      const { messagesAhead, keysAhead, deliveriesAhead, atLeast } = explanation;
      const about = atLeast ? "at least" : "about";
      return `it waits for its turn: ${messagesAhead} messages of its own key go first and ${keysAhead} other keys take turns, ${about} ${deliveriesAhead} deliveries in all`;
    }
  }
}

const words: Readonly<Record<Refusal, string>> = {
  credit: "without credit",
  unsettled: "with as many unsettled messages as a Consume stream may hold",
  unwritten: "not reading what they were sent",
  stopped: "stopping",
};

function refusals(because: Readonly<Partial<Record<Refusal, number>>>): string {
  return Object.entries(because)
    .map(([refusal, count]) => `${count} ${words[refusal as Refusal]}`)
    .join(", ");
}

function because(failure: FailureRecord | undefined): string {
  if (failure === undefined) return "";
  const { reason, lastFailedAt, error } = failure;
  return ` since ${time(lastFailedAt)}, reason ${reason}${error === "" ? "" : `: ${error}`}`;
}

function time(wall: number): string {
  // Beyond the year 275760 there are no dates.
  return new Date(Math.min(wall, 8.64e15)).toISOString();
}

function span(ms: number): string {
  return ms <= 0 ? "now" : `in ${Math.ceil(ms)} ms`;
}
