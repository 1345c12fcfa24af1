// What operators see of a queue.
import type { KeyStats, QueueStats, QueueSummary } from "./effects.ts";
import type { FairnessKey } from "./fairness-key.ts";
import type { Queue } from "./queue.ts";

export function summaryOf(queue: Queue): QueueSummary {
  return { name: queue.name, depth: queue.depth, inFlight: queue.inFlight, consumers: queue.consumers.size };
}

/** @param topKeys how many keys to name, those with most pending messages */
export function queueStats(queue: Queue, topKeys: number): QueueStats {
  return {
    ...summaryOf(queue),
    activeKeys: queue.ring.size,
    visibilityMs: queue.settings.visibilityMs,
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
