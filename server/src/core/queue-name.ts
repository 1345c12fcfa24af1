// The rule for the name of a queue, the same wherever a name comes in.
import { failure } from "./errors.ts";
import type { Failure } from "./errors.ts";

/** The suffix of a dead-letter queue; it does not count towards the length of a name. */
export const dlqSuffix = ".dlq";
export const maxQueueNameBytes = 255;

// C0, DEL and C1, and the byte order mark, which some decoders drop: they make two names look alike.
// eslint-disable-next-line no-control-regex -- control characters are what this looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\ufeff]/;

/** Why `name` cannot be the name of a queue; undefined = it can. */
export function queueNameFailure(name: string): Failure | undefined {
  const base = name.endsWith(dlqSuffix) ? name.slice(0, -dlqSuffix.length) : name;
  if (base.length === 0) {
    return nameFailure(
      name === ""
        ? "the name of the queue is empty; name a queue of 1 to 255 bytes"
        : `queue name ".dlq" has nothing before its suffix; name a queue of 1 to 255 bytes`,
    );
  }
  // Any string of up to 85 UTF-16 units fits: 3 bytes each at most.
  if (base.length > 85 && utf8Length(base) > maxQueueNameBytes) {
    return nameFailure(`the name of the queue is ${utf8Length(base)} bytes long; shorten it to at most 255 bytes`);
  }
  if (controlCharacter.test(base)) {
    return nameFailure("the name of the queue holds a control character; use printable characters");
  }
  if (!base.isWellFormed()) {
    return nameFailure("the name of the queue holds half of a surrogate pair; use valid Unicode");
  }
  return undefined;
}

function nameFailure(message: string): Failure {
  return failure("INVALID_QUEUE_NAME", message, { field: "queue" });
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}
