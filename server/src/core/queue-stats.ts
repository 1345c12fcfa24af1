// What operators see of a queue.
import type { KeyStats, QueueStats, QueueSummary } from "./effects.ts";
import type { FairnessKey } from "./fairness-key.ts";
import type { MessageTable } from "./message-table.ts";
import type { Queue } from "./queue.ts";

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

/** @param topKeys how many keys to name, those with most pending messages */
export function queueStats(queue: Queue, topKeys: number): QueueStats {
  return {
    ...summaryOf(queue),
    activeKeys: queue.ring.size,
    visibilityMs: queue.visibilityMs,
    keys: busiest(queue.keys.values(), topKeys).map(statsOf),
    truncated: queue.keys.size > topKeys,
  };
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
