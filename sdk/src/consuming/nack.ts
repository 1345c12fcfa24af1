// What a nack may ask for instead of the queue's retry policy.
import { milliseconds, type Duration } from "../duration.ts";
import { limits } from "../limits.ts";

export interface NackOptions {
  /** The message is delivered again after this time, 0 = at once, at most a year. Default: as the queue's retry policy says. */
  readonly delay?: Duration | undefined;
  /** Another attempt is of no use: to the dead-letter queue, `delay` or not. Default: false. */
  readonly deadLetter?: boolean | undefined;
}

/** NackOptions, checked. */
export interface NackOrder {
  readonly delayMs: number | undefined;
  readonly deadLetter: boolean;
}

/**
 * What a handler throws when another attempt is of no use: the message goes to the dead-letter queue at once, with `why` as
 * its last error. Thrown with a `cause`, that is for `onError`.
 */
export class DeadLetter extends Error {
  override readonly name = "DeadLetter";

  // eslint-disable-next-line @typescript-eslint/no-useless-constructor -- unlike an Error's, its text is not optional
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
  }
}

/** What a handler throws to have the message delivered again after a time of its own choice. It counts as an attempt. */
export class RetryAfter extends Error {
  override readonly name = "RetryAfter";
  readonly delayMs: number;

  /** `delay`: 0 = at once, at most a year. Throws FilaError invalid_argument INVALID_DURATION. */
  constructor(delay: Duration, why = "", options?: ErrorOptions) {
    const delayMs = milliseconds(delay, "delay", limits.delayMs);
    super(why === "" ? `to be tried again after ${delayMs} ms` : why, options);
    this.delayMs = delayMs;
  }
}

/** The order of a message that nobody can read. */
export const toDeadLetters: NackOrder = { delayMs: undefined, deadLetter: true };

/** undefined: as the queue's policy says. Throws FilaError invalid_argument INVALID_DURATION. */
export function nackOrder({ delay, deadLetter = false }: NackOptions): NackOrder | undefined {
  if (delay === undefined && !deadLetter) return undefined;
  const delayMs = delay === undefined ? undefined : milliseconds(delay, "delay", limits.delayMs);
  return { delayMs, deadLetter };
}

/** What a thrown value asks for. Never throws. */
export function orderOf(error: unknown): NackOrder | undefined {
  try {
    if (error instanceof DeadLetter) return toDeadLetters;
    if (error instanceof RetryAfter) return { delayMs: error.delayMs, deadLetter: false };
  } catch {
    // A proxy, which does not tell what it is.
  }
  return undefined;
}
