// Why is this message not being delivered right now? Answered with the first thing that holds it, by the very predicates
// that scheduling asks: `Queue.held`, `FairnessKey.held` and `Consumer.refuses` give a reason where others give a boolean.
import type { Refusal } from "./consumer.ts";
import type { FairnessKey } from "./fairness-key.ts";
import { type Lane, precedes } from "./lane.ts";
import { MessageState } from "./message-table.ts";
import { type Times } from "./message-view.ts";
import type { Queue } from "./queue.ts";
import type { State } from "./state.ts";

/** Messages and keys that are counted at most; beyond, the numbers say "at least". */
const countedAtMost = 10_000;
const workersNamed = 16;
/** The last time that a timestamp of the wire can tell: the end of the year 9999. */
const latestTime = 253_402_300_799_999;

export type Explanation =
  | { readonly why: "unknown" }
  /** It lies in the queue's dead-letter queue. */
  | { readonly why: "dead-lettered"; readonly queue: string }
  | { readonly why: "unreadable" }
  | { readonly why: "leased"; readonly worker: string; readonly until: number; readonly attempt: number }
  | { readonly why: "deciding"; readonly attempt: number }
  /** `until`: wall clock. */
  | { readonly why: "delayed"; readonly until: number }
  | { readonly why: "queue-paused" }
  | { readonly why: "key-paused"; readonly fairnessKey: string }
  /** A bucket among its throttle keys does not hold its cost, or others go there first. */
  | {
      readonly why: "throttled";
      /** The bucket that is short longest. */
      readonly throttleKey: string;
      readonly tokens: number;
      /** Per second. */
      readonly rate: number;
      readonly burst: number;
      /** In the bucket's line, from 1. */
      readonly place: number;
      /** When the bucket holds what the first one in that line needs, wall clock; undefined: never, as it is configured, or
       * not before the year 10,000. */
      readonly nextAt: number | undefined;
    }
  /** As many messages are leased as may be. */
  | {
      readonly why: "concurrency-full";
      readonly cap: number;
      /** undefined: the cap is that of the queue. */
      readonly fairnessKey: string | undefined;
      /** Who holds them, at most 16. */
      readonly workers: readonly string[];
    }
  | { readonly why: "no-consumer" }
  /** There are consumers, and none takes a message now. */
  | {
      readonly why: "no-credit";
      readonly consumers: number;
      /** How many of them for which reason. */
      readonly because: Readonly<Partial<Record<Refusal, number>>>;
    }
  | ({ readonly why: "not-its-turn" } & Turns);

export interface Turns {
  /** Messages of its own key that go before it. */
  readonly messagesAhead: number;
  /** Other keys that take turns with its own. */
  readonly keysAhead: number;
  /** Deliveries of the queue until it is delivered, if nothing more comes. */
  readonly deliveriesAhead: number;
  /** The numbers are lower bounds. */
  readonly atLeast: boolean;
}

/** @param slot of a message; @param asked the queue in which the caller looks for it */
export function explain(times: Times, slot: number | undefined, asked: Queue): Explanation {
  const { state } = times;
  if (slot === undefined) return { why: "unknown" };
  const { table } = state;
  const lane = state.laneOf(slot);
  const { queue } = lane.key;
  if (queue !== asked) {
    return asked.deadLetters === queue.number && !queue.dead
      ? { why: "dead-lettered", queue: queue.name }
      : { why: "unknown" };
  }
  switch (table.state(slot)) {
    case MessageState.leased: {
      const lease = state.leases.get(slot)!;
      const until = Math.ceil(times.wallOf(lease.deadline));
      return { why: "leased", worker: lease.holder.worker, until, attempt: table.attempts(slot) };
    }
    case MessageState.deciding:
      return { why: "deciding", attempt: table.attempts(slot) };
    case MessageState.delayed:
    case MessageState.scheduled:
      return { why: "delayed", until: times.storedReadyAt(slot) };
    case MessageState.quarantined:
      return { why: "unreadable" };
    default:
      return explainReady(times, slot, lane);
  }
}

/** The same for a key: what holds its next message. undefined: it has none. */
export function explainKey(times: Times, key: FairnessKey): Explanation | undefined {
  const { first } = key;
  if (first !== undefined) return explainReady(times, first.head, first);
  let next: Lane | undefined;
  for (const lane of key.lanes()) {
    if (lane.head >= 0 && (next === undefined || precedes(times.state.table, lane.head, next.head))) next = lane;
  }
  return next && explainReady(times, next.head, next);
}

function explainReady(times: Times, slot: number, lane: Lane): Explanation {
  const { state } = times;
  const { key } = lane;
  const { queue } = key;
  if (queue.held() === "paused") return { why: "queue-paused" };
  if (key.held() === "paused") return { why: "key-paused", fairnessKey: key.name };
  const throttled = lane.throttles.length === 0 ? undefined : explainShortage(times, lane);
  if (throttled !== undefined) return throttled;
  if (queue.held() === "full") return full(state, queue.settings.maxInFlight, queue, undefined);
  if (key.held() === "full") return full(state, key.maxInFlight, queue, key);
  if (queue.consumers.size === 0) return { why: "no-consumer" };
  const because: Partial<Record<Refusal, number>> = {};
  let refusing = 0;
  for (const consumer of queue.consumers) {
    const refusal = consumer.refuses(state.table.length(slot));
    if (refusal === undefined) continue;
    refusing += 1;
    because[refusal] = (because[refusal] ?? 0) + 1;
  }
  if (refusing === queue.consumers.size) return { why: "no-credit", consumers: refusing, because };
  return { why: "not-its-turn", ...turns(state, slot, lane) };
}

function explainShortage(times: Times, lane: Lane): Explanation | undefined {
  const { mono } = times;
  const standing = times.state.throttles.standingOf(lane, mono, countedAtMost);
  if (standing === undefined) return undefined;
  const { throttle, place, nextMs } = standing;
  const { rate = 0, burst = 0 } = throttle.bucket.limit ?? {};
  const nextAt = Math.ceil(times.wallOf(mono + nextMs));
  return {
    why: "throttled",
    throttleKey: throttle.name,
    tokens: throttle.bucket.tokensAt(mono),
    rate,
    burst,
    place,
    nextAt: nextAt > latestTime ? undefined : nextAt,
  };
}

/** Its leases are looked for among as many as are counted at most. */
function full(state: State, cap: number, queue: Queue, key: FairnessKey | undefined): Explanation {
  const workers = new Set<string>();
  let left = countedAtMost;
  for (const lease of state.leases.values()) {
    if (left === 0 || workers.size === workersNamed) break;
    left -= 1;
    const { key: held } = state.laneOf(lease.slot);
    if (held.queue === queue && (key === undefined || held === key)) workers.add(lease.holder.worker);
  }
  return { why: "concurrency-full", cap, fairnessKey: key?.name, workers: [...workers].sort() };
}

function turns(state: State, slot: number, lane: Lane): Turns {
  const { table } = state;
  const { key } = lane;
  let ahead = 0;
  let cost = table.cost(slot);
  for (const each of key.lanes()) {
    if (each.parked) continue;
    const before = each.before(table, slot, countedAtMost - ahead);
    ahead += before.messages;
    cost += before.cost;
  }
  const { ring } = key.queue;
  const rounds = Math.max(1, Math.ceil((cost - key.deficit) / key.weight));
  let deliveries = ahead;
  let keys = 0;
  for (const other of key.queue.keys.values()) {
    if (keys >= countedAtMost) break;
    if (other === key || !other.inRing) continue;
    keys += 1;
    deliveries += Math.min(other.ready, other.weight * rounds);
  }
  const keysAhead = ring.size - (key.inRing ? 1 : 0);
  return {
    messagesAhead: ahead,
    keysAhead,
    deliveriesAhead: deliveries,
    atLeast: ahead >= countedAtMost || keysAhead > countedAtMost,
  };
}
