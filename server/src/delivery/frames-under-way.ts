import type { StreamIntake } from "./stream-intake.ts";

/** What one stream may have under way: received, and its results not yet taken by the transport. */
export const maxFramesUnderWay = 64;
export const maxBytesUnderWay = 4 * 1024 * 1024;

interface UnderWay<Frame, Result> {
  readonly frame: Frame;
  readonly bytes: number;
  result: Result | undefined;
}

/**
 * Brings results into the order of their frames, and holds the client back while too much is under way: reading pauses
 * at 64 frames or 4 MiB and goes on below. A single frame of any size passes.
 */
export class FramesUnderWay<Frame, Result> {
  readonly #waiting: UnderWay<Frame, Result>[] = [];
  readonly #intake: StreamIntake;
  readonly #emit: (frame: Frame, result: Result) => void;
  #frames = 0;
  #bytes = 0;
  #emittedFrames = 0;
  #emittedBytes = 0;
  #paused = false;

  constructor(intake: StreamIntake, emit: (frame: Frame, result: Result) => void) {
    this.#intake = intake;
    this.#emit = emit;
  }

  /** Nothing waits for its result. */
  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Takes a frame in; the function returned takes its result. */
  begin(frame: Frame, bytes: number): (result: Result) => void {
    const entry: UnderWay<Frame, Result> = { frame, bytes, result: undefined };
    this.#waiting.push(entry);
    this.#frames++;
    this.#bytes += bytes;
    if (!this.#paused && this.#full()) {
      this.#paused = true;
      this.#intake.pause();
    }
    return (result) => {
      entry.result = result;
      this.#emitReady();
    };
  }

  #emitReady(): void {
    for (let head = this.#waiting[0]; head?.result !== undefined; head = this.#waiting[0]) {
      this.#waiting.shift();
      this.#emittedFrames++;
      this.#emittedBytes += head.bytes;
      this.#emit(head.frame, head.result);
    }
  }

  /** What was emitted since the last flush is being written; the function returned tells that it was taken. */
  flushed(): () => void {
    const frames = this.#emittedFrames;
    const bytes = this.#emittedBytes;
    this.#emittedFrames = 0;
    this.#emittedBytes = 0;
    return () => {
      this.#frames -= frames;
      this.#bytes -= bytes;
      if (this.#paused && !this.#full()) {
        this.#paused = false;
        this.#intake.resume();
      }
    };
  }

  #full(): boolean {
    return this.#frames >= maxFramesUnderWay || this.#bytes >= maxBytesUnderWay;
  }
}
