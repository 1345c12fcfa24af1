// Unary calls that may be made twice: reading, and settling with a token.
import { systemClock, type Clock } from "../clock.ts";
import type { FilaError } from "../errors.ts";
import { Backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";

const maximumAttempts = 4;
const backoffOptions = { baseMs: 100, capMs: 1_000 };

/**
 * Makes the call again, up to 3 times within `timeoutMs` in all, when its connection broke or the server asks to come
 * later. Where no server is reached at all it is not made again: that is no accident of one call. `call` gets the
 * milliseconds left. Rejects with FilaError.
 */
export async function retrying<T>(
  connection: Pick<Connection, "assertOpen" | "explain">,
  timeoutMs: number,
  call: (timeoutMs: number) => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  const backoff = new Backoff(clock, backoffOptions);
  const deadline = clock.now() + timeoutMs;
  for (let attempt = 1; ; attempt++) {
    try {
      connection.assertOpen();
      return await call(Math.max(1, Math.ceil(deadline - clock.now())));
    } catch (error) {
      const known = connection.explain(error);
      if (attempt >= maximumAttempts || !mayPass(known)) throw known;
      const waitMs = backoff.next(known.retryAfterMs);
      if (clock.now() + waitMs >= deadline) throw known;
      await new Promise<void>((resolve) => clock.after(waitMs, resolve));
    }
  }
}

function mayPass({ code, reason, retryAfterMs }: FilaError): boolean {
  if (reason === "CLIENT_CLOSED" || reason === "CONNECTION_FAILED") return false;
  return code === "unavailable" || retryAfterMs !== undefined;
}
