// Every dead letter has the record of its failure in the store, and nothing else has one.
import { readFailureRecord } from "../../server/src/storage/journal/failure-record.ts";
import { RecordType, numberIn, queueNumberIn } from "../../server/src/storage/journal/keys.ts";
import type { SimulatedDisk } from "./disk.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import { nameOf } from "./model-state.ts";

/** @param settled the dead letters of deleted queues are gone, too */
export function checkFailures(model: Model, disk: SimulatedDisk, settled: boolean): void {
  let found = 0;
  disk.scan({ gte: Uint8Array.of(RecordType.failure), lt: Uint8Array.of(RecordType.failure + 1) }, (key, value) => {
    const [origin, sequence] = [queueNumberIn(key), numberIn(key)];
    const expected = model.find(origin, sequence)?.failure;
    if (expected === undefined) {
      const dying = !settled && model.dyingFailures.has(nameOf(origin, sequence));
      expect(dying, () => `the record of a failure of message ${origin}:${sequence} is left over`);
      return;
    }
    found += 1;
    const failure = readFailureRecord(key, value);
    const same =
      failure?.reason === expected.reason &&
      failure.error === expected.error &&
      failure.sourceQueue === expected.sourceQueue &&
      failure.firstFailedAt === expected.firstFailedAt &&
      failure.lastFailedAt === expected.lastFailedAt;
    expect(same, () => `the record of message ${origin}:${sequence} says ${JSON.stringify(failure)}`);
  });
  let deadLetters = 0;
  for (const { failure } of model.messages.values()) if (failure !== undefined) deadLetters += 1;
  expect(found === deadLetters, () => `${found} of ${deadLetters} dead letters have the record of their failure`);
}
