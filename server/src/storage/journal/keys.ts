// Every key of the store, built and parsed here. The first byte is the record type, numbers are big-endian, and queue
// data goes on with the queue's number. The order of the types is the order of recovery, which reads all but payloads.
//
//   01 queue       | queue 4                    catalog: name, settings
//   02 numbers                                  catalog: the next queue number, the commit sequence of the system shard
//   03 override    | queue 4 | fairness key     what an operator has set on a key
//   04 config      | key                        run-time configuration: the value of a key
//   05 change      | revision 8                 its last changes
//   10 checkpoint  | shard 2                    where the journal begins
//   11 sequence    | queue 4                    the next sequence of a queue
//   12 weight      | queue 4 | fairness key     the weight of a key
//   13 released    | queue 4 | hash 16          an idempotency key that was set free
//   14 idempotency | queue 4 | commit 8         the idempotency keys that a commit used
//   20 page        | queue 4 | page 8           scheduling facts of messages
//   30 journal     | shard 2 | commit 8         the events of one commit
//   40 payload     | queue 4 | record 8         bytes of messages
//   41 failure     | queue 4 | sequence 8       what a dead-lettered message failed of

import type { KeyHash } from "../../core/idempotency.ts";

export const RecordType = {
  queue: 0x01,
  numbers: 0x02,
  override: 0x03,
  config: 0x04,
  configChange: 0x05,
  checkpoint: 0x10,
  sequence: 0x11,
  weight: 0x12,
  released: 0x13,
  idempotency: 0x14,
  page: 0x20,
  journal: 0x30,
  payload: 0x40,
  failure: 0x41,
} as const;

/** All that recovery reads. */
export const recoveryRange = { gte: Uint8Array.of(RecordType.queue), lt: Uint8Array.of(RecordType.payload) };

export const systemShard = 0;
export const dataShard = 1;

export function queueKey(queueNumber: number): Buffer {
  return numbered(RecordType.queue, queueNumber, 5);
}

export function numbersKey(): Buffer {
  return Buffer.of(RecordType.numbers);
}

export function overrideKey(queueNumber: number, fairnessKey: string): Buffer {
  return named(RecordType.override, queueNumber, fairnessKey);
}

export function configKey(key: string): Buffer {
  return Buffer.concat([Buffer.of(RecordType.config), Buffer.from(key)]);
}

export function configKeyIn(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + 1, key.byteLength - 1).toString("utf8");
}

export function configChangeKey(revision: number): Buffer {
  const key = Buffer.allocUnsafeSlow(9);
  key[0] = RecordType.configChange;
  key.writeBigUInt64BE(BigInt(revision), 1);
  return key;
}

export function revisionIn(key: Uint8Array): number {
  return Number(view(key).getBigUint64(1));
}

export function releasedKey(queueNumber: number, { a, b, c, d }: KeyHash): Buffer {
  const key = numbered(RecordType.released, queueNumber, 21);
  for (const [at, word] of [a, b, c, d].entries()) key.writeUInt32BE(word, 5 + at * 4);
  return key;
}

export function hashIn(key: Uint8Array): KeyHash {
  const bytes = view(key);
  return { a: bytes.getUint32(5), b: bytes.getUint32(9), c: bytes.getUint32(13), d: bytes.getUint32(17) };
}

export function idempotencyKey(queueNumber: number, commit: number): Buffer {
  const key = numbered(RecordType.idempotency, queueNumber, 13);
  key.writeBigUInt64BE(BigInt(commit), 5);
  return key;
}

export function checkpointKey(shard: number): Buffer {
  return Buffer.of(RecordType.checkpoint, shard >>> 8, shard & 0xff);
}

export function sequenceKey(queueNumber: number): Buffer {
  return numbered(RecordType.sequence, queueNumber, 5);
}

export function weightKey(queueNumber: number, fairnessKey: string): Buffer {
  return named(RecordType.weight, queueNumber, fairnessKey);
}

function named(type: number, queueNumber: number, fairnessKey: string): Buffer {
  const name = Buffer.from(fairnessKey);
  const key = numbered(type, queueNumber, 5 + name.byteLength);
  name.copy(key, 5);
  return key;
}

export function pageKey(queueNumber: number, page: number): Buffer {
  const key = numbered(RecordType.page, queueNumber, 13);
  key.writeBigUInt64BE(BigInt(page), 5);
  return key;
}

export function journalKey(shard: number, commit: number): Buffer {
  const key = Buffer.allocUnsafeSlow(11);
  key[0] = RecordType.journal;
  key.writeUInt16BE(shard, 1);
  key.writeBigUInt64BE(BigInt(commit), 3);
  return key;
}

export function payloadKey(queueNumber: number, record: number): Buffer {
  const key = numbered(RecordType.payload, queueNumber, 13);
  key.writeBigUInt64BE(BigInt(record), 5);
  return key;
}

/** Under the name of the message: the queue that it was enqueued to, and its sequence there. */
export function failureKey(queueNumber: number, sequence: number): Buffer {
  const key = numbered(RecordType.failure, queueNumber, 13);
  key.writeBigUInt64BE(BigInt(sequence), 5);
  return key;
}

function numbered(type: number, queueNumber: number, length: number): Buffer {
  const key = Buffer.allocUnsafeSlow(length);
  key[0] = type;
  key.writeUInt32BE(queueNumber, 1);
  return key;
}

/** The queue number of any key that has one. */
export function queueNumberIn(key: Uint8Array): number {
  return view(key).getUint32(1);
}

/** The page number, or the number of a payload record. */
export function numberIn(key: Uint8Array): number {
  return Number(view(key).getBigUint64(5));
}

export function commitIn(key: Uint8Array): number {
  return Number(view(key).getBigUint64(3));
}

export function fairnessKeyIn(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + 5, key.byteLength - 5).toString("utf8");
}

function view(key: Uint8Array): DataView {
  return new DataView(key.buffer, key.byteOffset, key.byteLength);
}
