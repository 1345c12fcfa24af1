// What the broker tells and shows whoever measures it. The broker knows these shapes, and nothing of what becomes of them.
import type { Effect } from "../core/effects.ts";
import type { Mutation } from "../core/mutations.ts";
import type { QueueReading } from "../core/queue-stats.ts";

export interface TurnObserver {
  /** A turn is durable, and its effects are about to go out. To be quick, and to keep nothing of what it gets.
   * @param commitMs how long its commit took; undefined: it changed nothing that is stored */
  released(mutations: readonly Mutation[], effects: readonly Effect[], commitMs: number | undefined): void;
  storageFailed(operation: StorageOperation): void;
}

export type StorageOperation = "open" | "commit" | "read";

/** How the broker stands at this moment. It may be one turn ahead of the disk. */
export interface BrokerReading {
  /** Whether it takes messages: neither draining nor without a store to write to. */
  readonly serving: boolean;
  readonly queues: readonly QueueReading[];
  /** Bytes of messages that wait for their turn. */
  readonly waitingBytes: number;
  /** Lanes that wait at buckets of throttle keys. */
  readonly throttledLanes: number;
  readonly payloadCacheBytes: number;
  /** Deliveries whose bytes were in memory, since the start. */
  readonly payloadCacheHits: number;
  /** Deliveries whose bytes had to be read from the store. */
  readonly payloadCacheMisses: number;
  /** Messages that wait for a script, or are in one; scripts that are not called because they failed too often. */
  readonly hooks: { readonly waiting: number; readonly openBreakers: number };
}
