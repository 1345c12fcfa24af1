// One queue with a cheap script, asked every 2 ms; and, if wanted, another one whose script uses nearly all of its budget on each
// call, with as many messages as it takes.
import { quantile } from "../pairs.ts";
import { doTask } from "../program-task.ts";
import { enqueueTo, openBrokerInMemory } from "./broker-in-memory.ts";

export interface SlowNeighbourTask {
  readonly slow: boolean;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface SlowNeighbourResult {
  readonly p99Ms: number;
  readonly slowPerSecond: number;
}

/** Some 95 of the 100 thousand steps that a call has. */
const slowScript = `function on_enqueue(msg)
  local sum = 0
  for i = 1, 18500 do sum = (sum + i * 7) % 1000003 end
  return { weight = sum % 10 + 1 }
end`;
const fastScript = "function on_enqueue(msg) return { fairness_key = msg.headers.tenant } end";

const everyMs = 2;
/** Calls under way at the slow queue. */
const slowCalls = 64;

await doTask(async ({ slow, warmUpSeconds, seconds }: SlowNeighbourTask): Promise<SlowNeighbourResult> => {
  const broker = await openBrokerInMemory();
  await broker.createQueue("fast", { onEnqueueScript: fastScript });
  await broker.createQueue("slow", { onEnqueueScript: slowScript });
  const begin = performance.now() + warmUpSeconds * 1_000;
  const end = begin + seconds * 1_000;
  let slowDone = 0;
  const flooding = Array.from({ length: slow ? slowCalls : 0 }, async () => {
    while (performance.now() < end) {
      await enqueueTo(broker, "slow", {});
      if (performance.now() >= begin) slowDone += 1;
    }
  });
  const latencies: number[] = [];
  const waiting: Promise<unknown>[] = [];
  while (performance.now() < end) {
    const from = performance.now();
    const called = enqueueTo(broker, "fast", { tenant: "a" });
    waiting.push(called.then(() => from >= begin && latencies.push(performance.now() - from)));
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  await Promise.all([...waiting, ...flooding]);
  const described = await broker.operations.describeQueue("slow", 0);
  if (!described.ok || described.value.onEnqueue?.failures !== 0) throw new Error("the slow script is too slow");
  await broker.stop(0);
  return { p99Ms: quantile(latencies, 0.99), slowPerSecond: slowDone / seconds };
});
