// A broker in this process, with a store in memory and the thread of its scripts: what is measured is neither disk nor network.
import { openBroker } from "../../../server/src/broker/open-broker.ts";
import type { Broker } from "../../../server/src/broker/contract.ts";
import { openHooks } from "../../../server/src/hooks/open-hooks.ts";
import { messageTo } from "../../../server/src/hooks/testing/hook-rig.ts";
import { MemoryDisk, openMemoryStorage } from "../../../server/src/storage/memory/memory-storage.ts";
import { silentLog } from "../../../server/src/telemetry/log.ts";

export function openBrokerInMemory(): Promise<Broker> {
  const disk = new MemoryDisk();
  return openBroker({
    open: async () => openMemoryStorage({ disk }),
    hooks: openHooks({ thread: "worker" }),
    log: silentLog,
    fatal: (error) => {
      throw error;
    },
  });
}

/** One message, answered. */
export function enqueueTo(broker: Broker, queue: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
  return new Promise((resolve) => broker.enqueue([messageTo(queue, headers)], resolve));
}
