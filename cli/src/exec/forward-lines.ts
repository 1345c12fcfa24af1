// The output of a command, passed on as whole lines: those of commands that run at the same time do not mix.
import type { Readable } from "node:stream";

const newline = 10;
/** A line that grows beyond this is passed on in pieces. */
const maximumHeldBytes = 64 * 1024;
/** As much of the last line is kept. */
const maximumLastLineBytes = 4 * 1024;

/**
 * Reads a stream to its end and gives what came to `write`, waiting for it. Resolves with the last line that was not
 * blank, or "". Rejects with what `write` rejects with; the stream is destroyed then.
 */
export async function forwardLines(source: Readable, write: (bytes: Uint8Array) => Promise<void>): Promise<string> {
  let held = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      tail = Buffer.concat([tail, chunk]).subarray(-maximumLastLineBytes);
      held = Buffer.concat([held, chunk]);
      const end = held.length > maximumHeldBytes ? held.length : held.lastIndexOf(newline) + 1;
      if (end === 0) continue;
      await write(held.subarray(0, end));
      held = held.subarray(end);
    }
  } catch (error) {
    // A stream that was given up after the command's end is over; what came until then is forwarded below.
    if ((error as { code?: unknown }).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
  if (held.length > 0) await write(held);
  return (
    tail
      .toString()
      .split("\n")
      .map((line) => line.trim())
      .findLast((line) => line !== "") ?? ""
  );
}
