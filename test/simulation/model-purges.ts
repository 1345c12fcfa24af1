// Purges: everything that waits in a queue goes, slice by slice, and nothing that was enqueued after one began.
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import type { ModelQueue } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

export interface ModelPurge {
  readonly queue: ModelQueue;
  readonly request: number;
  /** Its next sequence when the purge began. */
  readonly before: number;
  /** The model's count at that time. */
  readonly began: number;
  removed: number;
}

/** Reads the slice with which the turn begins. */
export function checkPurges(model: Model, reader: TurnReader): void {
  const [purge] = model.purges;
  if (purge === undefined) return;
  const { queue, request } = purge;
  while (reader.peekNamed()?.type === "purged") checkRun(model, reader, purge);
  if (queue.dead) {
    expect(reader.effect("failed").request === request, () => "a purge of a deleted queue is not answered");
    model.purges.shift();
    return;
  }
  if (reader.nextEffectType !== "purged") return;
  const { messages, request: answered } = reader.effect("purged");
  expect(messages === purge.removed && answered === request, () => `${messages} purged, ${purge.removed} are gone`);
  for (const message of queue.messages) {
    const waited = message.entered <= purge.began && message.lease === undefined;
    expect(!waited, () => `${message.name} has outlived a purge`);
  }
  model.coverage.purges += 1;
  model.purges.shift();
}

/** Reads messages that went together. */
function checkRun(model: Model, reader: TurnReader, purge: ModelPurge): void {
  const { queue } = purge;
  const { queueNumber, sequence: first, last } = reader.mutation("purged");
  for (let sequence = first; sequence <= last; sequence += 1) {
    const message = model.find(queueNumber, sequence);
    expect(message?.queue === queue, () => `${sequence} is purged, but not of queue ${queue.name}`);
    expect(message.lease === undefined, () => `${message.name} is purged, but leased`);
    const later = message.origin === queue.number && message.sequence >= purge.before;
    expect(!later, () => `${message.name} is purged, but came after the purge began`);
    model.leaveLists(message);
    model.forget(message);
    model.ended.push(message.id);
    if (model.leaveKey(message)) {
      expect(sequence === last, () => `the weight of ${message.name} went, and others were purged before it was noted`);
      reader.mutation("forgotten");
    }
    purge.removed += 1;
    model.coverage.purged += 1;
    if (sequence > first) model.coverage.purgedTogether += 1;
  }
}
