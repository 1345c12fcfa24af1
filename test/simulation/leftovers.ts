// What is gone leaves nothing behind on the disk, once checkpoints have passed over it.
import { RecordType } from "../../server/src/storage/journal/keys.ts";
import type { SimulatedDisk } from "./disk.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";

/** Commits that come after the target of the last checkpoint: its own slices. */
const mostJournalRecords = 60;

export function checkLeftovers(model: Model, disk: SimulatedDisk): void {
  const counts = new Map<number, number>();
  disk.scan({ gte: Uint8Array.of(0), lt: Uint8Array.of(0xff) }, (key) => {
    const type = key[0] as number;
    counts.set(type, (counts.get(type) ?? 0) + 1);
  });
  const count = (type: number): number => counts.get(type) ?? 0;
  let weights = 0;
  let overrides = 0;
  let uses = 0;
  for (const queue of model.queuesByNumber.values()) {
    overrides += queue.overrides.size;
    uses += queue.uses.size;
    for (const key of queue.keys.values()) if (key.weighed) weights += 1;
  }
  const queues = model.queuesByNumber.size;
  const messages = model.depth;
  const most = [
    ["queues", count(RecordType.queue), queues],
    ["next sequences", count(RecordType.sequence), queues],
    ["overrides", count(RecordType.override), overrides],
    ["records of idempotency keys", count(RecordType.idempotency), uses],
    ["marks of released idempotency keys", count(RecordType.released), uses],
    ["configured values", count(RecordType.config), model.config.values.size],
    ["changes of the configuration", count(RecordType.configChange), model.config.revision],
    ["weights", count(RecordType.weight), weights],
    ["pages", count(RecordType.page), messages],
    ["payload records", count(RecordType.payload), messages],
    ["journal records", count(RecordType.journal), mostJournalRecords],
  ] as const;
  for (const [what, there, allowed] of most) {
    expect(there <= allowed, () => `${there} ${what} are on the disk, ${allowed} would do`);
  }
}
