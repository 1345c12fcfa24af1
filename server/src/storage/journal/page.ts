// A page: the scheduling facts of messages of one queue as of one commit. Envelope | commit | entries; lanes, holders and
// payload records are defined at their first use and then named by number.
import type { Holder, LaneFacts, NumberedLane, Waiting } from "../../core/mutations.ts";
import type { AttemptEnd } from "../../core/retry-policy.ts";
import { type ByteReader, ByteWriter, MalformedRecordError } from "./bytes.ts";
import { envelopeBytes, seal } from "./envelope.ts";
import {
  LaneNumbering,
  type LeasedEvent,
  Numbering,
  defined,
  readEnd,
  readHolder,
  readLane,
  writeEnd,
  writeHolder,
} from "./events.ts";
import { pageKey } from "./keys.ts";

const Tag = {
  lane: 1,
  holder: 2,
  payloadRecord: 3,
  ready: 4,
  leased: 5,
  quarantined: 6,
  delayed: 7,
  scheduled: 8,
  deciding: 9,
  more: 10,
} as const;

/** All that is known of one message beside its bytes. */
export interface MessageFacts {
  readonly sequence: number;
  readonly enqueuedAt: number;
  readonly readyAt: number;
  readonly attempts: number;
  readonly cost: number;
  readonly offset: number;
  readonly length: number;
  /** Wall clock; 0 = never. */
  readonly expiresAt: number;
  /** Wall clock; 0 = no attempt has ended. */
  readonly firstFailedAt: number;
}

export interface RecordName {
  readonly id: number;
  /** Bytes of all messages ever put into it. */
  readonly bytes: number;
}

/** What a message is in, or the lease that it is under, or how the attempt ended that is being decided about. */
export type StoredState = Waiting | "quarantined" | LeasedEvent | { readonly end: AttemptEnd };

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
    const lease = typeof state === "string" || "end" in state ? undefined : state;
    const holder = lease === undefined ? 0 : this.#holderNumber(lease.holder);
    if (facts.expiresAt !== 0 || facts.firstFailedAt !== 0) {
      out.byte(Tag.more);
      out.varint(facts.expiresAt);
      out.varint(facts.firstFailedAt);
    }
    out.byte(tagOf(state));
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
    else if (typeof state !== "string" && "end" in state) writeEnd(out, state.end);
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
  let expiresAt = 0;
  let firstFailedAt = 0;
  while (!bytes.done) {
    const tag = bytes.byte();
    if (tag === Tag.lane) lanes.push(readLane(bytes));
    else if (tag === Tag.holder) holders.push(readHolder(bytes));
    else if (tag === Tag.payloadRecord) records.push({ id: bytes.varint(), bytes: bytes.varint() });
    else if (tag === Tag.more) {
      expiresAt = bytes.varint();
      firstFailedAt = bytes.varint();
    } else if (tag >= Tag.ready && tag <= Tag.deciding) {
      const lane = defined(lanes[bytes.varint()]);
      const sequence = bytes.varint();
      const enqueuedAt = base + bytes.signed();
      const readyAt = enqueuedAt + bytes.signed();
      const attempts = bytes.varint();
      const cost = bytes.varint();
      const record = defined(records[bytes.varint()]);
      const offset = bytes.varint();
      const length = bytes.varint();
      const facts = {
        sequence,
        enqueuedAt,
        readyAt,
        attempts,
        cost,
        offset,
        length,
        expiresAt,
        firstFailedAt,
      };
      reader.message(lane, facts, record, readState(tag, bytes, holders));
      expiresAt = 0;
      firstFailedAt = 0;
    } else throw new MalformedRecordError(`a page entry with the unknown tag ${tag}`);
  }
}

const plainTags = {
  ready: Tag.ready,
  quarantined: Tag.quarantined,
  delayed: Tag.delayed,
  scheduled: Tag.scheduled,
} as const;
type PlainState = keyof typeof plainTags;
const plainByTag: (PlainState | undefined)[] = [];
for (const state of Object.keys(plainTags) as PlainState[]) plainByTag[plainTags[state]] = state;

function tagOf(state: StoredState): number {
  if (typeof state === "string") return plainTags[state];
  return "end" in state ? Tag.deciding : Tag.leased;
}

function readState(tag: number, bytes: ByteReader, holders: readonly Holder[]): StoredState {
  if (tag === Tag.leased) return readLease(bytes, holders);
  if (tag === Tag.deciding) return { end: readEnd(bytes) };
  return defined(plainByTag[tag]);
}

function readLease(bytes: ByteReader, holders: readonly Holder[]): LeasedEvent {
  const token = { high: bytes.uint32(), low: bytes.uint32() };
  return { token, durationMs: bytes.varint(), leasedAt: bytes.varint(), holder: defined(holders[bytes.varint()]) };
}
