// Deliveries in wire form: the producer's bytes as they came, the broker's fields around them.
import type { LoadedDelivery } from "../../broker/contract.ts";
import type { WireWriter } from "./wire-writer.ts";

/** All that the broker adds to a body, for estimates: id, metadata, timestamps, token, lengths. */
const addedBytes = 160;

/** How many bytes a delivery takes, roughly and rather too many. */
export function deliveryBytes(delivery: LoadedDelivery): number {
  let keys = 0;
  for (const key of delivery.throttleKeys) keys += key.length + 3;
  return delivery.body.length + delivery.fairnessKey.length + delivery.queue.length + keys + addedBytes;
}

/** The same for many. */
export function deliveriesBytes(deliveries: readonly LoadedDelivery[]): number {
  let bytes = 0;
  for (const delivery of deliveries) bytes += deliveryBytes(delivery);
  return bytes;
}

/** A field of type Message. */
export function writeMessage(out: WireWriter, field: number, delivery: LoadedDelivery): void {
  out.begin(field, deliveryBytes(delivery) - 32);
  out.stringField(1, delivery.id);
  out.raw(delivery.body);
  writeMetadata(out, delivery);
  out.begin(5, 30);
  writeTimestamp(out, 1, delivery.enqueuedAt);
  writeTimestamp(out, 2, delivery.leasedAt);
  out.finish();
  out.finish();
}

/** A field of type LeasedMessage. */
export function writeLeasedMessage(out: WireWriter, field: number, delivery: LoadedDelivery): void {
  out.begin(field, deliveryBytes(delivery));
  writeMessage(out, 1, delivery);
  out.tokenField(2, delivery.token.high, delivery.token.low);
  writeTimestamp(out, 3, delivery.leaseExpiresAt);
  out.finish();
}

function writeMetadata(out: WireWriter, delivery: LoadedDelivery): void {
  out.begin(4, delivery.fairnessKey.length + delivery.queue.length + 12);
  out.stringField(1, delivery.fairnessKey);
  out.uint32Field(2, delivery.weight);
  for (const key of delivery.throttleKeys) out.stringField(3, key, true);
  out.uint32Field(4, delivery.attempts);
  out.stringField(5, delivery.queue);
  out.finish();
}

/** A google.protobuf.Timestamp of a time in milliseconds. */
export function writeTimestamp(out: WireWriter, field: number, timeMs: number): void {
  const seconds = Math.floor(timeMs / 1000);
  out.begin(field, 12);
  out.uint64Field(1, seconds);
  out.uint32Field(2, Math.floor((timeMs - seconds * 1000) * 1e6));
  out.finish();
}
