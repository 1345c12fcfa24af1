// Builds core and journal again from the store. Records come in the order of their keys: catalog, small facts, pages,
// journal; payload records are never read. A page holds everything up to its commit, so journal events up to then are
// skipped for its messages.
import type { Core } from "../../core/core.ts";
import type { LaneFacts } from "../../core/mutations.ts";
import type { Restorer } from "../../core/restore.ts";
import type { AttemptEnd } from "../../core/retry-policy.ts";
import type { Now } from "../../core/turn.ts";
import { StorageError } from "../port.ts";
import { ByteReader, MalformedRecordError } from "./bytes.ts";
import {
  Catalog,
  type CatalogNumbers,
  readCatalogEntry,
  readCatalogNumbers,
  readConfigChange,
  readConfigValue,
  readOverride,
} from "./catalog.ts";
import { envelopeBytes, isIntact } from "./envelope.ts";
import {
  type Due,
  type EnqueuedEvent,
  type JournalReader,
  type LeasedEvent,
  type MovedEvent,
  readEvents,
} from "./events.ts";
import { Journal, type PayloadObserver } from "./journal.ts";
import { IdempotencyStore, readReleased, readUses } from "./idempotency-store.ts";
import {
  RecordType,
  commitIn,
  configKeyIn,
  failureKey,
  fairnessKeyIn,
  numberIn,
  queueNumberIn,
  releasedKey,
  weightKey,
} from "./keys.ts";
import { type JournalEntry, Ledger, Page, PayloadRecord, extendRuns, weightName } from "./ledger.ts";
import {
  type MessageFacts,
  type PageReader,
  type RecordName,
  type StoredState,
  readPageCommit,
  readPageMessages,
} from "./page.ts";
import { payloadHeaderBytes, payloadOverhead } from "./payload-record.ts";

export interface Recovered {
  readonly journal: Journal;
  readonly catalog: Catalog;
  /** Records that could not be read and were left out, in words. */
  readonly damage: readonly string[];
}

interface WeightState {
  readonly queueNumber: number;
  readonly fairnessKey: string;
  readonly weight: number;
  readonly asOf: number;
}

export class Recovery implements JournalReader, PageReader {
  readonly #core: Core;
  readonly #restorer: Restorer;
  readonly #ledger = new Ledger();
  readonly #records = new Map<number, PayloadRecord>();
  readonly #weights = new Map<string, WeightState>();
  readonly #damage: string[] = [];
  #numbers: CatalogNumbers;
  readonly #idempotency = new IdempotencyStore();
  /** Commits of the release of idempotency keys, by the keys of their marks. */
  readonly #released = new Map<string, number>();
  readonly #overrides: (readonly [number, string])[] = [];
  #nextCommit = 1;
  /** While a page is read. */
  #page: Page | undefined;
  /** While a journal record is read. */
  #commit = 0;
  #made: PayloadRecord[] = [];
  readonly #filling = new Map<number, { readonly record: PayloadRecord; offset: number }>();

  /** @param core with the salt that a new store gets */
  constructor(core: Core, restorer: Restorer) {
    this.#core = core;
    this.#restorer = restorer;
    this.#numbers = { nextQueueNumber: 1, commit: 0, salt: core.state.salt };
  }

  /** Throws StorageError "corrupt" where going on would lose acknowledged messages. */
  add(key: Uint8Array, value: Uint8Array): void {
    const type = key[0];
    if (!isIntact(key, value)) {
      this.#broken(type, key);
      return;
    }
    try {
      this.#read(type, key, value);
    } catch (error) {
      if (!(error instanceof MalformedRecordError)) throw error;
      throw new StorageError(
        "corrupt",
        `record ${hexOf(key)} is not in the format of its version: ${error.message}`,
        error,
      );
    }
  }

  #read(type: number | undefined, key: Uint8Array, value: Uint8Array): void {
    if (type === RecordType.queue) {
      const { name, settings, deadLetters, madeFor } = readCatalogEntry(value);
      this.#restorer.queue(queueNumberIn(key), name, settings, deadLetters, madeFor);
    } else if (type === RecordType.numbers) {
      this.#numbers = readCatalogNumbers(value);
      this.#restorer.salt(this.#numbers.salt);
    } else if (type === RecordType.override) {
      const override = [queueNumberIn(key), fairnessKeyIn(key)] as const;
      this.#overrides.push(override);
      this.#restorer.override(...override, readOverride(value));
    } else if (type === RecordType.config)
      this.#core.state.config.restoreValue(configKeyIn(key), readConfigValue(value));
    else if (type === RecordType.configChange) this.#core.state.config.restoreChange(readConfigChange(key, value));
    else if (type === RecordType.released) this.#addReleased(key, value);
    else if (type === RecordType.idempotency) this.#addUses(key, value);
    else if (type === RecordType.checkpoint) this.#nextCommit = new ByteReader(value, envelopeBytes).varint();
    else if (type === RecordType.sequence) {
      this.#addSequence(key, new ByteReader(value, envelopeBytes).varint());
    } else if (type === RecordType.weight) this.#addWeight(key, value);
    else if (type === RecordType.page) this.#addPage(key, value);
    else if (type === RecordType.journal) this.#addJournal(commitIn(key), value);
  }

  /** @param now both clocks: leases start their full time anew from here */
  finish(now: Now, observer: PayloadObserver): Recovered {
    const { state } = this.#core;
    state.nextQueueNumber = Math.max(state.nextQueueNumber, this.#numbers.nextQueueNumber);
    this.#dropOfDeletedQueues();
    for (const [name, weight] of this.#weights) this.#applyWeight(name, weight);
    const dead = new Set(this.#ledger.deadRecords);
    for (const record of this.#ledger.records.all()) {
      if (record.aliveMessages === 0 && !dead.has(record)) this.#ledger.deadRecords.push(record);
    }
    this.#restorer.finish(now);
    const journal = new Journal(state.table, observer, this.#nextCommit - 1, this.#ledger, this.#idempotency);
    const catalog = new Catalog(this.#numbers);
    for (const override of this.#overrides) catalog.knowOverride(...override);
    return { journal, catalog, damage: this.#damage };
  }

  /** While the journal was read they stood in for what they were: one of their messages may have moved to another queue. */
  #dropOfDeletedQueues(): void {
    const { table } = this.#core.state;
    for (const slot of this.#restorer.ofDeletedQueues()) {
      this.#ledger.pageChanged(table.page(slot), this.#nextCommit - 1, 1);
      this.#ledger.messagesLeft(table.record(slot), 1, table.length(slot));
      // Whether it was a dead letter cannot be told any more: one that was enqueued to the very queue, redriven and
      // dead-lettered again looks as if it had never been anywhere else.
      this.#ledger.deadKeys.push(failureKey(table.queueNumber(slot), table.sequence(slot)));
      this.#restorer.removed(slot, false);
    }
  }

  #applyWeight(name: string, { queueNumber, fairnessKey, weight }: WeightState): void {
    if (this.#restorer.weight(queueNumber, fairnessKey, weight)) return;
    // Its queue went and took it along.
    this.#ledger.newWeights.delete(name);
    if (this.#ledger.storedWeights.delete(name)) this.#ledger.deadKeys.push(weightKey(queueNumber, fairnessKey));
  }

  #broken(type: number | undefined, key: Uint8Array): void {
    const what = `record ${hexOf(key)} cannot be read: its checksum does not match`;
    if (type === RecordType.page || type === RecordType.weight || type === RecordType.sequence) {
      this.#damage.push(what);
      return;
    }
    throw new StorageError(
      "corrupt",
      `${what}; acknowledged messages may be lost, so the broker does not start on it; restore the data directory from a backup`,
    );
  }

  #addReleased(key: Uint8Array, value: Uint8Array): void {
    const queueNumber = queueNumberIn(key);
    const released = readReleased(key, value);
    if (!this.#core.state.queuesByNumber.has(queueNumber)) {
      this.#ledger.deadKeys.push(key);
      return;
    }
    this.#idempotency.foundReleased(queueNumber, released.commit, released.key);
    this.#released.set(hexOf(key), released.commit);
  }

  #addUses(key: Uint8Array, value: Uint8Array): void {
    const queueNumber = queueNumberIn(key);
    const commit = numberIn(key);
    const uses = readUses(value);
    if (!this.#restorer.keysUsed(queueNumber, uses)) {
      this.#ledger.deadKeys.push(key);
      return;
    }
    this.#idempotency.foundSegment(queueNumber, commit, uses.length);
    for (const { key: used } of uses) {
      const releasedIn = this.#released.get(hexOf(releasedKey(queueNumber, used))) ?? 0;
      if (releasedIn >= commit) this.#restorer.keyReleased(queueNumber, used);
    }
  }

  #addSequence(key: Uint8Array, next: number): void {
    if (!this.#restorer.nextSequence(queueNumberIn(key), next)) this.#ledger.deadKeys.push(key);
  }

  #addWeight(key: Uint8Array, value: Uint8Array): void {
    const reader = new ByteReader(value, envelopeBytes);
    const asOf = reader.varint();
    const weight = reader.varint();
    const queueNumber = queueNumberIn(key);
    const fairnessKey = fairnessKeyIn(key);
    const name = weightName(queueNumber, fairnessKey);
    this.#weights.set(name, { queueNumber, fairnessKey, weight, asOf });
    this.#ledger.storedWeights.add(name);
  }

  #addPage(key: Uint8Array, value: Uint8Array): void {
    const reader = new ByteReader(value, envelopeBytes);
    const asOf = readPageCommit(reader);
    const queueNumber = queueNumberIn(key);
    const page = this.#ledger.pages.add((handle) => new Page(handle, queueNumber, numberIn(key), [], asOf));
    this.#page = page;
    const runs: number[] = [];
    page.runs = runs;
    readPageMessages(reader, this);
    if (page.aliveMessages > 0) return;
    // Its queue is gone, so the next checkpoint deletes it.
    page.dirtySince = asOf;
    this.#ledger.dirtyPages.add(page);
  }

  message(lane: LaneFacts, facts: MessageFacts, name: RecordName, state: StoredState): void {
    const page = this.#page as Page;
    const { queueNumber } = page;
    const record = this.#recordNamed(queueNumber, name);
    const slot = this.#restorer.message(lane, { ...facts, queueNumber, record: record.handle, page: page.handle });
    page.aliveMessages += 1;
    extendRuns(page.runs as number[], facts.sequence);
    this.#liveIn(record, facts.sequence, facts.length);
    this.#restorer.expiresAt(slot, facts.expiresAt);
    this.#restorer.firstFailedAt(slot, facts.firstFailedAt);
    if (state === "quarantined") this.#restorer.quarantined(slot);
    else if (typeof state === "string") this.#restorer.waits(slot, facts.readyAt, state);
    else if ("end" in state) this.#restorer.deciding(slot, state.end);
    else this.#restorer.leased(slot, state);
  }

  #recordNamed(queueNumber: number, name: RecordName): PayloadRecord {
    const known = this.#records.get(name.id);
    if (known !== undefined) return known;
    const made = this.#ledger.records.add((handle) => new PayloadRecord(handle, queueNumber, name.id, name.bytes, []));
    made.inJournal = false;
    this.#records.set(name.id, made);
    return made;
  }

  #liveIn(record: PayloadRecord, sequence: number, length: number): void {
    record.aliveMessages += 1;
    record.aliveBytes += length;
    extendRuns(record.runs as number[], sequence);
  }

  #addJournal(commit: number, value: Uint8Array): void {
    if (commit !== this.#nextCommit) {
      throw new StorageError(
        "corrupt",
        `commit ${this.#nextCommit} is missing from the journal, commit ${commit} is there; acknowledged messages may be lost, so the broker does not start on it; restore the data directory from a backup`,
      );
    }
    this.#commit = commit;
    this.#made = [];
    this.#filling.clear();
    readEvents(new ByteReader(value, envelopeBytes), this);
    const bytes = value.byteLength;
    const entry: JournalEntry = { commit, bytes, records: this.#made };
    this.#ledger.entries.push(entry);
    this.#ledger.journalBytes += bytes;
    this.#nextCommit = commit + 1;
  }

  payloadRecord(queueNumber: number, id: number): void {
    const record = this.#ledger.records.add((handle) => new PayloadRecord(handle, queueNumber, id, 0, []));
    this.#made.push(record);
    this.#filling.set(queueNumber, { record, offset: payloadHeaderBytes });
  }

  enqueued(lane: LaneFacts, message: EnqueuedEvent): void {
    const filling = this.#filling.get(lane.queueNumber);
    if (filling === undefined)
      throw new StorageError("corrupt", `commit ${this.#commit} names no payload record for a message`);
    const offset = filling.offset + payloadOverhead;
    filling.offset = offset + message.length;
    filling.record.bytes += message.length;
    const place = { record: filling.record.handle, offset, length: message.length, page: 0 };
    const { queueNumber } = lane;
    const slot = this.#restorer.message(lane, { ...message, ...place, queueNumber, attempts: 0 });
    this.#restorer.expiresAt(slot, message.expiresAt);
    this.#restorer.waits(slot, message.readyAt, message.waiting);
    this.#liveIn(filling.record, message.sequence, message.length);
    this.#ledger.newSequences.add(lane.queueNumber);
  }

  leased(queueNumber: number, sequence: number, lease: LeasedEvent): void {
    const slot = this.#changed(queueNumber, sequence, false);
    if (slot !== undefined) this.#restorer.leased(slot, lease);
  }

  returned(queueNumber: number, sequence: number, counted: boolean, due: Due, at: number): void {
    const slot = this.#changed(queueNumber, sequence, false);
    if (slot === undefined) return;
    if (counted) this.#restorer.attemptEnded(slot, at);
    this.#restorer.returned(slot, due.readyAt, due.waiting);
  }

  deciding(queueNumber: number, sequence: number, end: AttemptEnd, at: number): void {
    const slot = this.#changed(queueNumber, sequence, false);
    if (slot === undefined) return;
    this.#restorer.attemptEnded(slot, at);
    this.#restorer.deciding(slot, end);
  }

  decided(queueNumber: number, sequence: number, due: Due): void {
    const slot = this.#changed(queueNumber, sequence, false);
    if (slot !== undefined) this.#restorer.returned(slot, due.readyAt, due.waiting);
  }

  moved(queueNumber: number, sequence: number, to: MovedEvent): void {
    const slot = this.#changed(queueNumber, sequence, false);
    if (slot !== undefined) this.#restorer.moved(slot, to);
  }

  removed(queueNumber: number, sequence: number, acked: boolean): void {
    const slot = this.#changed(queueNumber, sequence, true);
    if (slot === undefined) return;
    const { table } = this.#core.state;
    this.#ledger.messagesLeft(table.record(slot), 1, table.length(slot));
    this.#restorer.removed(slot, acked);
  }

  quarantined(queueNumber: number, sequence: number): void {
    const slot = this.#changed(queueNumber, sequence, false);
    if (slot !== undefined) this.#restorer.quarantined(slot);
  }

  weighed(queueNumber: number, fairnessKey: string, weight: number): void {
    const name = weightName(queueNumber, fairnessKey);
    if ((this.#weights.get(name)?.asOf ?? 0) >= this.#commit) return;
    this.#weights.set(name, { queueNumber, fairnessKey, weight, asOf: 0 });
    this.#ledger.newWeights.set(name, { queueNumber, fairnessKey, weight });
  }

  forgotten(queueNumber: number, fairnessKey: string): void {
    const name = weightName(queueNumber, fairnessKey);
    if ((this.#weights.get(name)?.asOf ?? 0) >= this.#commit) return;
    this.#weights.delete(name);
    this.#ledger.newWeights.delete(name);
  }

  /** The message that the event is about, unless its page says what came of it; the page lacks the event from now on. */
  #changed(queueNumber: number, sequence: number, left: boolean): number | undefined {
    const slot = this.#restorer.find(queueNumber, sequence);
    if (slot === undefined) return undefined;
    const handle = this.#core.state.table.page(slot);
    const page = this.#ledger.pages.get(handle);
    if (page !== undefined && page.asOf >= this.#commit) return undefined;
    this.#ledger.pageChanged(handle, this.#commit, left ? 1 : 0);
    return slot;
  }
}

function hexOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("hex");
}
