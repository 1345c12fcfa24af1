// Why the broker takes a call no further, whatever the call is.
import { type Failure, failure } from "../core/errors.ts";
import type { ScriptFailure } from "../hooks/script-engine.ts";

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

/** @param field of the request, "on_enqueue_script" or "on_failure_script" */
export function scriptInvalid(field: string, { reason, line, message }: ScriptFailure): Failure {
  const where = line === 0 ? "" : `line ${line}: `;
  return failure("SCRIPT_INVALID", `${field}: ${where}${message}; correct the script`, {
    field,
    metadata: { script_error: reason, line: String(line) },
  });
}

export function noHooks(field: string): Failure {
  return failure("NOT_IMPLEMENTED", `${field}: this broker was started without hooks; leave the script out`);
}

export function trialsOverloaded(): Failure {
  return failure("HOOK_OVERLOADED", "too many scripts are being checked and tried; try again", { retryAfterMs: 500 });
}
