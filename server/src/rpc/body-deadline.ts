// Ends requests whose body does not arrive. Node's own timeouts do not cover HTTP/2, and one timer per request would
// cost more than the small requests themselves: so one timer serves all, and only while some body is outstanding.
import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";

export class BodyDeadline {
  readonly #timeoutMs: number;
  /** Insertion order is the order of deadlines, as all have the same duration. */
  readonly #startedAt = new Map<ServerHttp2Stream, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** The body of this stream must have been read to its end in time. */
  watch(stream: ServerHttp2Stream): void {
    this.#startedAt.set(stream, performance.now());
    this.#timer ??= setTimeout(() => this.#expire(), this.#timeoutMs).unref();
  }

  /** To be called when the stream is closed. */
  forget(stream: ServerHttp2Stream): void {
    this.#startedAt.delete(stream);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#startedAt.clear();
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [stream, startedAt] of this.#startedAt) {
      const leftMs = startedAt + this.#timeoutMs - now;
      // A timer may fire up to a millisecond early.
      if (leftMs > 1) {
        this.#timer = setTimeout(() => this.#expire(), leftMs).unref();
        return;
      }
      this.#startedAt.delete(stream);
      // A long poll has its whole body and is still open: that is none of our business.
      if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
    }
  }
}
