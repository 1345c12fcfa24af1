// (queue number, sequence) -> slot, for the whole broker: open addressing over 32-bit slots, split into partitions that
// grow one by one, so that no growth stops the world or needs three times the memory at once.

const partitionBits = 8;
const partitionCount = 1 << partitionBits;
const smallest = 16;

class Partition {
  /** slot + 1; 0 = empty. */
  slots = new Int32Array(smallest);
  size = 0;
}

export interface SlotIdentity {
  sequenceOf(slot: number): number;
  queueNumberOf(slot: number): number;
}

function hash(queueNumber: number, sequence: number): number {
  const low = sequence | 0;
  const high = Math.floor(sequence / 0x1_0000_0000) | 0;
  let h = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b) ^ Math.imul(queueNumber, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

export class MessageIndex {
  readonly #partitions: Partition[] = Array.from({ length: partitionCount }, () => new Partition());
  readonly #identity: SlotIdentity;

  constructor(identity: SlotIdentity) {
    this.#identity = identity;
  }

  get size(): number {
    return this.#partitions.reduce((sum, partition) => sum + partition.size, 0);
  }

  get(queueNumber: number, sequence: number): number | undefined {
    const h = hash(queueNumber, sequence);
    const { slots } = this.#partitions[h & (partitionCount - 1)] as Partition;
    const mask = slots.length - 1;
    for (let at = (h >>> partitionBits) & mask; ; at = (at + 1) & mask) {
      const entry = slots[at] as number;
      if (entry === 0) return undefined;
      const slot = entry - 1;
      if (this.#identity.sequenceOf(slot) === sequence && this.#identity.queueNumberOf(slot) === queueNumber)
        return slot;
    }
  }

  /** The pair must not be there yet. */
  add(queueNumber: number, sequence: number, slot: number): void {
    const h = hash(queueNumber, sequence);
    const partition = this.#partitions[h & (partitionCount - 1)] as Partition;
    if ((partition.size + 1) * 4 > partition.slots.length * 3) this.#resize(partition, partition.slots.length * 2);
    place(partition.slots, h, slot);
    partition.size += 1;
  }

  remove(queueNumber: number, sequence: number, slot: number): void {
    const h = hash(queueNumber, sequence);
    const partition = this.#partitions[h & (partitionCount - 1)] as Partition;
    const { slots } = partition;
    const mask = slots.length - 1;
    let at = (h >>> partitionBits) & mask;
    while (slots[at] !== slot + 1) at = (at + 1) & mask;
    this.#closeGap(slots, at);
    partition.size -= 1;
    // Rarely, and then by much: with every halving, a purge would make twice as much garbage outside of the heap.
    const fewer = Math.max(smallest, slots.length / 4);
    if (fewer < slots.length && partition.size * 16 < slots.length) this.#resize(partition, fewer);
  }

  /** Moves later entries of the run back, so that no markers of deleted entries pile up. */
  #closeGap(slots: Int32Array, start: number): void {
    const mask = slots.length - 1;
    let gap = start;
    for (let at = (gap + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = this.#home((slots[at] as number) - 1, mask);
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        slots[gap] = slots[at] as number;
        gap = at;
      }
    }
    slots[gap] = 0;
  }

  #home(slot: number, mask: number): number {
    const h = hash(this.#identity.queueNumberOf(slot), this.#identity.sequenceOf(slot));
    return (h >>> partitionBits) & mask;
  }

  #resize(partition: Partition, length: number): void {
    const old = partition.slots;
    partition.slots = new Int32Array(length);
    for (const entry of old) {
      if (entry === 0) continue;
      const slot = entry - 1;
      place(partition.slots, hash(this.#identity.queueNumberOf(slot), this.#identity.sequenceOf(slot)), slot);
    }
  }
}

function place(slots: Int32Array, h: number, slot: number): void {
  const mask = slots.length - 1;
  let at = (h >>> partitionBits) & mask;
  while (slots[at] !== 0) at = (at + 1) & mask;
  slots[at] = slot + 1;
}
