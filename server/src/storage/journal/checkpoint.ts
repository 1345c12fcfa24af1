// A checkpoint moves what is still alive out of the oldest part of the journal: facts into pages, and bytes into dense
// payload records where the old ones are small or mostly dead (dense ones stay where they are). It goes in slices, each
// part of one commit, so that no commit waits long. After each slice the store is complete in itself.
//
// States: idle -begin-> cleaning (weights, sequences and pages that changed up to the target) -> advancing (journal
// entries up to the target, then payload records that have become sparse) -> idle.
// May never happen: a journal record deleted while a page still lacks what it says.
import type { Op } from "../port.ts";
import { ByteWriter } from "./bytes.ts";
import { envelopeBytes, seal } from "./envelope.ts";
import type { Journal } from "./journal.ts";
import { checkpointKey, dataShard, journalKey, pageKey, sequenceKey, weightKey } from "./keys.ts";
import { Page, type PayloadRecord, extendRuns, sequencesIn } from "./ledger.ts";
import type { MessageSource } from "./message-source.ts";
import { PageWriter, type RecordName } from "./page.ts";
import { payloadOverhead, payloadRecordBytes, readPayload } from "./payload-record.ts";

export interface CheckpointOptions {
  /** Begins when the journal has this many bytes. */
  readonly journalBytes: number;
  /** ... or this many commits. */
  readonly journalCommits: number;
  /** Messages and commits that one slice looks at, about; a quarter of it where nothing lives any more. */
  readonly sliceMessages: number;
  /** Bytes of messages that one slice moves, about. */
  readonly sliceBytes: number;
}

export const defaultCheckpointOptions: CheckpointOptions = {
  journalBytes: 16 * 1_048_576,
  journalCommits: 50_000,
  sliceMessages: 1_000,
  sliceBytes: 256 * 1_024,
};

const messagesPerPage = 1_000;
/** A sparse payload record whose messages stand in more pages than these is left where it is. */
const pagesPerSparseRecord = 16;
/** The part of `sliceMessages` in commits of which nothing lives: who is served in the same turn waits for them to go, and
 * they may go in as many slices as they like. What lives should stand together, in as few pages and records as may be. */
const partOfDeadCommits = 0.25;
/** A payload record below this size is joined with others. */
const smallRecordBytes = 16 * 1_024;

/** Values of payload records that the next slice needs, by record. */
export type LoadedRecords = ReadonlyMap<PayloadRecord, Uint8Array>;

export class Checkpoint {
  readonly #journal: Journal;
  readonly #source: MessageSource;
  readonly #options: CheckpointOptions;
  readonly #pages = new PageWriter();
  readonly #small = new ByteWriter();
  #phase: "idle" | "cleaning" | "advancing" = "idle";
  #target = 0;
  /** The slice may go up to this commit: the bytes of all before it were asked for. undefined: not planned. */
  #plannedThrough: number | undefined;
  /** Sparse records whose bytes were asked for. */
  #plannedSparse: PayloadRecord[] = [];
  /** Weights and sequences still to be written: those that changed up to the target stand first. */
  #weightsLeft = 0;
  #sequencesLeft = 0;
  /** Messages per queue that get into pages with this slice. */
  #toPage = new Map<number, number[]>();
  /** Bytes per queue that get into new payload records with this slice. */
  #toMove = new Map<number, Moving>();
  /** Pages that name bytes which this slice has moved. */
  #toRewrite = new Set<Page>();

  constructor(journal: Journal, source: MessageSource, options: CheckpointOptions = defaultCheckpointOptions) {
    this.#journal = journal;
    this.#source = source;
    this.#options = options;
  }

  get active(): boolean {
    return this.#phase !== "idle";
  }

  /** Whether the journal has grown enough for a checkpoint. */
  get due(): boolean {
    const { ledger } = this.#journal;
    return ledger.journalBytes >= this.#options.journalBytes || ledger.entries.length >= this.#options.journalCommits;
  }

  begin(): void {
    this.#phase = "cleaning";
    this.#target = this.#journal.commit;
    this.#plannedThrough = undefined;
    this.#weightsLeft = this.#journal.ledger.newWeights.size;
    this.#sequencesLeft = this.#journal.ledger.newSequences.size;
  }

  /** The payload records whose values the next slice wants. */
  plan(): PayloadRecord[] {
    if (this.#phase !== "advancing") return [];
    const { sliceMessages, sliceBytes } = this.#options;
    const wanted: PayloadRecord[] = [];
    let bytes = 0;
    let messages = 0;
    let most = sliceMessages * partOfDeadCommits;
    this.#plannedThrough = 0;
    this.#plannedSparse = [];
    for (const entry of this.#journal.ledger.entries) {
      if (entry.commit > this.#target) break;
      if (bytes >= sliceBytes || messages >= most) break;
      this.#plannedThrough = entry.commit;
      messages += 1;
      for (const record of entry.records) {
        messages += record.aliveMessages;
        if (record.aliveMessages > 0) most = sliceMessages;
        if (!shouldMove(record)) continue;
        wanted.push(record);
        bytes += record.bytes;
      }
    }
    for (const record of this.#journal.ledger.sparse) {
      if (bytes >= sliceBytes) break;
      this.#plannedSparse.push(record);
      wanted.push(record);
      bytes += record.bytes;
    }
    return wanted;
  }

  /** Adds one slice to the operations of the commit that `journal.encode` has just made. */
  slice(loaded: LoadedRecords, ops: Op[]): void {
    let budget = this.#options.sliceMessages;
    if (this.#phase === "cleaning") budget = this.#clean(budget, ops);
    if (this.#phase !== "advancing" || this.#plannedThrough === undefined) return;
    this.#advance(loaded, this.#plannedThrough, budget, ops);
    for (const record of this.#plannedSparse) this.#moveSparse(record, loaded.get(record), ops);
    this.#flush(ops);
    this.#journal.forgetDeadRecords(ops);
    this.#plannedThrough = undefined;
    this.#plannedSparse = [];
    const { entries, sparse } = this.#journal.ledger;
    if ((entries[0]?.commit ?? Infinity) > this.#target && sparse.size === 0) this.#phase = "idle";
  }

  /** Writes what changed up to the target and is not in pages; returns what is left of the budget. */
  #clean(budget: number, ops: Op[]): number {
    let left = budget - this.#writeSmallFacts(budget, ops);
    if (this.#weightsLeft + this.#sequencesLeft > 0) return 0;
    const { dirtyPages } = this.#journal.ledger;
    for (const page of dirtyPages) {
      if (left <= 0) return 0;
      if (page.dirtySince <= this.#target) left -= this.#rewrite(page, ops);
    }
    if (left > 0) this.#phase = "advancing";
    return left;
  }

  /** At most `budget` of them, and none that came after the target only: else steady change would never let it end. */
  #writeSmallFacts(budget: number, ops: Op[]): number {
    const { ledger, commit } = this.#journal;
    let written = 0;
    for (const [name, { queueNumber, fairnessKey, weight }] of ledger.newWeights) {
      if (this.#weightsLeft === 0 || written >= budget) break;
      this.#weightsLeft -= 1;
      written += 1;
      ledger.newWeights.delete(name);
      const key = weightKey(queueNumber, fairnessKey);
      this.#small.varint(commit);
      this.#small.varint(weight);
      ops.push({ put: key, value: seal(key, this.#small.take(envelopeBytes)) });
      ledger.storedWeights.add(name);
    }
    for (const queueNumber of ledger.newSequences) {
      if (this.#sequencesLeft === 0 || written >= budget) break;
      this.#sequencesLeft -= 1;
      written += 1;
      ledger.newSequences.delete(queueNumber);
      const next = this.#source.nextSequence(queueNumber);
      if (next === undefined) continue;
      const key = sequenceKey(queueNumber);
      this.#small.varint(next);
      ops.push({ put: key, value: seal(key, this.#small.take(envelopeBytes)) });
    }
    // Fewer are there than were, when some have gone with their last message or their queue.
    this.#weightsLeft = Math.min(this.#weightsLeft, ledger.newWeights.size);
    this.#sequencesLeft = Math.min(this.#sequencesLeft, ledger.newSequences.size);
    return written;
  }

  #rewrite(page: Page, ops: Op[]): number {
    const { ledger } = this.#journal;
    ledger.dirtyPages.delete(page);
    page.dirtySince = Infinity;
    if (page.aliveMessages === 0) {
      ops.push({ del: pageKey(page.queueNumber, page.id) });
      ledger.pages.remove(page.handle);
      return 1;
    }
    const slots: number[] = [];
    for (const sequence of sequencesIn(page.runs)) {
      const slot = this.#source.find(page.queueNumber, sequence);
      if (slot !== undefined && this.#source.pageOf(slot) === page.handle) slots.push(slot);
    }
    this.#writePage(page, slots, ops);
    return slots.length;
  }

  #writePage(page: Page, slots: readonly number[], ops: Op[]): void {
    const { commit, ledger } = this.#journal;
    const runs: number[] = [];
    this.#pages.begin(commit);
    for (const slot of slots) {
      const facts = this.#source.factsOf(slot);
      const record = ledger.records.get(this.#source.recordOf(slot)) as RecordName;
      this.#pages.message(this.#source.laneOf(slot), facts, record, this.#source.stateOf(slot));
      extendRuns(runs, facts.sequence);
    }
    page.runs = runs;
    page.asOf = commit;
    page.aliveMessages = slots.length;
    ops.push(this.#pages.take(page.queueNumber, page.id));
  }

  #advance(loaded: LoadedRecords, through: number, budget: number, ops: Op[]): void {
    const { ledger } = this.#journal;
    let left = budget;
    let done = 0;
    for (const entry of ledger.entries) {
      if (left <= 0 || entry.commit > through) break;
      for (const record of entry.records) {
        if (record.aliveMessages === 0) continue;
        left -= record.aliveMessages;
        const value = loaded.get(record);
        const slots = this.#slotsOf(record);
        if (value === undefined || !shouldMove(record) || !this.#move(record, slots, value, ops))
          record.inJournal = false;
        for (const slot of slots) this.#page(record.queueNumber, slot);
      }
      ops.push({ del: journalKey(dataShard, entry.commit) });
      ledger.journalBytes -= entry.bytes;
      left -= 1;
      done += 1;
    }
    if (done === 0) return;
    const last = ledger.entries[done - 1] as { commit: number };
    ledger.entries.splice(0, done);
    const key = checkpointKey(dataShard);
    this.#small.varint(last.commit + 1);
    ops.push({ put: key, value: seal(key, this.#small.take(envelopeBytes)) });
  }

  #slotsOf(record: PayloadRecord): number[] {
    const slots: number[] = [];
    for (const sequence of sequencesIn(record.runs)) {
      const slot = this.#source.find(record.queueNumber, sequence);
      if (slot !== undefined && this.#source.recordOf(slot) === record.handle) slots.push(slot);
    }
    return slots;
  }

  #page(queueNumber: number, slot: number): void {
    const slots = this.#toPage.get(queueNumber);
    if (slots === undefined) this.#toPage.set(queueNumber, [slot]);
    else slots.push(slot);
  }

  /** Puts the living bytes of a record into new ones; false: some cannot be read, so all stay where they are. */
  #move(record: PayloadRecord, slots: readonly number[], value: Uint8Array, ops: Op[]): boolean {
    const { queueNumber } = record;
    const parts: { slot: number; sequence: number; body: Uint8Array }[] = [];
    for (const slot of slots) {
      const { sequence, offset, length } = this.#source.factsOf(slot);
      const body = readPayload(value, queueNumber, sequence, offset, length);
      if (body === undefined) return false;
      parts.push({ slot, sequence, body });
    }
    for (const part of parts) {
      let moving = this.#toMove.get(queueNumber);
      if (moving !== undefined && moving.bytes + part.body.byteLength > payloadRecordBytes) {
        this.#closeMoving(queueNumber, moving, ops);
        moving = undefined;
      }
      if (moving === undefined) {
        moving = { parts: [], runs: [], bytes: 0 };
        this.#toMove.set(queueNumber, moving);
      }
      moving.parts.push(part);
      moving.bytes += part.body.byteLength + payloadOverhead;
      extendRuns(moving.runs, part.sequence);
    }
    this.#journal.ledger.recordMoved(record);
    return true;
  }

  #closeMoving(queueNumber: number, moving: Moving, ops: Op[]): void {
    const { parts, runs } = moving;
    const made = this.#journal.addPayload(
      queueNumber,
      this.#journal.nextNumber(),
      parts,
      runs,
      (index, record, offset) => this.#source.setBytes((parts[index] as { slot: number }).slot, record.handle, offset),
      ops,
    );
    made.inJournal = false;
  }

  /** A record of which little lives goes, and the pages that name it are written anew in the same commit. */
  #moveSparse(record: PayloadRecord, value: Uint8Array | undefined, ops: Op[]): void {
    const { ledger } = this.#journal;
    // One that cannot be read stays where it is: asking for it again and again would never let the checkpoint end.
    if (!ledger.sparse.delete(record) || value === undefined || record.inJournal || record.aliveMessages === 0) return;
    const slots = this.#slotsOf(record);
    const pages = new Set<Page>();
    for (const slot of slots) {
      const page = ledger.pages.get(this.#source.pageOf(slot));
      if (page !== undefined) pages.add(page);
    }
    // What is left over from many pages is not worth writing them all anew at once; it may be when more of it is gone.
    if (pages.size > pagesPerSparseRecord || !this.#move(record, slots, value, ops)) return;
    for (const page of pages) this.#toRewrite.add(page);
  }

  #flush(ops: Op[]): void {
    for (const [queueNumber, moving] of this.#toMove) this.#closeMoving(queueNumber, moving, ops);
    // New ones: see Numbering.clear. What was moved would stay with the old ones.
    if (this.#toMove.size > 0) this.#toMove = new Map();
    for (const [queueNumber, slots] of this.#toPage) {
      for (let from = 0; from < slots.length; from += messagesPerPage) {
        this.#addPage(queueNumber, slots.slice(from, from + messagesPerPage), ops);
      }
    }
    if (this.#toPage.size > 0) this.#toPage = new Map();
    for (const page of this.#toRewrite) this.#rewrite(page, ops);
    if (this.#toRewrite.size > 0) this.#toRewrite = new Set();
  }

  #addPage(queueNumber: number, slots: readonly number[], ops: Op[]): void {
    const id = this.#journal.nextNumber();
    const page = this.#journal.ledger.pages.add(
      (handle) => new Page(handle, queueNumber, id, [], this.#journal.commit),
    );
    for (const slot of slots) this.#source.setPage(slot, page.handle);
    this.#writePage(page, slots, ops);
  }
}

interface Moving {
  readonly parts: { readonly slot: number; readonly sequence: number; readonly body: Uint8Array }[];
  readonly runs: number[];
  bytes: number;
}

/** Small records are joined; of mostly dead ones only the living bytes are kept. */
function shouldMove(record: PayloadRecord): boolean {
  if (record.aliveMessages === 0) return false;
  return record.bytes < smallRecordBytes || record.aliveBytes * 2 < record.bytes;
}
