// What the journal knows of its records while it runs: which payload records hold bytes of living messages, which pages
// hold their facts, and which commits of the journal are not yet covered by pages. Rebuilt at recovery.

/** Sequences from, to (inclusive), from, to, ... of one queue: the messages that a record or page was made of. */
export type Runs = readonly number[];

export class PayloadRecord {
  /** Small number by which the message table names it. */
  readonly handle: number;
  readonly queueNumber: number;
  /** In its key; unique for ever. */
  readonly id: number;
  /** Bytes of all messages that were put into it. */
  bytes: number;
  readonly runs: Runs;
  aliveBytes = 0;
  aliveMessages = 0;
  /** The facts of its messages are in the journal only. */
  inJournal = true;

  constructor(handle: number, queueNumber: number, id: number, bytes: number, runs: Runs) {
    this.handle = handle;
    this.queueNumber = queueNumber;
    this.id = id;
    this.bytes = bytes;
    this.runs = runs;
  }
}

export class Page {
  readonly handle: number;
  readonly queueNumber: number;
  readonly id: number;
  runs: Runs;
  /** The commit with which it was written: it holds everything up to then. */
  asOf: number;
  /** The first commit that changed what it holds; Infinity = none since. */
  dirtySince = Infinity;
  aliveMessages = 0;

  constructor(handle: number, queueNumber: number, id: number, runs: Runs, asOf: number) {
    this.handle = handle;
    this.queueNumber = queueNumber;
    this.id = id;
    this.runs = runs;
    this.asOf = asOf;
  }
}

/** One commit whose events are in the journal only. */
export interface JournalEntry {
  readonly commit: number;
  readonly bytes: number;
  readonly records: readonly PayloadRecord[];
}

/** Things under small numbers from 1, which are given again when they are free. */
export class Handles<T> {
  readonly #items: (T | undefined)[] = [undefined];
  readonly #free: number[] = [];

  get size(): number {
    return this.#items.length - 1 - this.#free.length;
  }

  add(make: (handle: number) => T): T {
    const handle = this.#free.pop() ?? this.#items.length;
    const item = make(handle);
    this.#items[handle] = item;
    return item;
  }

  get(handle: number): T | undefined {
    return this.#items[handle];
  }

  remove(handle: number): void {
    this.#items[handle] = undefined;
    this.#free.push(handle);
  }

  *all(): Iterable<T> {
    for (const item of this.#items) if (item !== undefined) yield item;
  }
}

export class Ledger {
  readonly records = new Handles<PayloadRecord>();
  readonly pages = new Handles<Page>();
  /** Commits not yet covered by pages, oldest first. */
  readonly entries: JournalEntry[] = [];
  journalBytes = 0;
  /** Records without living messages, to be deleted with the next commit. */
  readonly deadRecords: PayloadRecord[] = [];
  /** Pages that say something outdated. */
  readonly dirtyPages = new Set<Page>();
  /** Records with few living bytes, worth moving together. */
  readonly sparse = new Set<PayloadRecord>();
  /** Keys whose weight has a record of its own, by queue number and key. */
  readonly storedWeights = new Set<string>();
  /** Weights that stand in the journal only. */
  readonly newWeights = new Map<string, StoredWeight>();
  /** Keys of records that say nothing any more, to be deleted with the next commit. */
  readonly deadKeys: Uint8Array[] = [];
  /** Queues whose next sequence has changed since it was written down. */
  readonly newSequences = new Set<number>();

  /** @param length of them all */
  messagesLeft(recordHandle: number, messages: number, length: number): void {
    const record = this.records.get(recordHandle);
    if (record === undefined) return;
    record.aliveMessages -= messages;
    record.aliveBytes -= length;
    if (record.aliveMessages === 0) {
      this.sparse.delete(record);
      this.deadRecords.push(record);
    } else if (!record.inJournal && isSparse(record)) {
      this.sparse.add(record);
    }
  }

  /** The bytes of its living messages stand elsewhere now. */
  recordMoved(record: PayloadRecord): void {
    record.aliveBytes = 0;
    record.aliveMessages = 0;
    this.sparse.delete(record);
    this.deadRecords.push(record);
  }

  /** @param left how many of its messages have gone */
  pageChanged(pageHandle: number, commit: number, left: number): void {
    const page = this.pages.get(pageHandle);
    if (page === undefined) return;
    page.aliveMessages -= left;
    if (page.dirtySince === Infinity) {
      page.dirtySince = commit;
      this.dirtyPages.add(page);
    }
  }
}

/** A record of which less than a quarter lives. Small ones are moved by the checkpoint anyway. */
function isSparse(record: PayloadRecord): boolean {
  return record.aliveBytes * 4 < record.bytes;
}

export interface StoredWeight {
  readonly queueNumber: number;
  readonly fairnessKey: string;
  readonly weight: number;
}

export function weightName(queueNumber: number, fairnessKey: string): string {
  return `${queueNumber} ${fairnessKey}`;
}

/** Extends the runs by one more sequence, which is higher than all before. */
export function extendRuns(runs: number[], sequence: number): void {
  const last = runs.length - 1;
  if (last > 0 && runs[last] === sequence - 1) runs[last] = sequence;
  else runs.push(sequence, sequence);
}

export function* sequencesIn(runs: Runs): Iterable<number> {
  for (let at = 0; at < runs.length; at += 2) {
    const to = runs[at + 1] as number;
    for (let sequence = runs[at] as number; sequence <= to; sequence += 1) yield sequence;
  }
}
