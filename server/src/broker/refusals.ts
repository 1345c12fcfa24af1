// Why the broker takes a call no further, whatever the call is.
import { type Failure, failure } from "../core/errors.ts";

export function draining(): Failure {
  return failure("DRAINING", "the broker is stopping; reconnect and try again", { retryAfterMs: 1_000 });
}

export function unavailable(): Failure {
  return failure(
    "STORAGE_UNAVAILABLE",
    "the store rejected a write, so the outcome of this call is unknown; the broker reopens the store: try again",
    { retryAfterMs: 500 },
  );
}

export function storageFull(): Failure {
  return failure(
    "STORAGE_FULL",
    "the disk of the data directory is full; free space, the broker then goes on by itself",
    {
      retryAfterMs: 1_000,
    },
  );
}

export function overloaded(): Failure {
  return failure("OVERLOADED", "too many bytes wait to be written; slow down and try again", { retryAfterMs: 100 });
}

export function unreadable(): Failure {
  return failure("STORAGE_UNAVAILABLE", "the store could not be read; try again, and look into the broker's log", {
    retryAfterMs: 500,
  });
}
