// Requests in JSON. A message object costs the broker hundreds of times the two bytes that "{}" cost its client: so JSON
// has limits of its own, which hold before the library makes anything of it.
import { failure } from "../core/errors.ts";
import { connectError } from "./connect-error.ts";

/** What a request may hold beside one message of the largest size. */
const BESIDE_ONE_MESSAGE_BYTES = 1024 * 1024;
/** Objects and lists of one request: those of a full batch, with room for braces in texts. */
const MAX_PARTS = 64 * 1024;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/** A payload is base64, which takes 4 bytes for 3. */
export function jsonReadMaxBytes(maxMessageBytes: number, readMaxBytes: number): number {
  return Math.min(readMaxBytes, BESIDE_ONE_MESSAGE_BYTES + Math.ceil(maxMessageBytes / 3) * 4);
}

/** From bytes to text for the library's parser: refuses what would take it too long, and what is no text. */
export class JsonText {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  decode(bytes: Uint8Array): string {
    if (bytes.length > this.#maxBytes) {
      throw connectError(
        failure(
          "MESSAGE_TOO_LARGE",
          `the request is ${bytes.length} bytes of JSON, and the broker reads ${this.#maxBytes}; send less in one request, ` +
            `or protobuf (up to limits.read_max_bytes)`,
        ),
      );
    }
    let parts = 0;
    for (const byte of bytes) if (byte === OPEN_BRACE || byte === OPEN_BRACKET) parts++;
    if (parts > MAX_PARTS) {
      const message = `the request holds ${parts} objects and lists of JSON, and the broker reads ${MAX_PARTS}; send less at once`;
      throw connectError(failure("INVALID_REQUEST", message));
    }
    try {
      return this.#decoder.decode(bytes);
    } catch {
      throw connectError(failure("INVALID_REQUEST", "the JSON is not valid UTF-8"));
    }
  }
}
