// The enqueues of a client to a queue go over one StreamEnqueue stream: what is called together shares a frame, and a few
// frames are under way at once.
import { FilaError } from "../errors.ts";
import type { Connection } from "../transport/connection.ts";
import type { MessageStream } from "../transport/message-stream.ts";
import type { OutgoingMessage } from "../wire/outgoing-message.ts";
import { EnqueueFrame, perMessageBytes } from "./enqueue-frame.ts";
import type { Sink } from "./sink.ts";

/** Frames under way. More than a few only cut the same messages into smaller commits. */
const maximumFramesUnderWay = 4;
/** An unused stream ends after this time, so that a program that forgot to close can still exit. */
const idleMs = 2_000;

/** What has no result yet, on all streams of a client. */
export interface PendingBytes {
  bytes: number;
  readonly maximum: number;
}

/**
 * Stream: none ─first frame─▶ open ─idle, error or end by the server─▶ none. When it breaks, every message that has no
 * result yet is rejected, as some of them may be stored; the next message opens a new stream.
 * Frame: filling ─full, or its flush is due─▶ waiting ─fewer than 4 under way, transport writable─▶ under way ─results─▶ done.
 */
export class EnqueueStream {
  readonly #connection: Connection;
  readonly #pending: PendingBytes;
  #stream: MessageStream | undefined;
  #writable = true;
  #nextFrame = 1;
  #filling: EnqueueFrame | undefined;
  #waiting: EnqueueFrame[] = [];
  #underWay: EnqueueFrame[] = [];
  #flushDue = false;
  #lastFrameBytes = 1024;
  #idleTimer: NodeJS.Timeout | undefined;
  #idleSince = 0;
  #whenIdle: (() => void)[] = [];

  constructor(connection: Connection, pending: PendingBytes) {
    this.#connection = connection;
    this.#pending = pending;
  }

  /** Takes a checked message; `sink` gets its result. Never throws. */
  submit(message: OutgoingMessage, sink: Sink): void {
    if (this.#pending.bytes >= this.#pending.maximum) {
      sink.reject(bufferFull(this.#pending.maximum));
      return;
    }
    let frame = this.#filling;
    if (frame === undefined || !frame.add(message, sink)) {
      this.#seal();
      frame = new EnqueueFrame(this.#nextFrame++, message.queue, this.#lastFrameBytes);
      this.#filling = frame;
      frame.add(message, sink);
    }
    this.#pending.bytes += message.payload.length + perMessageBytes;
    if (frame.full) this.#seal();
    this.#scheduleFlush();
  }

  /** Resolves when every message has its result. */
  async idle(): Promise<void> {
    while (this.busy) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Ends the stream; what has no result is rejected. */
  close(): void {
    clearInterval(this.#idleTimer);
    this.#idleTimer = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.end();
    this.#failAll(new FilaError("unavailable", "CLIENT_CLOSED", "the client was closed before the result came"));
  }

  /** Some message has no result yet. */
  get busy(): boolean {
    return this.#filling !== undefined || this.#waiting.length > 0 || this.#underWay.length > 0;
  }

  /**
   * With nothing under way a frame leaves at the end of the current microtasks: nothing is gained by waiting. With
   * frames under way it leaves at the end of the loop's turn, so that all who were just answered can join it.
   */
  #scheduleFlush(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    const flush = (): void => {
      this.#flushDue = false;
      this.#flush();
    };
    if (this.#underWay.length === 0) queueMicrotask(flush);
    else setImmediate(flush);
  }

  #seal(): void {
    if (this.#filling === undefined) return;
    this.#lastFrameBytes = this.#filling.bytes;
    this.#waiting.push(this.#filling);
    this.#filling = undefined;
  }

  #flush(): void {
    while (this.#writable && this.#underWay.length < maximumFramesUnderWay) {
      if (this.#waiting.length === 0) this.#seal();
      const frame = this.#waiting.shift();
      if (frame === undefined) return;
      this.#stream ??= this.#open();
      this.#underWay.push(frame);
      this.#writable = this.#stream.send(frame.encoded());
    }
  }

  #open(): MessageStream {
    this.#writable = true;
    this.#idleSince = performance.now();
    this.#idleTimer ??= setInterval(() => this.#endWhenIdle(), idleMs).unref();
    const stream: MessageStream = this.#connection.stream("StreamEnqueue", {
      message: (bytes) => {
        if (stream === this.#stream) this.#results(bytes);
      },
      writable: () => {
        if (stream !== this.#stream) return;
        this.#writable = true;
        this.#flush();
      },
      closed: (error) => {
        if (stream === this.#stream) this.#broken(error);
      },
    });
    return stream;
  }

  #results(bytes: Uint8Array): void {
    const frame = this.#underWay.shift();
    if (frame === undefined) throw new FilaError("internal", "PROTOCOL_ERROR", "results came for a frame never sent");
    try {
      frame.settle(bytes);
    } catch (error) {
      frame.fail(FilaError.from(error));
      throw error;
    } finally {
      this.#release(frame);
    }
    if (this.#filling !== undefined || this.#waiting.length > 0) this.#scheduleFlush();
    else if (this.#underWay.length === 0) this.#becameIdle();
  }

  #release(frame: EnqueueFrame): void {
    this.#pending.bytes -= frame.pendingBytes;
  }

  #becameIdle(): void {
    this.#idleSince = performance.now();
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #endWhenIdle(): void {
    if (this.busy || performance.now() - this.#idleSince < idleMs) return;
    clearInterval(this.#idleTimer);
    this.#idleTimer = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.end();
  }

  #broken(error: FilaError | undefined): void {
    this.#stream = undefined;
    clearInterval(this.#idleTimer);
    this.#idleTimer = undefined;
    const ended = new FilaError("unavailable", "CONNECTION_LOST", "the server ended the stream before the result came");
    this.#failAll(error ?? ended);
  }

  #failAll(error: FilaError): void {
    this.#seal();
    const frames = [...this.#underWay, ...this.#waiting];
    this.#underWay = [];
    this.#waiting = [];
    this.#writable = true;
    for (const frame of frames) {
      this.#release(frame);
      frame.fail(error);
    }
    this.#becameIdle();
  }
}

function bufferFull(maximum: number): FilaError {
  return new FilaError(
    "resource_exhausted",
    "BUFFER_FULL",
    `${maximum} bytes wait for their results already; await earlier enqueues, use enqueueMany, or raise maximumPendingBytes`,
  );
}
