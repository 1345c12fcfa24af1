import type { Broker, Outcome, QueuePage } from "../../broker/contract.ts";
import type { QueueSummary } from "../../core/effects.ts";
import type { Caller } from "./caller.ts";

/**
 * A page of the queues that the caller has a permission on, by name. `total` counts those alone: how many others there
 * are is not its business. That takes a look at every queue, page by page.
 */
export async function visibleQueues(
  broker: Broker,
  caller: Caller,
  after: string,
  limit: number,
): Promise<Outcome<QueuePage>> {
  if (caller.unrestricted) return broker.listQueues(after, limit);
  const queues: QueueSummary[] = [];
  let total = 0;
  let behind = 0;
  for (let cursor: string | undefined = ""; cursor !== undefined;) {
    const page: Outcome<QueuePage> = await broker.listQueues(cursor, limit);
    if (!page.ok) return page;
    for (const queue of page.value.queues) {
      if (!caller.sees(queue.name)) continue;
      total += 1;
      if (queue.name <= after) continue;
      behind += 1;
      if (behind <= limit) queues.push(queue);
    }
    cursor = page.value.more ? page.value.queues.at(-1)?.name : undefined;
  }
  return { ok: true, value: { queues, total, more: behind > limit } };
}
