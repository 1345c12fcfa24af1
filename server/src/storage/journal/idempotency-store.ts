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

interface Mark {
  /** Uses up to this commit are released. */
  readonly commit: number;
  readonly key: KeyHash;
}

interface OfQueue {
  readonly segments: Segment[];
  /** Marks of released keys by their text, the oldest first; those found at start come in any order. */
  released: Map<string, Mark>;
  sorted: boolean;
}

/** By the commit under way. */
interface Release {
  readonly queueNumber: number;
  readonly key: KeyHash;
  usedAgain: boolean;
}

/** Deletions that a commit takes along when a queue is gone. */
const deletionsPerCommit = 1_000;

export class IdempotencyStore {
  readonly #queues = new Map<number, OfQueue>();
  #used = new Map<number, KeyUsedMutation[]>();
  #releases = new Map<string, Release>();
  /** How many keys of which queues the commit under way forgets. */
  #forgotten = new Map<number, number>();
  /** Of deleted queues. */
  readonly #dead: Uint8Array[] = [];
  readonly #out = new ByteWriter();

  used(mutation: KeyUsedMutation): void {
    if (this.#releases.size > 0) {
      const release = this.#releases.get(markName(mutation.queueNumber, mutation.key));
      if (release !== undefined) release.usedAgain = true;
    }
    const uses = this.#used.get(mutation.queueNumber);
    if (uses === undefined) this.#used.set(mutation.queueNumber, [mutation]);
    else uses.push(mutation);
  }

  released({ queueNumber, key }: KeyReleasedMutation): void {
    this.#releases.set(markName(queueNumber, key), { queueNumber, key, usedAgain: false });
  }

  /** The oldest ones; those of the commit under way may be among them. */
  forgotten(queueNumber: number, count: number): void {
    this.#forgotten.set(queueNumber, count + (this.#forgotten.get(queueNumber) ?? 0));
  }

  #forget(queueNumber: number, count: number, ops: Op[]): void {
    const { segments } = this.#of(queueNumber);
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
    this.#forgetMarks(queueNumber, ops);
  }

  /** Those that are of no use any more: no use of before that commit is left. */
  #forgetMarks(queueNumber: number, ops: Op[]): void {
    const of = this.#of(queueNumber);
    const before = of.segments[0]?.commit ?? Infinity;
    if (!of.sorted) of.released = new Map([...of.released].sort(([, a], [, b]) => a.commit - b.commit));
    of.sorted = true;
    for (const [name, { commit, key }] of of.released) {
      if (commit >= before) return;
      of.released.delete(name);
      ops.push({ del: releasedKey(queueNumber, key) });
    }
  }

  queueDeleted(queueNumber: number): void {
    const { segments, released } = this.#of(queueNumber);
    for (const { commit } of segments) this.#dead.push(idempotencyKey(queueNumber, commit));
    for (const { key } of released.values()) this.#dead.push(releasedKey(queueNumber, key));
    this.#queues.delete(queueNumber);
    // What the same turn did before.
    this.#used.delete(queueNumber);
    this.#forgotten.delete(queueNumber);
    for (const [name, release] of this.#releases) {
      if (release.queueNumber === queueNumber) this.#releases.delete(name);
    }
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
    // New ones: see Numbering.clear.
    if (this.#used.size > 0) this.#used = new Map();
    for (const [name, release] of this.#releases) this.#writeMark(name, release, commit, ops);
    if (this.#releases.size > 0) this.#releases = new Map();
    for (const [queueNumber, count] of this.#forgotten) this.#forget(queueNumber, count, ops);
    if (this.#forgotten.size > 0) this.#forgotten = new Map();
    for (const del of this.#dead.splice(0, deletionsPerCommit)) ops.push({ del });
  }

  #writeMark(name: string, { queueNumber, key, usedAgain }: Release, commit: number, ops: Op[]): void {
    const put = releasedKey(queueNumber, key);
    // A use of the same commit that came after the release counts; one that came before it is forgotten for the later one.
    const upTo = usedAgain ? commit - 1 : commit;
    this.#out.varint(upTo);
    ops.push({ put, value: seal(put, this.#out.take(envelopeBytes)) });
    const { released } = this.#of(queueNumber);
    // Behind those of before, also where it replaces one of them.
    released.delete(name);
    released.set(name, { commit: upTo, key });
  }

  /** At start. */
  foundSegment(queueNumber: number, commit: number, keys: number): void {
    this.#of(queueNumber).segments.push({ commit, left: keys });
  }

  foundReleased(queueNumber: number, commit: number, key: KeyHash): void {
    const of = this.#of(queueNumber);
    of.released.set(markName(queueNumber, key), { commit, key });
    of.sorted = false;
  }

  #of(queueNumber: number): OfQueue {
    let known = this.#queues.get(queueNumber);
    if (known === undefined) {
      known = { segments: [], released: new Map(), sorted: true };
      this.#queues.set(queueNumber, known);
    }
    return known;
  }
}

function markName(queueNumber: number, { a, b, c, d }: KeyHash): string {
  return `${queueNumber}:${a}:${b}:${c}:${d}`;
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
