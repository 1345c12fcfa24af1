// A byte stream cut at newlines; the bytes of a line are not touched.
import { UsageError } from "./command-failure.ts";

const newline = 10;
/** Far above any message limit; keeps an input without newlines from filling the memory. */
const maximumLineBytes = 64 * 1024 * 1024;

/**
 * Each line without its newline; a carriage return stays. The last line counts without a newline too.
 * Throws UsageError for a line of more than 64 MiB.
 */
export async function* splitLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const tail = chunk.subarray(start, end);
      yield begun.length === 0 ? tail : Buffer.concat([...begun, tail]);
      begun = [];
      begunBytes = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    begun.push(chunk.subarray(start));
    begunBytes += chunk.length - start;
    if (begunBytes > maximumLineBytes)
      throw new UsageError(`a line of the input is longer than ${maximumLineBytes} bytes`);
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}

/** Nothing but spaces, tabs and a carriage return. */
export function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 32 || byte === 9 || byte === 13);
}

/** Some editors put one before the first line of a file; it is no part of the text. */
export function withoutByteOrderMark(line: Uint8Array): Uint8Array {
  return line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line;
}

/** The bytes of a stream that is destroyed once `signal` aborts: that is its end then, and no failure. */
export async function* untilDestroyed(
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* input;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
