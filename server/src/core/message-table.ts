// Every message that the broker holds, as columns of typed arrays in chunks: doubling one huge array would cost three
// times its size at the moment of growth, a chunk costs only itself, and an empty chunk goes back.
import { invariant } from "./errors.ts";

const chunkBits = 13;
const chunkSize = 1 << chunkBits;
const chunkMask = chunkSize - 1;

/** No slot, no lease. */
export const none = -1;

/**
 * ready: stands in its lane. leased. quarantined: its bytes cannot be read. delayed: waits for a duration. scheduled: waits
 * for a time of the wall clock. deciding: its attempt has ended, and its queue's hook says what comes next.
 */
export const MessageState = {
  free: 0,
  ready: 1,
  leased: 2,
  quarantined: 3,
  delayed: 4,
  scheduled: 5,
  deciding: 6,
} as const;

/** Where the bytes of a message are. The core keeps these numbers for the storage layer and never reads them. */
export interface Place {
  /** Number of the payload record, given by the journal. 0 = not yet stored. */
  readonly record: number;
  readonly offset: number;
  readonly length: number;
  /** Number of the page that holds its facts; 0 = they are in the journal only. */
  readonly page: number;
}

class Expiry {
  /** Steady clock, milliseconds; 0 = never. */
  readonly at = new Float64Array(chunkSize);
  /** Place in the heap of expiries; none = not in it. */
  readonly place = new Int32Array(chunkSize).fill(none);
}

type Column = Uint8Array | Uint16Array | Uint32Array;

/** A column for natural numbers, wide enough for this one: the same one, or a wider copy. Few messages need a wide one. */
function wideEnough(column: Column, value: number): Column {
  const { BYTES_PER_ELEMENT: bytes } = column;
  if (value <= 0xff || bytes === 4 || (bytes === 2 && value <= 0xffff)) return column;
  return value <= 0xffff ? Uint16Array.from(column) : Uint32Array.from(column);
}

/**
 * `chunkSize` rows; 53 bytes a row while all its numbers are small, 12 more with a time to live, 4 more with an ended
 * attempt.
 */
class Chunk {
  readonly next = new Int32Array(chunkSize);
  readonly prev = new Int32Array(chunkSize);
  readonly lane = new Int32Array(chunkSize);
  /** The queue that it was enqueued to. With the sequence it is the message's name for ever, in whatever queue it is now
   * (that is its lane's). */
  queueNumber: Column = new Uint16Array(chunkSize);
  readonly sequence = new Float64Array(chunkSize);
  readonly enqueuedAt = new Float64Array(chunkSize);
  readonly readyAt = new Float64Array(chunkSize);
  attempts: Column = new Uint8Array(chunkSize);
  cost: Column = new Uint8Array(chunkSize);
  readonly state = new Uint8Array(chunkSize);
  readonly record = new Uint32Array(chunkSize);
  offset: Column = new Uint16Array(chunkSize);
  length: Column = new Uint16Array(chunkSize);
  readonly page = new Uint32Array(chunkSize);
  // Made when the first message of the chunk needs them.
  expiry: Expiry | undefined = undefined;
  firstFailedAt: Float64Array | undefined = undefined;
  used = 0;
  /** Head of the list of free rows, linked through `next`. */
  free = 0;
  /** Whether it stands in the table's list of chunks with free rows. */
  listed = true;

  constructor() {
    for (let row = 0; row < chunkSize - 1; row += 1) this.next[row] = row + 1;
    this.next[chunkSize - 1] = none;
  }
}

export class MessageTable {
  readonly #chunks: (Chunk | undefined)[] = [];
  /** Numbers of chunks that may have free rows; the last one is used first. */
  readonly #open: number[] = [];
  /** Numbers whose chunk was given back. */
  readonly #vacant: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** One row, its columns as its last owner left them. */
  allocate(): number {
    let number = this.#open.at(-1);
    if (number === undefined) {
      number = this.#vacant.pop() ?? this.#chunks.length;
      this.#chunks[number] = new Chunk();
      this.#open.push(number);
    }
    const chunk = this.#chunk(number << chunkBits);
    const row = chunk.free;
    chunk.free = chunk.next[row] as number;
    chunk.used += 1;
    this.#size += 1;
    if (chunk.free === none) {
      this.#open.pop();
      chunk.listed = false;
    }
    return number * chunkSize + row;
  }

  release(slot: number): void {
    const number = slot >>> chunkBits;
    const chunk = this.#chunk(slot);
    const row = slot & chunkMask;
    invariant(chunk.state[row] !== MessageState.free, "a released slot is in use");
    chunk.state[row] = MessageState.free;
    chunk.next[row] = chunk.free;
    chunk.free = row;
    chunk.used -= 1;
    this.#size -= 1;
    if (!chunk.listed) {
      chunk.listed = true;
      this.#open.push(number);
    }
    if (chunk.used === 0 && this.#open.length > 1) this.#giveBack(number);
  }

  #giveBack(number: number): void {
    const at = this.#open.indexOf(number);
    this.#open.splice(at, 1);
    this.#chunks[number] = undefined;
    this.#vacant.push(number);
  }

  #chunk(slot: number): Chunk {
    return this.#chunks[slot >>> chunkBits] as Chunk;
  }

  next(slot: number): number {
    return this.#chunk(slot).next[slot & chunkMask] as number;
  }
  setNext(slot: number, value: number): void {
    this.#chunk(slot).next[slot & chunkMask] = value;
  }
  prev(slot: number): number {
    return this.#chunk(slot).prev[slot & chunkMask] as number;
  }
  setPrev(slot: number, value: number): void {
    this.#chunk(slot).prev[slot & chunkMask] = value;
  }
  lane(slot: number): number {
    return this.#chunk(slot).lane[slot & chunkMask] as number;
  }
  queueNumber(slot: number): number {
    return this.#chunk(slot).queueNumber[slot & chunkMask] as number;
  }
  sequence(slot: number): number {
    return this.#chunk(slot).sequence[slot & chunkMask] as number;
  }
  enqueuedAt(slot: number): number {
    return this.#chunk(slot).enqueuedAt[slot & chunkMask] as number;
  }
  readyAt(slot: number): number {
    return this.#chunk(slot).readyAt[slot & chunkMask] as number;
  }
  setReadyAt(slot: number, value: number): void {
    this.#chunk(slot).readyAt[slot & chunkMask] = value;
  }
  attempts(slot: number): number {
    return this.#chunk(slot).attempts[slot & chunkMask] as number;
  }
  setAttempts(slot: number, value: number): void {
    const chunk = this.#chunk(slot);
    chunk.attempts = wideEnough(chunk.attempts, value);
    chunk.attempts[slot & chunkMask] = value;
  }
  cost(slot: number): number {
    return this.#chunk(slot).cost[slot & chunkMask] as number;
  }
  /** When its time to live is over, steady clock; 0 = never. */
  expiresAt(slot: number): number {
    return this.#chunk(slot).expiry?.at[slot & chunkMask] ?? 0;
  }
  setExpiresAt(slot: number, value: number): void {
    const chunk = this.#chunk(slot);
    if (chunk.expiry === undefined && value === 0) return;
    (chunk.expiry ??= new Expiry()).at[slot & chunkMask] = value;
  }
  expiryPlace(slot: number): number {
    return this.#chunk(slot).expiry?.place[slot & chunkMask] ?? none;
  }
  setExpiryPlace(slot: number, place: number): void {
    const { expiry } = this.#chunk(slot);
    if (expiry !== undefined) expiry.place[slot & chunkMask] = place;
  }
  /** When its first attempt ended, wall clock; 0 = none has. */
  firstFailedAt(slot: number): number {
    return this.#chunk(slot).firstFailedAt?.[slot & chunkMask] ?? 0;
  }
  /** 0 = none. */
  setFirstFailedAt(slot: number, wall: number): void {
    const chunk = this.#chunk(slot);
    if (chunk.firstFailedAt === undefined && wall === 0) return;
    (chunk.firstFailedAt ??= new Float64Array(chunkSize))[slot & chunkMask] = wall;
  }
  state(slot: number): number {
    return this.#chunk(slot).state[slot & chunkMask] as number;
  }
  setState(slot: number, value: number): void {
    this.#chunk(slot).state[slot & chunkMask] = value;
  }
  record(slot: number): number {
    return this.#chunk(slot).record[slot & chunkMask] as number;
  }
  offset(slot: number): number {
    return this.#chunk(slot).offset[slot & chunkMask] as number;
  }
  length(slot: number): number {
    return this.#chunk(slot).length[slot & chunkMask] as number;
  }
  page(slot: number): number {
    return this.#chunk(slot).page[slot & chunkMask] as number;
  }
  setPage(slot: number, page: number): void {
    this.#chunk(slot).page[slot & chunkMask] = page;
  }

  /** The first used row from this one on; none = there is none. Rows that come into use meanwhile may be passed over. */
  usedFrom(slot: number): number {
    for (let number = slot >>> chunkBits; number < this.#chunks.length; number += 1) {
      const chunk = this.#chunks[number];
      if (chunk === undefined) continue;
      const first = number === slot >>> chunkBits ? slot & chunkMask : 0;
      for (let row = first; row < chunkSize; row += 1) {
        if (chunk.state[row] !== MessageState.free) return number * chunkSize + row;
      }
    }
    return none;
  }

  /** All used rows, in no order that means anything. */
  *slots(): Iterable<number> {
    for (const [number, chunk] of this.#chunks.entries()) {
      if (chunk === undefined) continue;
      for (let row = 0; row < chunkSize; row += 1) {
        if (chunk.state[row] !== MessageState.free) yield number * chunkSize + row;
      }
    }
  }

  /** Where the bytes are now. */
  setBytes(slot: number, record: number, offset: number): void {
    const chunk = this.#chunk(slot);
    const row = slot & chunkMask;
    chunk.record[row] = record;
    chunk.offset = wideEnough(chunk.offset, offset);
    chunk.offset[row] = offset;
  }

  /** The columns that are fixed when a message enters; links and lists are the lane's. */
  fill(slot: number, lane: number, facts: NewMessage): void {
    const chunk = this.#chunk(slot);
    const row = slot & chunkMask;
    chunk.queueNumber = wideEnough(chunk.queueNumber, facts.queueNumber);
    chunk.attempts = wideEnough(chunk.attempts, facts.attempts);
    chunk.cost = wideEnough(chunk.cost, facts.cost);
    chunk.offset = wideEnough(chunk.offset, facts.offset);
    chunk.length = wideEnough(chunk.length, facts.length);
    chunk.lane[row] = lane;
    chunk.queueNumber[row] = facts.queueNumber;
    chunk.sequence[row] = facts.sequence;
    chunk.enqueuedAt[row] = facts.enqueuedAt;
    chunk.readyAt[row] = facts.readyAt;
    chunk.attempts[row] = facts.attempts;
    chunk.cost[row] = facts.cost;
    chunk.state[row] = MessageState.ready;
    chunk.record[row] = facts.record;
    chunk.offset[row] = facts.offset;
    chunk.length[row] = facts.length;
    chunk.page[row] = facts.page;
    chunk.next[row] = none;
    chunk.prev[row] = none;
    if (chunk.expiry !== undefined) {
      chunk.expiry.at[row] = 0;
      chunk.expiry.place[row] = none;
    }
    if (chunk.firstFailedAt !== undefined) chunk.firstFailedAt[row] = 0;
  }

  setLane(slot: number, lane: number): void {
    this.#chunk(slot).lane[slot & chunkMask] = lane;
  }
}

export interface NewMessage extends Place {
  /** The queue that it was enqueued to. */
  readonly queueNumber: number;
  readonly sequence: number;
  /** Wall clock, milliseconds. */
  readonly enqueuedAt: number;
  /** Its place in its lane is (readyAt, sequence). */
  readonly readyAt: number;
  readonly attempts: number;
  readonly cost: number;
}
