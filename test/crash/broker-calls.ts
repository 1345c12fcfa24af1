// The broker's calls as promises, for programs that drive it in process.
import type { Broker } from "../../server/src/broker/contract.ts";
import type { LoadedDelivery } from "../../server/src/broker/contract.ts";
import { Listener } from "../../server/src/broker/testing/listener.ts";
import type { EnqueueItem, SettleItem } from "../../server/src/core/commands.ts";
import type { EnqueueOutcome, SettleOutcome } from "../../server/src/core/effects.ts";
import type { Failure } from "../../server/src/core/errors.ts";

/** All calls come over one connection, from nobody in particular. */
export const who = { connection: 1, principal: "" } as const;

/** Rejects when the call as a whole failed. */
export function enqueue(broker: Broker, items: readonly EnqueueItem[]): Promise<readonly EnqueueOutcome[]> {
  return new Promise((resolve, reject) => {
    broker.enqueue(items, (outcomes) => ("reason" in outcomes ? reject(failed(outcomes)) : resolve(outcomes)));
  });
}

/** Rejects when the call as a whole failed. */
export function settle(broker: Broker, queue: string, items: readonly SettleItem[]): Promise<readonly SettleOutcome[]> {
  return new Promise((resolve, reject) => {
    broker.settle(queue, items, who, (outcomes) =>
      "reason" in outcomes ? reject(failed(outcomes)) : resolve(outcomes),
    );
  });
}

/** A long poll that does not wait: what can be leased now, up to `credit` messages. Their leases stand. */
export async function poll(broker: Broker, queue: string, credit: number, visibilityMs = 0): Promise<LoadedDelivery[]> {
  const listener = new Listener();
  const options = { queue, kind: "poll", ...who, worker: "", session: "", visibilityMs, credit } as const;
  const consumer = broker.openConsumer(options, listener);
  await listener.until((told) => told.deliveries.length > 0 || told.isIdle || told.failure !== undefined);
  if (listener.failure !== undefined) throw failed(listener.failure);
  const { deliveries } = listener;
  consumer.close(deliveries.at(-1)?.ordinal ?? 0);
  return deliveries;
}

export function failed({ reason, message }: Failure): Error {
  return new Error(`${reason}: ${message}`);
}
