// The journal: turns the mutations of one turn into the operations of one commit, and keeps the ledger that checkpoints
// need. One commit is one journal record with the events, and beside it the bytes of new messages in payload records.
import type {
  EnqueuedMutation,
  LeasedMutation,
  MovedMutation,
  Mutation,
  PurgedMutation,
} from "../../core/mutations.ts";
import { type Op, StorageError } from "../port.ts";
import { EventWriter } from "./events.ts";
import { envelopeBytes, seal } from "./envelope.ts";
import { writeFailureRecord } from "./failure-record.ts";
import { IdempotencyStore } from "./idempotency-store.ts";
import { dataShard, failureKey, journalKey, payloadKey, sequenceKey, weightKey } from "./keys.ts";
import { Ledger, PayloadRecord, extendRuns, weightName } from "./ledger.ts";
import { buildPayloadRecord, payloadOverhead, payloadRecordBytes } from "./payload-record.ts";

/** Records and pages of one commit, so that their numbers follow from the commit's. */
export const numbersPerCommit = 16_384;

/** The core's table, as far as the journal writes to it. */
export interface PlaceWriter {
  setBytes(slot: number, record: number, offset: number): void;
}

/** Learns which payload records come and go, for the cache. */
export interface PayloadObserver {
  written(record: PayloadRecord, value: Uint8Array): void;
  gone(record: PayloadRecord): void;
}

/** Most commits make none, and each is remembered. */
const noRecords: readonly PayloadRecord[] = [];

interface OpenRecord {
  readonly id: number;
  readonly messages: EnqueuedMutation[];
  readonly parts: { readonly sequence: number; readonly body: Uint8Array }[];
  readonly runs: number[];
  bytes: number;
}

export class Journal {
  readonly ledger: Ledger;
  readonly idempotency: IdempotencyStore;
  readonly #table: PlaceWriter;
  readonly #observer: PayloadObserver;
  readonly #events = new EventWriter();
  /** By queue, of the commit under way. */
  #open = new Map<number, OpenRecord>();
  #commit: number;
  #numbers = 0;
  readonly #madeNow: PayloadRecord[] = [];

  /** @param lastCommit the last commit that is in the store */
  constructor(
    table: PlaceWriter,
    observer: PayloadObserver,
    lastCommit: number,
    ledger = new Ledger(),
    idempotency = new IdempotencyStore(),
  ) {
    this.#table = table;
    this.#observer = observer;
    this.#commit = lastCommit;
    this.ledger = ledger;
    this.idempotency = idempotency;
  }

  /** The last commit that was encoded. */
  get commit(): number {
    return this.#commit;
  }

  /** Operations of the next commit. Afterwards the table knows where the bytes of new messages are. */
  encode(mutations: readonly Mutation[], wall: number): Op[] {
    this.#commit += 1;
    this.#numbers = 0;
    this.#madeNow.length = 0;
    const ops: Op[] = [];
    this.#events.begin(wall);
    for (const mutation of mutations) this.#write(mutation, ops);
    for (const [queueNumber, open] of this.#open) this.#close(queueNumber, open, ops);
    // A new one: see Numbering.clear.
    if (this.#open.size > 0) this.#open = new Map();
    this.idempotency.close(this.#commit, ops);
    const key = journalKey(dataShard, this.#commit);
    const value = seal(key, this.#events.take(envelopeBytes));
    ops.push({ put: key, value });
    this.forgetDeadRecords(ops);
    this.ledger.journalBytes += value.byteLength;
    // A copy has no room for more, of which an array that grew has much.
    const records = this.#madeNow.length === 0 ? noRecords : this.#madeNow.slice();
    this.ledger.entries.push({ commit: this.#commit, bytes: value.byteLength, records });
    return ops;
  }

  /** A number for a record or page of the current commit, unique for ever. */
  nextNumber(): number {
    if (this.#numbers >= numbersPerCommit) throw new StorageError("too_large", "a commit makes too many records");
    this.#numbers += 1;
    return this.#commit * numbersPerCommit + this.#numbers - 1;
  }

  /** Adds the payload record of these messages to the commit under way. */
  addPayload(
    queueNumber: number,
    id: number,
    parts: readonly { readonly sequence: number; readonly body: Uint8Array }[],
    runs: readonly number[],
    placed: (index: number, record: PayloadRecord, offset: number) => void,
    ops: Op[],
  ): PayloadRecord {
    let bytes = 0;
    for (const part of parts) bytes += part.body.byteLength;
    const record = this.ledger.records.add((handle) => new PayloadRecord(handle, queueNumber, id, bytes, runs.slice()));
    record.aliveBytes = bytes;
    record.aliveMessages = parts.length;
    const key = payloadKey(queueNumber, id);
    const value = buildPayloadRecord(key, queueNumber, parts, (index, offset) => placed(index, record, offset));
    ops.push({ put: key, value });
    this.#observer.written(record, value);
    return record;
  }

  /** Deletes the payload records that no living message needs any more. */
  forgetDeadRecords(ops: Op[]): void {
    for (const record of this.ledger.deadRecords) {
      ops.push({ del: payloadKey(record.queueNumber, record.id) });
      this.#observer.gone(record);
      // Only now may the handle be given again.
      this.ledger.records.remove(record.handle);
    }
    this.ledger.deadRecords.length = 0;
    for (const key of this.ledger.deadKeys) ops.push({ del: key });
    this.ledger.deadKeys.length = 0;
  }

  #write(mutation: Mutation, ops: Op[]): void {
    const { ledger } = this;
    switch (mutation.type) {
      case "enqueued":
        this.#enqueued(mutation, ops);
        return;
      case "leased":
        this.#leased(mutation);
        return;
      case "returned":
        this.#events.returned(mutation.queueNumber, mutation.sequence, mutation.counted, mutation);
        ledger.pageChanged(mutation.page, this.#commit, 0);
        return;
      case "deciding":
        this.#events.deciding(mutation.queueNumber, mutation.sequence, mutation.end);
        ledger.pageChanged(mutation.page, this.#commit, 0);
        return;
      case "decided":
        this.#events.decided(mutation.queueNumber, mutation.sequence, mutation);
        ledger.pageChanged(mutation.page, this.#commit, 0);
        return;
      case "moved":
        this.#moved(mutation, ops);
        return;
      case "removed":
        this.#events.removed(mutation.queueNumber, mutation.sequence, mutation.by === "ack");
        ledger.pageChanged(mutation.page, this.#commit, 1);
        ledger.messagesLeft(mutation.record, 1, mutation.length);
        if (mutation.hasFailure) ops.push({ del: failureKey(mutation.queueNumber, mutation.sequence) });
        return;
      case "purged":
        this.#purged(mutation, ops);
        return;
      case "dropped":
        if (mutation.failure !== undefined) {
          ops.push({ del: failureKey(mutation.failure.queueNumber, mutation.failure.sequence) });
        }
        ledger.pageChanged(mutation.page, this.#commit, 1);
        ledger.messagesLeft(mutation.record, 1, mutation.length);
        return;
      case "quarantined":
        this.#events.quarantined(mutation.queueNumber, mutation.sequence);
        ledger.pageChanged(mutation.page, this.#commit, 0);
        return;
      case "weighed":
        this.#events.weighed(mutation.queueNumber, mutation.fairnessKey, mutation.weight);
        ledger.newWeights.set(weightName(mutation.queueNumber, mutation.fairnessKey), mutation);
        return;
      case "forgotten":
        this.#forgotten(mutation.queueNumber, mutation.fairnessKey, ops);
        return;
      case "queue-deleted":
        ledger.newSequences.delete(mutation.queueNumber);
        ops.push({ del: sequenceKey(mutation.queueNumber) });
        this.idempotency.queueDeleted(mutation.queueNumber);
        return;
      case "key-used":
        this.idempotency.used(mutation);
        return;
      case "key-released":
        this.idempotency.released(mutation);
        return;
      case "keys-forgotten":
        this.idempotency.forgotten(mutation.queueNumber, mutation.count);
        return;
      case "queue-created":
      case "queue-updated":
      case "key-set":
      case "config-set":
      // The catalog's own shard has it.
    }
  }

  #purged({ queueNumber, sequence, last, page, record, length, hasFailure }: PurgedMutation, ops: Op[]): void {
    for (let each = sequence; each <= last; each += 1) {
      this.#events.removed(queueNumber, each, false);
      if (hasFailure) ops.push({ del: failureKey(queueNumber, each) });
    }
    const messages = last - sequence + 1;
    this.ledger.pageChanged(page, this.#commit, messages);
    this.ledger.messagesLeft(record, messages, length);
  }

  #leased(mutation: LeasedMutation): void {
    this.#events.leased(mutation.queueNumber, mutation.sequence, mutation);
    this.ledger.pageChanged(mutation.page, this.#commit, 0);
  }

  #moved(mutation: MovedMutation, ops: Op[]): void {
    const { queueNumber, sequence, failure } = mutation;
    this.#events.moved(queueNumber, sequence, mutation);
    this.ledger.pageChanged(mutation.page, this.#commit, 0);
    const key = failureKey(queueNumber, sequence);
    ops.push(failure === undefined ? { del: key } : { put: key, value: writeFailureRecord(key, failure) });
  }

  #forgotten(queueNumber: number, fairnessKey: string, ops: Op[]): void {
    this.#events.forgotten(queueNumber, fairnessKey);
    this.ledger.newWeights.delete(weightName(queueNumber, fairnessKey));
    if (this.ledger.storedWeights.delete(weightName(queueNumber, fairnessKey))) {
      ops.push({ del: weightKey(queueNumber, fairnessKey) });
    }
  }

  #enqueued(mutation: EnqueuedMutation, ops: Op[]): void {
    const { queueNumber } = mutation.lane;
    const length = mutation.body.byteLength;
    let open = this.#open.get(queueNumber);
    if (open !== undefined && open.bytes + length > payloadRecordBytes) {
      this.#close(queueNumber, open, ops);
      open = undefined;
    }
    if (open === undefined) {
      open = { id: this.nextNumber(), messages: [], parts: [], runs: [], bytes: 0 };
      this.#open.set(queueNumber, open);
      this.#events.payloadRecord(queueNumber, open.id);
      this.ledger.newSequences.add(queueNumber);
    }
    open.messages.push(mutation);
    open.parts.push(mutation);
    open.bytes += length + payloadOverhead;
    extendRuns(open.runs, mutation.sequence);
    this.#events.enqueued(mutation.lane, mutation, length);
  }

  #close(queueNumber: number, open: OpenRecord, ops: Op[]): void {
    const record = this.addPayload(
      queueNumber,
      open.id,
      open.parts,
      open.runs,
      (index, made, offset) =>
        this.#table.setBytes((open.messages[index] as EnqueuedMutation).slot, made.handle, offset),
      ops,
    );
    this.#madeNow.push(record);
  }
}
