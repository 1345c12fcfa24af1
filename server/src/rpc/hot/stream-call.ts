import type { ServerHttp2Stream } from "node:http2";
import { codeOf, deadlineExceeded, stopping } from "../wire/failure-wire.ts";
import type { WireFailure } from "../wire/failure-wire.ts";
import type { StreamHandler, StreamMethod, StreamTransport } from "./call.ts";
import { EnvelopeReader, truncated } from "./envelope-reader.ts";
import { closeRequestHalf, isOver, sendTrailers } from "./http2-call.ts";
import type { CallContext, CallStart, Http2Call } from "./http2-call.ts";
import { endOfStream, grpcTrailers, respondFailure } from "./protocols.ts";

const canceled = 1;

/**
 * One streaming call over HTTP/2, by hand.
 *
 * States: live → ended → over.
 * live: requests are read and handed over, unless the handler holds them back; responses are written.
 * ended: the handler, the deadline or the server has ended it; the status is on its way.
 * over: the stream is closed. From live that means the client is gone, which the handler is told.
 */
export class StreamCall implements Http2Call, StreamTransport {
  #state: "live" | "ended" | "over" = "live";
  #code = canceled;
  #headersSent = false;
  #paused = false;
  #bodyEnded = false;
  /** The handler was told that no more requests come. */
  #inputClosed = false;
  #deadline: NodeJS.Timeout | undefined = undefined;
  #writing = false;
  /** Behind the write under way. Node would join them and call back for all of them together, when the last has left. */
  readonly #waiting: { readonly responses: Buffer; readonly taken: () => void }[] = [];
  readonly #reader: EnvelopeReader;
  readonly #startedAt: number;
  readonly #context: CallContext;
  readonly #start: CallStart;
  readonly #stream: ServerHttp2Stream;
  readonly #handler: StreamHandler;
  readonly #stopWatching: () => void;

  constructor(context: CallContext, start: CallStart, method: StreamMethod) {
    this.#context = context;
    this.#start = start;
    const { stream } = start;
    this.#stream = stream;
    this.#startedAt = context.onCall === undefined ? 0 : performance.now();
    this.#reader = new EnvelopeReader(context.hotLimits.readMaxBytes);
    context.active.add(this);
    stream.on("close", () => this.#closed());
    const timeoutMs = start.protocol.timeoutMs(start.headers, context.hotLimits.maxTimeoutMs);
    this.#handler = method(context, start.caller, this);
    this.#stopWatching = start.caller.watch(() => {
      if (this.#state === "live") this.#handler.accessChanged();
    });
    if (typeof timeoutMs === "object") this.#abandon(timeoutMs);
    else if (timeoutMs !== undefined) this.#deadline = setTimeout(() => this.#tooLate(), timeoutMs);
    stream.on("data", (chunk: Buffer) => {
      if (this.#state !== "live") return;
      this.#reader.push(chunk);
      this.#pump();
    });
    stream.on("end", () => {
      this.#bodyEnded = true;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#state === "live" && !this.#paused && !this.#inputClosed && !isOver(this.#stream)) {
      const next = this.#reader.next();
      if (next === undefined) {
        if (this.#bodyEnded) this.#endInput();
        return;
      }
      if (Buffer.isBuffer(next)) this.#handler.message(next);
      else {
        this.#inputClosed = true;
        this.#handler.refuse(next);
      }
    }
  }

  #endInput(): void {
    this.#inputClosed = true;
    if (this.#reader.atBoundary) this.#handler.inputEnded();
    else this.#handler.refuse(truncated());
  }

  opened(): void {
    if (this.#state !== "live" || this.#headersSent || isOver(this.#stream)) return;
    this.#headersSent = true;
    const { protocol } = this.#start;
    const trailers = protocol.name === "grpc";
    this.#stream.respond({ ":status": 200, "content-type": protocol.contentType }, { waitForTrailers: trailers });
  }

  write(responses: Buffer, taken: () => void): void {
    const stream = this.#stream;
    if (this.#state !== "live" || isOver(stream)) return;
    this.opened();
    if (this.#writing) this.#waiting.push({ responses, taken });
    else this.#writeNow(responses, taken);
  }

  #writeNow(responses: Buffer, taken: () => void): void {
    const stream = this.#stream;
    this.#writing = true;
    stream.write(responses, () => {
      // Node calls back without an error for the write that a reset interrupts. A stream that is over tells its handler.
      if (stream.destroyed || this.#state === "over") return;
      taken();
      const next = this.#waiting.shift();
      if (next === undefined) this.#writing = false;
      else this.#writeNow(next.responses, next.taken);
    });
  }

  end(failed: WireFailure | undefined): void {
    const { protocol } = this.#start;
    const stream = this.#stream;
    if (this.#state !== "live" || isOver(stream)) return;
    clearTimeout(this.#deadline);
    if (!this.#headersSent && failed === undefined) this.opened();
    for (const { responses, taken } of this.#waiting.splice(0)) this.#writeNow(responses, taken);
    this.#state = "ended";
    this.#code = failed === undefined ? 0 : codeOf(failed);
    if (!this.#headersSent && failed !== undefined) respondFailure(stream, protocol, failed);
    else if (protocol.name === "grpc") {
      sendTrailers(stream, grpcTrailers(failed));
      stream.end();
    } else stream.end(endOfStream(failed));
    closeRequestHalf(stream, this.#context.hotLimits);
  }

  pause(): void {
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // First what was read already: it may fill the handler again.
    this.#pump();
    if (!this.#isPaused()) this.#stream.resume();
  }

  #isPaused(): boolean {
    return this.#paused;
  }

  /** Ends the call from this side: the handler is told that its client is gone, the client why. */
  #abandon(failed: WireFailure): void {
    if (this.#state !== "live") return;
    this.#handler.gone();
    this.end(failed);
  }

  #tooLate(): void {
    this.#abandon(deadlineExceeded("the deadline of the stream passed; open another one"));
  }

  #closed(): void {
    clearTimeout(this.#deadline);
    this.#stopWatching();
    const wasLive = this.#state === "live";
    this.#state = "over";
    if (wasLive) this.#handler.gone();
    this.#context.active.delete(this);
    const { method, protocol } = this.#start;
    this.#context.onCall?.({
      method,
      protocol: protocol.name,
      code: this.#code,
      durationMs: performance.now() - this.#startedAt,
    });
    this.#context.over(this);
  }

  drain(): void {
    if (this.#state === "live") this.#handler.drain();
  }

  stop(): void {
    this.#abandon(stopping());
  }
}
