// The broker inside a process that can look at its own memory: node --expose-gc.
import { startServer } from "@fila/server";
import type { Config } from "@fila/server";
import { beginTask, say } from "./program-task.ts";

export interface ResidentServerTask {
  readonly settings: Partial<Config>;
}

/** Bytes after a full collection. */
export interface MemoryInUse {
  readonly heapUsed: number;
  readonly arrayBuffers: number;
  readonly rss: number;
}

await beginTask(async ({ settings }: ResidentServerTask) => {
  const server = await startServer({ ...settings, "server.listen_addr": "127.0.0.1:0" });
  process.on("message", (message) => {
    if (message === "memory") void memoryInUse().then(say);
  });
  await say({ url: server.url });
});

async function memoryInUse(): Promise<MemoryInUse> {
  // What a collection releases may release more: finalizers run between them.
  for (let round = 0; round < 4; round++) {
    globalThis.gc!();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { heapUsed, arrayBuffers, rss };
}
