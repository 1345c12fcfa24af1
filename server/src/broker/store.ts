// Opening the store and building the engine from it; and everything that belongs to that life of the engine.
import { randomFillSync, randomInt } from "node:crypto";
import type { Entropy } from "../core/turn.ts";

import { dataShard, recoveryRange, systemShard } from "../storage/journal/keys.ts";
import { PayloadCache } from "../storage/journal/payload-cache.ts";
import type { Shard, Storage } from "../storage/port.ts";
import type { Clock } from "./clock.ts";
import { type Engine, type EngineOptions, EngineStart } from "./engine.ts";
import { PayloadLoader } from "./payload-loader.ts";

/** Random words for one turn's lease tokens: two a lease. */
const entropyWords = 4_096;

export interface StoreOptions extends Omit<EngineOptions, "entropy" | "cache" | "salt"> {
  readonly payloadCacheBytes: number;
}

/** One life: from an opened store to the next failure or the end. */
export interface Life {
  readonly storage: Storage;
  readonly system: Shard;
  readonly data: Shard;
  readonly engine: Engine;
  readonly cache: PayloadCache;
  readonly loader: PayloadLoader;
  readonly entropy: Entropy;
}

export async function openLife(open: () => Promise<Storage>, options: StoreOptions, clock: Clock): Promise<Life> {
  const storage = await open();
  try {
    const system = await storage.openShard(systemShard);
    const data = await storage.openShard(dataShard);
    const entropy = { words: new Uint32Array(entropyWords), left: 0 };
    const cache = new PayloadCache(options.payloadCacheBytes);
    const start = new EngineStart({ ...options, salt: randomInt(1_024), entropy, cache });
    for await (const chunk of data.scan(recoveryRange)) {
      for (const { key, value } of chunk) start.add(key, value);
    }
    const engine = start.finish({ mono: clock.mono(), wall: clock.wall() });
    const first = engine.begin();
    if (first.length > 0) await system.commit(first);
    return { storage, system, data, engine, cache, loader: new PayloadLoader(engine, data, cache), entropy };
  } catch (error) {
    await storage.close().catch(() => undefined);
    throw error;
  }
}

/** Tokens are drawn from the operating system's generator, before the turn that uses them. */
export function refill(entropy: Entropy): void {
  if (entropy.left === entropy.words.length) return;
  randomFillSync(entropy.words.subarray(entropy.left));
  entropy.left = entropy.words.length;
}
