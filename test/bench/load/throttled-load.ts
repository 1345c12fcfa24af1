// Messages of two tenants with a limit of their own and one for both, taken by a worker of a real broker for some seconds:
// how much of each limit's promise was used at most, over all stretches of time between two leases.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { FilaService, SettlementAction } from "@fila/sdk/gen";
import { doTask } from "../program-task.ts";
import { RequestQueue } from "./request-queue.ts";
import { connectTransport } from "./transports.ts";

export interface Limit {
  readonly key: string;
  readonly rate: number;
  readonly burst: number;
}

export interface ThrottledTask {
  readonly url: string;
  readonly queue: string;
  readonly limits: readonly Limit[];
  /** Enqueued before. */
  readonly messages: number;
  readonly seconds: number;
}

export interface ThrottledUse {
  readonly key: string;
  readonly leased: number;
  /** The largest of: leased in a stretch / (rate x stretch + burst). */
  readonly worst: number;
  /** Leased in all / (rate x time). */
  readonly used: number;
}

/** `leased_at` has whole milliseconds: a stretch may be one longer than it looks. */
const clockMs = 1;

function useOf({ key, rate, burst }: Limit, times: readonly number[]): ThrottledUse {
  let worst = 0;
  for (let from = 0; from < times.length; from += 1) {
    for (let to = from; to < times.length; to += 1) {
      const most = ((times[to]! - times[from]! + clockMs) * rate) / 1_000 + burst;
      worst = Math.max(worst, (to - from + 1) / most);
    }
  }
  const seconds = (times.at(-1)! - times[0]!) / 1_000;
  return { key, leased: times.length, worst, used: times.length / (rate * seconds + burst) };
}

await doTask(async ({ url, queue, limits, messages, seconds }: ThrottledTask): Promise<readonly ThrottledUse[]> => {
  const client = createClient(FilaService, connectTransport(url));
  const requests = new RequestQueue<object>();
  const leasedAt = new Map<string, number[]>(limits.map(({ key }) => [key, []]));
  const keys = [...leasedAt.keys()];
  for (let at = 0; at < messages; at += 1) {
    // The first limit is that of all.
    const [all, ...tenants] = keys;
    const tenant = tenants[at % tenants.length]!;
    await client.enqueue({ queue, fairnessKey: tenant, throttleKeys: [all!, tenant], payload: Buffer.alloc(100) });
  }
  requests.push({ subscribe: { queue }, credit: 1_000 });
  const until = performance.now() + seconds * 1_000;
  let frame = 0n;
  for await (const { messages: leased } of client.streamLease(requests)) {
    const settlements = [];
    for (const { message, leaseToken } of leased) {
      for (const key of message?.metadata?.throttleKeys ?? []) {
        leasedAt.get(key)?.push(timestampMs(message!.timestamps!.leasedAt!));
      }
      settlements.push({ messageId: message!.id, leaseToken, action: SettlementAction.ACK });
    }
    if (performance.now() > until) break;
    if (settlements.length > 0) requests.push({ settlementFrame: ++frame, settlements, credit: settlements.length });
  }
  return limits.map((limit) => useOf(limit, leasedAt.get(limit.key)!));
});
