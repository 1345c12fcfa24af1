// `fila enqueue --lines` and `--ndjson`: a message per line, streamed.
import type { EnqueueMessage, Fila } from "@fila/sdk";
import { splitLines } from "./lines.ts";

/** A line and why it was refused; `line` counts from 1. */
export interface LineFailure {
  readonly line: number;
  readonly error: Error;
}

/** The message of a line; undefined: none, the line is passed over. Throws when the line is none that can be sent. */
export type MessageOfLine = (line: Uint8Array) => EnqueueMessage | undefined;

const maximumErrorsKept = 10;

/**
 * Enqueues each line of an input. A line that is refused for itself is counted and the others go on; any other error
 * (no such queue, server gone, input that cannot be read) ends the reading. So does the signal; what was sent until then
 * gets its results.
 */
export class LineEnqueue {
  enqueued = 0;
  /** Were stored before, under the same idempotency key. */
  duplicates = 0;
  failed = 0;
  /** Reading ended before the end of the input: what is behind `lastLine` was not sent. */
  stopped = true;
  /** The last line that was read, from 1; 0: none. */
  lastLine = 0;
  readonly #errors: LineFailure[] = [];
  readonly #messageOf: MessageOfLine;
  readonly #signal: AbortSignal;
  /** The lines of messages without a result, in order; the SDK bounds how many they are. */
  readonly #underWay: number[] = [];
  #broken = false;

  constructor(messageOf: MessageOfLine, signal: AbortSignal) {
    this.#messageOf = messageOf;
    this.#signal = signal;
  }

  /** Messages that were sent and have no answer. */
  get underWay(): number {
    return this.#underWay.length;
  }

  /** The first of those that were kept: ten at most, none of them repeating the one before. */
  get errors(): readonly LineFailure[] {
    return this.#errors.toSorted((a, b) => a.line - b.line);
  }

  /** To be called once. `onResult` is told of each answer. Never rejects. */
  async run(fila: Fila, queue: string, input: AsyncIterable<Uint8Array>, onResult: () => void): Promise<void> {
    try {
      for await (const result of fila.enqueueMany(queue, this.#messages(input))) {
        const line = this.#underWay.shift()!;
        if (result.ok) {
          if (result.duplicate) this.duplicates++;
          else this.enqueued++;
        } else {
          this.#refused(line, result.error);
          const { code, reason } = result.error;
          if (code !== "invalid_argument" || reason === "INVALID_QUEUE_NAME") this.#broken = true;
        }
        onResult();
      }
    } catch (error) {
      // The input. It comes after the results of all that was read before.
      this.#keep(this.lastLine + 1, error);
    }
  }

  async *#messages(input: AsyncIterable<Uint8Array>): AsyncGenerator<EnqueueMessage> {
    for await (const line of splitLines(input)) {
      if (this.#broken || this.#signal.aborted) return;
      this.lastLine++;
      let message: EnqueueMessage | undefined;
      try {
        message = this.#messageOf(line);
      } catch (error) {
        this.#refused(this.lastLine, error);
        continue;
      }
      if (message === undefined) continue;
      this.#underWay.push(this.lastLine);
      yield message;
    }
    this.stopped = this.#signal.aborted;
  }

  #refused(line: number, error: unknown): void {
    this.failed++;
    this.#keep(line, error);
  }

  #keep(line: number, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const repeated = this.#errors.at(-1)?.error.message === error.message;
    if (this.#errors.length < maximumErrorsKept && !repeated) this.#errors.push({ line, error });
  }
}
