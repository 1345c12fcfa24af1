// A journal record: everything that one commit changed, in order. Envelope | base time | events; an event is a tag and
// its fields. Lanes, holders and payload records are defined once per journal record and then named by number.
import type { LeaseToken } from "../../core/commands.ts";
import type { Holder, LaneFacts, NumberedLane, Waiting } from "../../core/mutations.ts";
import type { AttemptEnd } from "../../core/retry-policy.ts";
import { type ByteReader, ByteWriter, MalformedRecordError } from "./bytes.ts";

const Tag = {
  lane: 1,
  holder: 2,
  payloadRecord: 3,
  enqueued: 4,
  leased: 5,
  attemptEnded: 6,
  released: 7,
  removed: 8,
  quarantined: 9,
  weighed: 10,
  forgotten: 11,
  /** Like enqueued, with what it waits for and its time to live. */
  enqueuedWaiting: 12,
  /** Like attemptEnded, but the message waits. */
  attemptDelayed: 13,
  deciding: 14,
  decidedReady: 15,
  decidedDelayed: 16,
  moved: 17,
  /** Like removed, but nobody acked it: its time to live was over, or an operator took it away. */
  ended: 18,
} as const;

/** Stored by number: append only. */
const waitings: readonly Waiting[] = ["ready", "delayed", "scheduled"];
const ends = ["nack", "expiry", "dead-stream"] as const;

const kinds = ["consume", "stream", "poll"] as const;

/** What a reader of the journal is told, in the order of writing. */
export interface JournalReader {
  payloadRecord(queueNumber: number, id: number): void;
  /** The message stands in the last payload record of its queue, right behind the one before. */
  enqueued(lane: LaneFacts, message: EnqueuedEvent): void;
  leased(queueNumber: number, sequence: number, lease: LeasedEvent): void;
  /** @param at wall clock of the turn */
  returned(queueNumber: number, sequence: number, counted: boolean, due: Due, at: number): void;
  deciding(queueNumber: number, sequence: number, end: AttemptEnd, at: number): void;
  decided(queueNumber: number, sequence: number, due: Due): void;
  moved(queueNumber: number, sequence: number, to: MovedEvent): void;
  /** @param acked its lease, if it had one, was settled by an ack */
  removed(queueNumber: number, sequence: number, acked: boolean): void;
  quarantined(queueNumber: number, sequence: number): void;
  weighed(queueNumber: number, fairnessKey: string, weight: number): void;
  forgotten(queueNumber: number, fairnessKey: string): void;
}

export interface EnqueuedEvent {
  readonly sequence: number;
  readonly enqueuedAt: number;
  readonly readyAt: number;
  readonly waiting: Waiting;
  readonly expiresAt: number;
  readonly cost: number;
  readonly length: number;
}

/** When a message is ready, or its place when it is. */
export interface Due {
  readonly readyAt: number;
  readonly waiting: Waiting;
}

export interface MovedEvent {
  readonly lane: LaneFacts;
  readonly readyAt: number;
  readonly expiresAt: number;
  readonly attempts: number;
  readonly quarantined: boolean;
}

export interface LeasedEvent {
  readonly token: LeaseToken;
  readonly durationMs: number;
  readonly leasedAt: number;
  readonly holder: Holder;
}

export function writeLane(out: ByteWriter, lane: LaneFacts): void {
  out.varint(lane.queueNumber);
  out.string(lane.fairnessKey);
  out.varint(lane.throttleKeys.length);
  for (const key of lane.throttleKeys) out.string(key);
}

export function readLane(reader: ByteReader): LaneFacts {
  const queueNumber = reader.varint();
  const fairnessKey = reader.string();
  const throttleKeys: string[] = [];
  for (let left = reader.varint(); left > 0; left -= 1) throttleKeys.push(reader.string());
  return { queueNumber, fairnessKey, throttleKeys };
}

export function writeHolder(out: ByteWriter, holder: Holder): void {
  out.byte(kinds.indexOf(holder.kind));
  out.string(holder.principal);
  out.string(holder.worker);
  out.string(holder.session);
}

export function readHolder(reader: ByteReader): Holder {
  const kind = kinds[reader.byte()];
  if (kind === undefined) throw new MalformedRecordError("a holder of unknown kind");
  return { kind, principal: reader.string(), worker: reader.string(), session: reader.string() };
}

/** The time that a worker asked for is one more than it is, since 0 says that it asked for none. */
export function writeEnd(out: ByteWriter, end: AttemptEnd): void {
  out.byte(ends.indexOf(end.by));
  if (end.by !== "nack") return;
  out.string(end.error);
  out.varint(end.delayMs === undefined ? 0 : end.delayMs + 1);
  out.byte(end.deadLetter ? 1 : 0);
}

export function readEnd(reader: ByteReader): AttemptEnd {
  const by = defined(ends[reader.byte()]);
  if (by !== "nack") return { by };
  const error = reader.string();
  const delay = reader.varint();
  return { by, error, delayMs: delay === 0 ? undefined : delay - 1, deadLetter: reader.byte() === 1 };
}

/** Gives things numbers, in the order of their first use. */
export class Numbering<T> {
  #numbers = new Map<T, number>();

  get size(): number {
    return this.#numbers.size;
  }

  /** The number, after `define` was called for a thing that had none. */
  of(thing: T, define: (thing: T) => void): number {
    const known = this.#numbers.get(thing);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(thing, number);
    define(thing);
    return number;
  }

  keys(): Iterable<T> {
    return this.#numbers.keys();
  }

  /** Map.clear() makes a new table, also where there is nothing to clear, and lets the old one point to it: once one of them
   * is in the old generation of the heap, all that follow get there as well, and full collections come twice as often. */
  clear(): void {
    if (this.#numbers.size > 0) this.#numbers = new Map();
  }
}

/** Passes of numbering lanes, over all writers: each has a number of its own. */
let passes = 0;

export class LaneNumbering {
  #pass = 0;
  #next = 0;

  begin(): void {
    passes += 1;
    this.#pass = passes;
    this.#next = 0;
  }

  /** The number of the lane in this pass, written down at its first use. */
  of(lane: NumberedLane, out: ByteWriter, tag: number): number {
    if (lane.numberedIn === this.#pass) return lane.number;
    lane.numberedIn = this.#pass;
    lane.number = this.#next;
    this.#next += 1;
    out.byte(tag);
    writeLane(out, lane);
    return lane.number;
  }
}

export class EventWriter {
  readonly #out = new ByteWriter();
  readonly #lanes = new LaneNumbering();
  readonly #holders = new Numbering<Holder>();
  #base = 0;

  begin(base: number): void {
    this.#base = base;
    this.#lanes.begin();
    this.#holders.clear();
    this.#out.varint(base);
  }

  take(headroom: number): Buffer {
    return this.#out.take(headroom);
  }

  payloadRecord(queueNumber: number, id: number): void {
    this.#tag(Tag.payloadRecord, queueNumber, id);
  }

  enqueued(lane: NumberedLane, message: Omit<EnqueuedEvent, "length">, length: number): void {
    const number = this.#lanes.of(lane, this.#out, Tag.lane);
    const waits = message.waiting !== "ready" || message.expiresAt !== 0;
    this.#tag(waits ? Tag.enqueuedWaiting : Tag.enqueued, number, message.sequence);
    this.#out.signed(message.enqueuedAt - this.#base);
    this.#out.signed(message.readyAt - message.enqueuedAt);
    this.#out.varint(message.cost);
    this.#out.varint(length);
    if (!waits) return;
    this.#out.byte(waitings.indexOf(message.waiting));
    this.#out.varint(message.expiresAt);
  }

  leased(queueNumber: number, sequence: number, lease: LeasedEvent): void {
    const holder = this.#holders.of(lease.holder, (added) => {
      this.#out.byte(Tag.holder);
      writeHolder(this.#out, added);
    });
    this.#tag(Tag.leased, queueNumber, sequence);
    this.#out.uint32(lease.token.high);
    this.#out.uint32(lease.token.low);
    this.#out.varint(lease.durationMs);
    this.#out.signed(lease.leasedAt - this.#base);
    this.#out.varint(holder);
  }

  returned(queueNumber: number, sequence: number, counted: boolean, { readyAt, waiting }: Due): void {
    const delayed = waiting === "delayed";
    this.#tag(delayed ? Tag.attemptDelayed : counted ? Tag.attemptEnded : Tag.released, queueNumber, sequence);
    this.#out.signed(readyAt - this.#base);
  }

  deciding(queueNumber: number, sequence: number, end: AttemptEnd): void {
    this.#tag(Tag.deciding, queueNumber, sequence);
    writeEnd(this.#out, end);
  }

  decided(queueNumber: number, sequence: number, { readyAt, waiting }: Due): void {
    this.#tag(waiting === "ready" ? Tag.decidedReady : Tag.decidedDelayed, queueNumber, sequence);
    this.#out.signed(readyAt - this.#base);
  }

  moved(queueNumber: number, sequence: number, to: MovedEvent & { readonly lane: NumberedLane }): void {
    const number = this.#lanes.of(to.lane, this.#out, Tag.lane);
    this.#tag(Tag.moved, queueNumber, sequence);
    this.#out.varint(number);
    this.#out.signed(to.readyAt - this.#base);
    this.#out.varint(to.expiresAt);
    this.#out.varint(to.attempts);
    this.#out.byte(to.quarantined ? 1 : 0);
  }

  removed(queueNumber: number, sequence: number, acked: boolean): void {
    this.#tag(acked ? Tag.removed : Tag.ended, queueNumber, sequence);
  }

  quarantined(queueNumber: number, sequence: number): void {
    this.#tag(Tag.quarantined, queueNumber, sequence);
  }

  weighed(queueNumber: number, fairnessKey: string, weight: number): void {
    this.#tag(Tag.weighed, queueNumber, weight);
    this.#out.string(fairnessKey);
  }

  forgotten(queueNumber: number, fairnessKey: string): void {
    this.#tag(Tag.forgotten, queueNumber, 0);
    this.#out.string(fairnessKey);
  }

  #tag(tag: number, first: number, second: number): void {
    this.#out.byte(tag);
    this.#out.varint(first);
    this.#out.varint(second);
  }
}

/** Throws MalformedRecordError when the record is not what the format says. */
export function readEvents(bytes: ByteReader, reader: JournalReader): void {
  const base = bytes.varint();
  const lanes: LaneFacts[] = [];
  const holders: Holder[] = [];
  while (!bytes.done) {
    const tag = bytes.byte();
    if (tag === Tag.lane) lanes.push(readLane(bytes));
    else if (tag === Tag.holder) holders.push(readHolder(bytes));
    else readEvent(tag, bytes, base, lanes, holders, reader);
  }
}

function readEvent(
  tag: number,
  bytes: ByteReader,
  base: number,
  lanes: readonly LaneFacts[],
  holders: readonly Holder[],
  reader: JournalReader,
): void {
  const first = bytes.varint();
  const second = bytes.varint();
  switch (tag) {
    case Tag.payloadRecord:
      reader.payloadRecord(first, second);
      return;
    case Tag.enqueued:
    case Tag.enqueuedWaiting: {
      const enqueuedAt = base + bytes.signed();
      const readyAt = enqueuedAt + bytes.signed();
      const cost = bytes.varint();
      const length = bytes.varint();
      const waits = tag === Tag.enqueuedWaiting;
      const waiting = waits ? defined(waitings[bytes.byte()]) : "ready";
      const expiresAt = waits ? bytes.varint() : 0;
      const facts = { sequence: second, enqueuedAt, readyAt, waiting, expiresAt, cost, length };
      reader.enqueued(defined(lanes[first]), facts);
      return;
    }
    case Tag.leased: {
      const token = { high: bytes.uint32(), low: bytes.uint32() };
      const durationMs = bytes.varint();
      const leasedAt = base + bytes.signed();
      reader.leased(first, second, { token, durationMs, leasedAt, holder: defined(holders[bytes.varint()]) });
      return;
    }
    case Tag.attemptEnded:
    case Tag.attemptDelayed:
    case Tag.released: {
      const waiting = tag === Tag.attemptDelayed ? "delayed" : "ready";
      reader.returned(first, second, tag !== Tag.released, { readyAt: base + bytes.signed(), waiting }, base);
      return;
    }
    case Tag.deciding:
      reader.deciding(first, second, readEnd(bytes), base);
      return;
    case Tag.decidedReady:
    case Tag.decidedDelayed: {
      const waiting = tag === Tag.decidedReady ? "ready" : "delayed";
      reader.decided(first, second, { readyAt: base + bytes.signed(), waiting });
      return;
    }
    case Tag.moved:
      reader.moved(first, second, {
        lane: defined(lanes[bytes.varint()]),
        readyAt: base + bytes.signed(),
        expiresAt: bytes.varint(),
        attempts: bytes.varint(),
        quarantined: bytes.byte() === 1,
      });
      return;
    case Tag.removed:
    case Tag.ended:
      reader.removed(first, second, tag === Tag.removed);
      return;
    case Tag.quarantined:
      reader.quarantined(first, second);
      return;
    case Tag.weighed:
      reader.weighed(first, bytes.string(), second);
      return;
    case Tag.forgotten:
      reader.forgotten(first, bytes.string());
      return;
    default:
      throw new MalformedRecordError(`an event with the unknown tag ${tag}`);
  }
}

export function defined<T>(thing: T | undefined): T {
  if (thing === undefined) throw new MalformedRecordError("a number that was not defined");
  return thing;
}
