// Unary calls that may be made twice: reading, and settling with a token.
import { systemClock } from "../clock.ts";
import type { FilaError } from "../errors.ts";
import { Backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";

const maximumAttempts = 4;
const backoffOptions = { baseMs: 100, capMs: 1_000 };

/**
 * Makes the call again, up to 3 times within `timeoutMs` in all, while the server is unavailable or asks to come later.
 * `call` gets the milliseconds left. Rejects with FilaError.
 */
export async function retrying<T>(
  connection: Connection,
  timeoutMs: number,
  call: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  const backoff = new Backoff(systemClock, backoffOptions);
  const deadline = systemClock.now() + timeoutMs;
  for (let attempt = 1; ; attempt++) {
    try {
      connection.assertOpen();
      return await call(Math.max(1, Math.ceil(deadline - systemClock.now())));
    } catch (error) {
      const known = connection.explain(error);
      if (attempt >= maximumAttempts || !mayPass(known)) throw known;
      const waitMs = backoff.next(known.retryAfterMs);
      if (systemClock.now() + waitMs >= deadline) throw known;
      await new Promise<void>((resolve) => systemClock.after(waitMs, resolve));
    }
  }
}

function mayPass({ code, reason, retryAfterMs }: FilaError): boolean {
  return (code === "unavailable" && reason !== "CLIENT_CLOSED") || retryAfterMs !== undefined;
}
