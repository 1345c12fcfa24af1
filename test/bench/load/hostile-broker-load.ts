// A whole broker in this process, with the thread of its scripts: every hostile script has a queue, and the delay of the event
// loop is measured. And scripts without any budget, which only the watchdog ends.
import { monitorEventLoopDelay } from "node:perf_hooks";
import {
  type HostileScript,
  hostileScripts,
  sourceOf,
} from "../../../server/src/hooks/engine/testing/hostile-scripts.ts";
import { HookRig, keyOrReason, messageTo } from "../../../server/src/hooks/testing/hook-rig.ts";
import { failure } from "../../../server/src/core/errors.ts";
import { doTask } from "../program-task.ts";
import { enqueueTo, openBrokerInMemory } from "./broker-in-memory.ts";

export interface HostileBrokerTask {
  readonly rounds: number;
  /** Every so manieth script is called without budgets. */
  readonly unbudgeted: number;
}

export interface WatchdogResult {
  readonly scripts: number;
  /** From the enqueue to the outcome. */
  readonly longestMs: number;
  readonly slowest: string;
  /** Threads that were ended, or died. */
  readonly lost: number;
  /** Answers of a good script in between that were not right. */
  readonly wrong: number;
  /** Resident memory. */
  readonly grownMb: number;
}

export interface HostileBrokerResult {
  readonly scripts: number;
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  readonly watchdog: WatchdogResult;
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

/** Every hostile script without any budget: how long each message waits for its outcome, whoever ends the script. */
async function withoutBudgets(scripts: readonly HostileScript[]): Promise<WatchdogResult> {
  const rig = new HookRig({ thread: "worker", program: unbounded });
  const good = "function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end";
  rig.queue("good", { onEnqueueScript: good });
  const headers = { tenant: "acme" };
  const isGood = async (): Promise<boolean> => {
    const [verdict] = await rig.enqueue("good", messageTo("good", headers));
    return verdict !== undefined && keyOrReason(verdict) === "acme";
  };
  await isGood();
  const ms: number[] = [];
  let slowest = "";
  let wrong = 0;
  const rss = process.memoryUsage.rss();
  for (const [at, hostile] of scripts.entries()) {
    const queue = `h${at}`;
    rig.queue(queue, { onEnqueueScript: sourceOf(hostile) });
    const from = performance.now();
    await rig.enqueue(queue, messageTo(queue, headers));
    const took = performance.now() - from;
    if (took > Math.max(0, ...ms)) slowest = hostile.name;
    ms.push(took);
    if (!(await isGood())) wrong += 1;
  }
  const lost = rig.warnings.filter((warning) => warning.includes("was lost")).length;
  const grown = process.memoryUsage.rss() - rss;
  await rig.hooks.stop(failure("DRAINING", "over"));
  return { scripts: ms.length, longestMs: Math.max(...ms), slowest, lost, wrong, grownMb: grown / 1e6 };
}

await doTask(async ({ rounds, unbudgeted }: HostileBrokerTask): Promise<HostileBrokerResult> => {
  const { scripts, p99, max } = await loopDelay(rounds);
  const chosen = hostileScripts.filter((_, at) => at % unbudgeted === 0);
  return { scripts, loopP99Ms: p99, loopMaxMs: max, watchdog: await withoutBudgets(chosen) };
});
