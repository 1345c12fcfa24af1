// A whole broker in this process, with the thread of its scripts: every hostile script has a queue, and the delay of the event
// loop is measured. And scripts without any budget, which only the watchdog ends.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { hostileScripts, sourceOf } from "../../../server/src/hooks/engine/testing/hostile-scripts.ts";
import { HookRig, messageTo } from "../../../server/src/hooks/testing/hook-rig.ts";
import { failure } from "../../../server/src/core/errors.ts";
import { passing } from "../process-cost.ts";
import { doTask } from "../program-task.ts";
import { enqueueTo, openBrokerInMemory } from "./broker-in-memory.ts";

export interface HostileBrokerTask {
  readonly rounds: number;
}

export interface HostileBrokerResult {
  readonly scripts: number;
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  /** From the enqueue to the outcome. */
  readonly watchdogMs: readonly number[];
}

const unbounded = new URL("../../../server/src/hooks/testing/unbounded-thread.ts", import.meta.url);

async function loopDelay(
  rounds: number,
): Promise<{ readonly scripts: number; readonly p99: number; readonly max: number }> {
  const broker = await openBrokerInMemory();
  const queues: string[] = [];
  for (const hostile of hostileScripts) {
    const name = `h${queues.length}`;
    const made = await broker.createQueue(name, { onEnqueueScript: sourceOf(hostile) });
    // What fails already when its chunk is run cannot be set.
    if (made.ok) queues.push(name);
  }
  const enqueue = (queue: string): Promise<unknown> => enqueueTo(broker, queue, { tenant: "acme" });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let round = 0; round < rounds; round += 1) {
    // One after the other for the breakers, and all at once for the load.
    for (let message = 0; message < 2; message += 1) await Promise.all(queues.map(enqueue));
  }
  delay.disable();
  await broker.stop(0);
  const ms = (nanoseconds: number): number => nanoseconds / 1e6 - 1;
  return { scripts: queues.length, p99: ms(delay.percentile(99)), max: ms(delay.max) };
}

async function watchdog(): Promise<number> {
  const rig = new HookRig({ thread: "worker", program: unbounded });
  rig.queue("q", {
    onEnqueueScript: "function on_enqueue(msg) if msg.headers.loop then while true do end end return {} end",
  });
  // The thread and its spare are up.
  await rig.enqueue("q", messageTo("q"));
  await passing(0.5);
  const from = performance.now();
  await rig.enqueue("q", messageTo("q", { loop: "1" }));
  const took = performance.now() - from;
  await rig.hooks.stop(failure("DRAINING", "over"));
  return took;
}

await doTask(async ({ rounds }: HostileBrokerTask): Promise<HostileBrokerResult> => {
  const { scripts, p99, max } = await loopDelay(rounds);
  const watchdogMs: number[] = [];
  for (let at = 0; at < 3; at += 1) watchdogMs.push(await watchdog());
  return { scripts, loopP99Ms: p99, loopMaxMs: max, watchdogMs };
});
