// What operators see of a queue.
import type { KeyStats, KeySummary, QueueDescription, QueueStats, QueueSummary, ThrottleStats } from "./effects.ts";
import type { FairnessKey } from "./fairness-key.ts";
import type { MessageTable } from "./message-table.ts";
import type { Queue } from "./queue.ts";
import type { State } from "./state.ts";
import type { Throttle } from "./throttle.ts";

export function summaryOf(queue: Queue): QueueSummary {
  return { name: queue.name, depth: queue.depth, inFlight: queue.inFlight, consumers: queue.consumers.size };
}

/** What telemetry reads of a queue, between two turns. */
export interface QueueReading extends QueueSummary {
  readonly number: number;
  /** Fairness keys with messages that may be delivered. */
  readonly activeKeys: number;
  /** Of its fairness ring, since it was built. */
  readonly rounds: number;
  /** Wall clock: since when the message that waits longest may be delivered; undefined: none waits. */
  readonly waitingSince: number | undefined;
}

/** @param keysLookedAt how many keys are searched for the longest wait; a queue with more may have a longer one */
export function readQueue(queue: Queue, table: MessageTable, keysLookedAt: number): QueueReading {
  let waitingSince: number | undefined;
  let left = keysLookedAt;
  for (const { first } of queue.keys.values()) {
    if (left === 0) break;
    left -= 1;
    const readyAt = first === undefined ? Infinity : table.readyAt(first.head);
    if (readyAt < (waitingSince ?? Infinity)) waitingSince = readyAt;
  }
  const { number, ring } = queue;
  return { ...summaryOf(queue), number, activeKeys: ring.size, rounds: ring.round, waitingSince };
}

/** @param topKeys how many keys, and throttle keys, to name, those with most that waits @param now monotonic clock */
export function queueStats(state: State, queue: Queue, topKeys: number, now: number): QueueStats {
  const { settings } = queue;
  let ready = 0;
  for (const key of queue.keys.values()) ready += key.ready;
  const ofQueue = (slot: number): boolean => state.laneOf(slot).key.queue === queue;
  let deciding = 0;
  for (const { slot } of state.undecided.all()) if (ofQueue(slot)) deciding += 1;
  let unreadable = 0;
  for (const slot of state.setAside) if (ofQueue(slot)) unreadable += 1;
  return {
    ...summaryOf(queue),
    activeKeys: queue.ring.size,
    visibilityMs: settings.visibilityMs,
    delayed: queue.depth - ready - queue.inFlight - deciding - unreadable,
    deciding,
    paused: settings.paused,
    keys: busiest(queue.keys.values(), topKeys).map(statsOf),
    throttles: throttlesOf(state, queue, topKeys, now),
    truncated: queue.keys.size > topKeys,
  };
}

function throttlesOf(state: State, queue: Queue, most: number, now: number): ThrottleStats[] {
  const limited: Throttle[] = [];
  for (const throttle of state.throttles.all()) {
    if (throttle.bucket.limit !== undefined && throttle.queues.has(queue)) limited.push(throttle);
  }
  const ranked = limited.sort((a, b) => b.waiting - a.waiting || (a.name < b.name ? -1 : 1)).slice(0, most);
  return ranked.map(({ name, bucket, waiting }) => {
    const { rate = 0, burst = 0 } = bucket.limit ?? {};
    return { key: name, tokens: bucket.tokensAt(now), rate, burst, waiting };
  });
}

/** @param maxKeys how many keys with settings of their own to name, the first by name */
export function describe(state: State, queue: Queue, maxKeys: number): QueueDescription {
  const names = [...queue.overrides.keys()].sort().slice(0, maxKeys);
  return {
    name: queue.name,
    settings: queue.settings,
    deadLetters: state.queuesByNumber.get(queue.deadLetters)?.name ?? "",
    keys: names.map((key) => ({ key, ...queue.overrides.get(key)! })),
  };
}

/** One pass over all keys, of which only the first beyond `after` are ever sorted. */
export function listKeys(
  queue: Queue,
  after: string,
  limit: number,
): { readonly keys: KeySummary[]; readonly total: number; readonly more: boolean } {
  let names: string[] = [];
  let behind = 0;
  /** Beyond it nothing is of interest any more. */
  let bar: string | undefined;
  for (const name of queue.keys.keys()) {
    if (name <= after) continue;
    behind += 1;
    if (bar !== undefined && name >= bar) continue;
    names.push(name);
    if (names.length < limit * 2) continue;
    names = names.sort().slice(0, limit);
    bar = names.at(-1);
  }
  const keys = names
    .sort()
    .slice(0, limit)
    .map((name) => keySummary(queue.keys.get(name)!));
  return { keys, total: queue.keys.size, more: behind > limit };
}

function keySummary(key: FairnessKey): KeySummary {
  const { name, ready, total, weight, deficit, paused, inFlight, maxInFlight } = key;
  return { key: name, ready, total, weight, deficit, paused, inFlight, maxInFlight };
}

function statsOf(key: FairnessKey): KeyStats {
  return { key: key.name, pending: key.ready, deficit: key.deficit, weight: key.weight };
}

/** One pass over all keys; only when the bar is passed does it touch the list of winners. */
function busiest(keys: Iterable<FairnessKey>, count: number): FairnessKey[] {
  const before = (a: FairnessKey, b: FairnessKey): number => b.ready - a.ready || (a.name < b.name ? -1 : 1);
  let winners: FairnessKey[] = [];
  let bar = -1;
  for (const key of keys) {
    if (key.ready <= bar) continue;
    winners.push(key);
    if (winners.length < count * 4) continue;
    winners = winners.sort(before).slice(0, count);
    bar = winners.at(-1)?.ready ?? -1;
  }
  return winners.sort(before).slice(0, count);
}
