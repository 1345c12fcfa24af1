// Idempotency keys in the store. The keys that one commit used stand together in one record per queue; records go, whole,
// when all of their keys are forgotten, which happens in the order of their use. A key that was released has a mark of its
// own until the record that used it has gone.
import type { KeyHash } from "../../core/idempotency.ts";
import type { KeyReleasedMutation, KeyUsedMutation } from "../../core/mutations.ts";
import type { Op } from "../port.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { envelopeBytes, seal } from "./envelope.ts";
import { hashIn, idempotencyKey, releasedKey } from "./keys.ts";

/** One use of a key, as it is stored. */
export interface StoredUse {
  readonly key: KeyHash & { readonly text: string };
  readonly sequence: number;
  /** Wall clock. */
  readonly enqueuedAt: number;
  readonly expiresAt: number;
}

interface Segment {
  readonly commit: number;
  /** Keys that are not forgotten. */
  left: number;
}

interface OfQueue {
  readonly segments: Segment[];
  /** Marks of released keys, with the commit of their release. */
  readonly released: { readonly commit: number; readonly key: KeyHash }[];
}

/** Deletions that a commit takes along when a queue is gone. */
const deletionsPerCommit = 1_000;

export class IdempotencyStore {
  readonly #queues = new Map<number, OfQueue>();
  readonly #used = new Map<number, KeyUsedMutation[]>();
  /** Of deleted queues. */
  readonly #dead: Uint8Array[] = [];
  readonly #out = new ByteWriter();

  used(mutation: KeyUsedMutation): void {
    const uses = this.#used.get(mutation.queueNumber);
    if (uses === undefined) this.#used.set(mutation.queueNumber, [mutation]);
    else uses.push(mutation);
  }

  released({ queueNumber, key }: KeyReleasedMutation, commit: number, ops: Op[]): void {
    const put = releasedKey(queueNumber, key);
    this.#out.varint(commit);
    ops.push({ put, value: seal(put, this.#out.take(envelopeBytes)) });
    this.#of(queueNumber).released.push({ commit, key });
  }

  forgotten(queueNumber: number, count: number, ops: Op[]): void {
    const { segments, released } = this.#of(queueNumber);
    for (let left = count; left > 0;) {
      const oldest = segments[0];
      if (oldest === undefined) break;
      const some = Math.min(left, oldest.left);
      oldest.left -= some;
      left -= some;
      if (oldest.left > 0) break;
      ops.push({ del: idempotencyKey(queueNumber, oldest.commit) });
      segments.shift();
    }
    while (released[0] !== undefined && released[0].commit < (segments[0]?.commit ?? Infinity)) {
      ops.push({ del: releasedKey(queueNumber, released[0].key) });
      released.shift();
    }
  }

  queueDeleted(queueNumber: number): void {
    const { segments, released } = this.#of(queueNumber);
    for (const { commit } of segments) this.#dead.push(idempotencyKey(queueNumber, commit));
    for (const { key } of released) this.#dead.push(releasedKey(queueNumber, key));
    this.#queues.delete(queueNumber);
  }

  /** The records of the commit under way. */
  close(commit: number, ops: Op[]): void {
    for (const [queueNumber, uses] of this.#used) {
      const put = idempotencyKey(queueNumber, commit);
      for (const { key, sequence, enqueuedAt, expiresAt } of uses) {
        for (const word of [key.a, key.b, key.c, key.d]) this.#out.uint32(word);
        this.#out.string(key.text);
        this.#out.varint(sequence);
        this.#out.varint(enqueuedAt);
        this.#out.varint(expiresAt);
      }
      ops.push({ put, value: seal(put, this.#out.take(envelopeBytes)) });
      this.foundSegment(queueNumber, commit, uses.length);
    }
    this.#used.clear();
    for (const del of this.#dead.splice(0, deletionsPerCommit)) ops.push({ del });
  }

  /** At start. */
  foundSegment(queueNumber: number, commit: number, keys: number): void {
    this.#of(queueNumber).segments.push({ commit, left: keys });
  }

  foundReleased(queueNumber: number, commit: number, key: KeyHash): void {
    const { released } = this.#of(queueNumber);
    released.push({ commit, key });
    released.sort((a, b) => a.commit - b.commit);
  }

  #of(queueNumber: number): OfQueue {
    let known = this.#queues.get(queueNumber);
    if (known === undefined) {
      known = { segments: [], released: [] };
      this.#queues.set(queueNumber, known);
    }
    return known;
  }
}

export function readUses(value: Uint8Array): StoredUse[] {
  const reader = new ByteReader(value, envelopeBytes);
  const uses: StoredUse[] = [];
  while (!reader.done) {
    const words = { a: reader.uint32(), b: reader.uint32(), c: reader.uint32(), d: reader.uint32() };
    const key = { ...words, text: reader.string() };
    uses.push({ key, sequence: reader.varint(), enqueuedAt: reader.varint(), expiresAt: reader.varint() });
  }
  return uses;
}

/** The key that the mark is of, and the commit of its release. */
export function readReleased(key: Uint8Array, value: Uint8Array): { readonly key: KeyHash; readonly commit: number } {
  return { key: hashIn(key), commit: new ByteReader(value, envelopeBytes).varint() };
}
