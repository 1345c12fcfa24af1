// Fills a queue over StreamEnqueue, as fast as it goes.
import type { EnqueueTarget } from "./load/enqueue-client.ts";
import type { StreamEnqueueTask } from "./load/stream-enqueue-load.ts";
import { runProgram } from "./program.ts";

const streamEnqueueLoad = new URL("./load/stream-enqueue-load.ts", import.meta.url);

/** @param messages at least so many; at most 1,600 more */
export async function fill(target: Omit<EnqueueTarget, "keys">, messages: number): Promise<void> {
  const task: StreamEnqueueTask = {
    target: { keys: 0, ...target },
    client: "bytes",
    frameSize: 100,
    framesUnderWay: 16,
    until: { messages },
  };
  await runProgram(streamEnqueueLoad, task);
}
