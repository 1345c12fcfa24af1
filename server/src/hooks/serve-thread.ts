// The other side of thread-link.ts: runs in the thread of the hooks. It looks for new messages between two slices, so that
// it never goes back to its event loop while there is work.
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { type FromRunner, type ToRunner, progress } from "./protocol.ts";
import { type EngineFactory, Runner } from "./runner.ts";
import type { ThreadData } from "./thread-link.ts";

export function serveThread(engine: EngineFactory): void {
  const port = parentPort;
  if (port === null) throw new Error("this program runs in a thread of the broker");
  const { shared, budgets } = workerData as ThreadData;
  const places = new Int32Array(shared);
  const tell = (message: FromRunner): void => port.postMessage(message);
  const runner = new Runner(engine, budgets, {
    tell,
    begins: (job) => {
      Atomics.add(places, progress.steps, 1);
      Atomics.store(places, progress.job, job);
    },
    wall: () => Date.now(),
    mono: () => performance.now(),
    random: Math.random,
  });
  port.on("message", (first: ToRunner) => {
    runner.receive(first);
    do {
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
        runner.receive(next.message as ToRunner);
      }
    } while (runner.slice());
  });
  tell({ type: "ready" });
}
