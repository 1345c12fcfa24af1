import { WireWriter } from "./wire-writer.ts";

/** A response with many messages ends here; a single message may be larger. */
const capBytes = 256 * 1024;
/** Writers that wait for their next use. Their memory is what idle streams do not hold. */
const pool: WireWriter[] = [];
const pooled = 16;

/**
 * Gathers the responses of one stream, each in its envelope, until they are taken in one piece. While nothing is
 * gathered it holds no memory.
 */
export class ResponseFrames {
  #writer: WireWriter | undefined = undefined;
  /** Length of what was gathered where the open envelope begins; -1 = none is open. */
  #openAt = -1;

  /** About as many bytes will be gathered now: memory is taken once, instead of growing and moving on the way. */
  expect(bytes: number): void {
    this.#use().reserve(bytes);
  }

  #use(): WireWriter {
    return (this.#writer ??= pool.pop() ?? new WireWriter());
  }

  /** A writer within a response that takes about `bytes` more: the open one while there is room, else a new one. */
  room(bytes: number): WireWriter {
    const writer = this.#use();
    if (this.#openAt >= 0 && writer.length - this.#openAt + bytes > capBytes) this.close();
    if (this.#openAt < 0) {
      this.#openAt = writer.length;
      writer.beginEnvelope();
    }
    return writer;
  }

  /** Ends the open response. */
  close(): void {
    if (this.#openAt < 0) return;
    this.#writer?.finishEnvelope();
    this.#openAt = -1;
  }

  /** Everything gathered, or undefined when there is nothing. Never written to again. */
  take(): Buffer | undefined {
    const writer = this.#writer;
    if (writer === undefined) return undefined;
    this.close();
    this.#writer = undefined;
    const taken = writer.take();
    if (pool.length < pooled) pool.push(writer);
    return taken;
  }

  /** Forgets what was gathered. */
  discard(): void {
    this.take();
  }
}
