import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { envelopeBytes } from "./call.ts";
import { GrowingBytes } from "./growing-bytes.ts";

const compressedFlag = 1;
const endStreamFlag = 2;

const nothing = Buffer.alloc(0);

/** Cuts a body into messages. A message within one chunk is a view of it; others are put together as they come. */
export class EnvelopeReader {
  readonly #maxBytes: number;
  #chunk: Buffer = nothing;
  /** Where the unread part of the chunk begins. */
  #at = 0;
  readonly #head = new GrowingBytes();
  readonly #message = new GrowingBytes();
  /** Length of the message whose head was read; -1 = the head comes next. */
  #length = -1;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    // A chunk that is not used up yet: its reader was held back in the middle of it.
    const rest = this.#at < this.#chunk.length;
    this.#chunk = rest ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
  }

  /** Whether the body may end here. */
  get atBoundary(): boolean {
    return this.#at === this.#chunk.length && this.#length < 0 && this.#head.length === 0;
  }

  /** The next message; undefined = not yet there. After a failure there is no going on. */
  next(): Buffer | Failure | undefined {
    if (this.#length < 0) {
      const head = this.#take(this.#head, envelopeBytes);
      if (head === undefined) return undefined;
      const length = head.readUInt32BE(1);
      const wrong = envelopeFailure(head[0]!, length, this.#maxBytes);
      if (wrong !== undefined) return wrong;
      this.#length = length;
    }
    const message = this.#take(this.#message, this.#length);
    if (message !== undefined) this.#length = -1;
    return message;
  }

  /** As many bytes: a view of the chunk, or what `partial` has of them and the rest; undefined = not all there. */
  #take(partial: GrowingBytes, bytes: number): Buffer | undefined {
    const from = this.#at;
    const to = Math.min(this.#chunk.length, from + bytes - partial.length);
    const part = this.#chunk.subarray(from, to);
    this.#at = to;
    if (part.length === bytes) return part;
    partial.add(part, bytes);
    return partial.length === bytes ? partial.take() : undefined;
  }
}

/** What is wrong with the head of an envelope of a request. */
export function envelopeFailure(flags: number, length: number, maxBytes: number): Failure | undefined {
  if (flags !== 0) {
    if (flags === compressedFlag) {
      // The code that gRPC's specification wants here.
      return failure("INTERNAL", "a message is flagged as compressed, but no encoding was named; send it plain");
    }
    const what = flags === endStreamFlag ? "the flag of an end of stream" : `unknown flags ${flags}`;
    return failure("INVALID_REQUEST", `a message of the request has ${what}; send it with flags 0`);
  }
  return length > maxBytes ? requestTooLarge(length, maxBytes) : undefined;
}

export function requestTooLarge(bytes: number, maxBytes: number): Failure {
  return failure(
    "MESSAGE_TOO_LARGE",
    `the request is ${bytes} bytes long; the limit is ${maxBytes}: send less at once`,
  );
}

export function truncated(): Failure {
  return failure("INVALID_REQUEST", "the request ends within a message; send it whole");
}
