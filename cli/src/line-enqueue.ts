// `fila enqueue --lines`: a message per line, streamed.
import type { EnqueueMessage, EnqueueOptions, Fila } from "@fila/sdk";
import { splitLines } from "./lines.ts";
import type { LineKey } from "./line-key.ts";

/** What became of the lines. */
export interface LinesResult {
  readonly enqueued: number;
  readonly failed: number;
  /** Reading ended before the end of the input: what is behind `enqueued` + `failed` lines was not sent. */
  readonly stopped: boolean;
  /** The first ten that differ from the one before; `line` counts from 1. */
  readonly errors: readonly { readonly line: number; readonly error: Error }[];
}

const maximumErrorsKept = 10;

/**
 * Enqueues each line of `input`. A line that is refused for itself is counted and the others go on; any other error
 * (no such queue, server gone, input that cannot be read) ends the reading. So does `signal`; what was sent until then
 * gets its results.
 */
export async function enqueueLines(
  fila: Fila,
  queue: string,
  input: AsyncIterable<Uint8Array>,
  options: EnqueueOptions,
  lineKey: LineKey | undefined,
  signal: AbortSignal,
): Promise<LinesResult> {
  let stopped = false;
  let atEnd = false;
  async function* messages(): AsyncGenerator<EnqueueMessage> {
    for await (const payload of splitLines(input)) {
      if (stopped || signal.aborted) return;
      yield lineKey === undefined
        ? { ...options, payload }
        : { ...options, payload, fairnessKey: lineKey.keyOf(payload) };
    }
    atEnd = true;
  }
  let line = 0;
  let enqueued = 0;
  const errors: { line: number; error: Error }[] = [];
  try {
    for await (const result of fila.enqueueMany(queue, messages())) {
      line++;
      if (result.ok) {
        enqueued++;
        continue;
      }
      const repeated = errors.at(-1)?.error.message === result.error.message;
      if (errors.length < maximumErrorsKept && !repeated) errors.push({ line, error: result.error });
      if (result.error.code !== "invalid_argument" || result.error.reason === "INVALID_QUEUE_NAME") stopped = true;
    }
  } catch (error) {
    // The input. It comes after the results of all that was read before.
    errors.push({ line: line + 1, error: error instanceof Error ? error : new Error(String(error)) });
  }
  return { enqueued, failed: line - enqueued, stopped: !atEnd, errors };
}
