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
