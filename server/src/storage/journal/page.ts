// A page: the scheduling facts of messages of one queue as of one commit. Envelope | commit | entries; lanes, holders and
// payload records are defined at their first use and then named by number.
import type { Holder, LaneFacts, NumberedLane } from "../../core/mutations.ts";
import { type ByteReader, ByteWriter, MalformedRecordError } from "./bytes.ts";
import { envelopeBytes, seal } from "./envelope.ts";
import { LaneNumbering, type LeasedEvent, Numbering, defined, readHolder, readLane, writeHolder } from "./events.ts";
import { pageKey } from "./keys.ts";

const Tag = { lane: 1, holder: 2, payloadRecord: 3, ready: 4, leased: 5, quarantined: 6 } as const;

/** All that is known of one message beside its bytes. */
export interface MessageFacts {
  readonly sequence: number;
  readonly enqueuedAt: number;
  readonly readyAt: number;
  readonly attempts: number;
  readonly cost: number;
  readonly offset: number;
  readonly length: number;
}

export interface RecordName {
  readonly id: number;
  /** Bytes of all messages ever put into it. */
  readonly bytes: number;
}

/** "ready", "quarantined", or the lease that it is under. */
export type StoredState = "ready" | "quarantined" | LeasedEvent;

export interface PageReader {
  message(lane: LaneFacts, facts: MessageFacts, record: RecordName, state: StoredState): void;
}

export class PageWriter {
  readonly #out = new ByteWriter();
  readonly #lanes = new LaneNumbering();
  readonly #holders = new Numbering<Holder>();
  readonly #records = new Numbering<RecordName>();
  #base = 0;
  #begun = false;

  begin(commit: number): void {
    this.#lanes.begin();
    this.#holders.clear();
    this.#records.clear();
    this.#begun = false;
    this.#out.varint(commit);
  }

  message(lane: NumberedLane, facts: MessageFacts, record: RecordName, state: StoredState): void {
    const out = this.#out;
    if (!this.#begun) {
      this.#begun = true;
      this.#base = facts.enqueuedAt;
      out.varint(this.#base);
    }
    const laneNumber = this.#lanes.of(lane, out, Tag.lane);
    const recordNumber = this.#records.of(record, (added) => {
      out.byte(Tag.payloadRecord);
      out.varint(added.id);
      out.varint(added.bytes);
    });
    const lease = typeof state === "string" ? undefined : state;
    const holder = lease === undefined ? 0 : this.#holderNumber(lease.holder);
    out.byte(lease !== undefined ? Tag.leased : state === "ready" ? Tag.ready : Tag.quarantined);
    out.varint(laneNumber);
    out.varint(facts.sequence);
    out.signed(facts.enqueuedAt - this.#base);
    out.signed(facts.readyAt - facts.enqueuedAt);
    out.varint(facts.attempts);
    out.varint(facts.cost);
    out.varint(recordNumber);
    out.varint(facts.offset);
    out.varint(facts.length);
    if (lease !== undefined) this.#lease(lease, holder);
  }

  #holderNumber(holder: Holder): number {
    return this.#holders.of(holder, (added) => {
      this.#out.byte(Tag.holder);
      writeHolder(this.#out, added);
    });
  }

  #lease(lease: LeasedEvent, holder: number): void {
    this.#out.uint32(lease.token.high);
    this.#out.uint32(lease.token.low);
    this.#out.varint(lease.durationMs);
    this.#out.varint(lease.leasedAt);
    this.#out.varint(holder);
  }

  take(queueNumber: number, page: number): { put: Uint8Array; value: Uint8Array } {
    const put = pageKey(queueNumber, page);
    return { put, value: seal(put, this.#out.take(envelopeBytes)) };
  }
}

/** @returns the commit as of which the page was written */
export function readPageCommit(bytes: ByteReader): number {
  return bytes.varint();
}

/** What follows the commit. Throws MalformedRecordError when the page is not what the format says. */
export function readPageMessages(bytes: ByteReader, reader: PageReader): void {
  if (bytes.done) return;
  const base = bytes.varint();
  const lanes: LaneFacts[] = [];
  const holders: Holder[] = [];
  const records: RecordName[] = [];
  while (!bytes.done) {
    const tag = bytes.byte();
    if (tag === Tag.lane) lanes.push(readLane(bytes));
    else if (tag === Tag.holder) holders.push(readHolder(bytes));
    else if (tag === Tag.payloadRecord) records.push({ id: bytes.varint(), bytes: bytes.varint() });
    else if (tag === Tag.ready || tag === Tag.leased || tag === Tag.quarantined) {
      const lane = defined(lanes[bytes.varint()]);
      const sequence = bytes.varint();
      const enqueuedAt = base + bytes.signed();
      const readyAt = enqueuedAt + bytes.signed();
      const attempts = bytes.varint();
      const cost = bytes.varint();
      const record = defined(records[bytes.varint()]);
      const facts = { sequence, enqueuedAt, readyAt, attempts, cost, offset: bytes.varint(), length: bytes.varint() };
      reader.message(
        lane,
        facts,
        record,
        tag === Tag.leased ? readLease(bytes, holders) : tag === Tag.ready ? "ready" : "quarantined",
      );
    } else throw new MalformedRecordError(`a page entry with the unknown tag ${tag}`);
  }
}

function readLease(bytes: ByteReader, holders: readonly Holder[]): LeasedEvent {
  const token = { high: bytes.uint32(), low: bytes.uint32() };
  return { token, durationMs: bytes.varint(), leasedAt: bytes.varint(), holder: defined(holders[bytes.varint()]) };
}
