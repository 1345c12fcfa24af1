// The peer of everything durable: classic-level used directly, as fast as one process can with an fsync per commit.
// Batches: arrays of 100 puts. Puts: one after another. Never more than one outstanding.
import { Level } from "level";
import { quantile } from "../pairs.ts";
import { MeasuringWindow } from "../measuring-window.ts";
import type { WindowOptions } from "../measuring-window.ts";
import { cycle, makePayloads } from "../payloads.ts";
import { doTask } from "../program-task.ts";

export interface RawLevelTask {
  readonly directory: string;
  readonly load: "batches" | "puts";
  readonly window: WindowOptions;
}

const batchSize = 100;

await doTask(async ({ directory, load, window }: RawLevelTask) => {
  const db = new Level<Uint8Array, Uint8Array>(directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    compression: false,
    writeBufferSize: 64 * 1024 * 1024,
  });
  await db.open();
  const payload = cycle(makePayloads());
  const measuring = new MeasuringWindow(window);
  let sequence = 0;
  // Ascending keys, as a queue has them, are the cheapest for LevelDB.
  const nextKey = (): Buffer => {
    const key = Buffer.allocUnsafe(8);
    key.writeUInt32BE(0, 0);
    key.writeUInt32BE(sequence++, 4);
    return key;
  };
  const latencies: number[] = [];
  while (!measuring.over) {
    if (load === "batches") {
      const batch = Array.from(
        { length: batchSize },
        () => ({ type: "put", key: nextKey(), value: payload() }) as const,
      );
      await db.batch(batch, { sync: true } as object);
      measuring.completed(batchSize);
    } else {
      const start = performance.now();
      await db.put(nextKey(), payload(), { sync: true } as object);
      if (measuring.measuring) latencies.push(performance.now() - start);
      measuring.completed(1);
    }
  }
  const throughput = measuring.throughput();
  return load === "batches" ? throughput : { ...throughput, p50Ms: quantile(latencies, 0.5) };
});
