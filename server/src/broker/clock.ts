// Time as the shell sees it, so that a test can put its own in.

import type { Now } from "../core/turn.ts";

export interface Clock {
  /** Monotonic, milliseconds. */
  mono(): number;
  /** Wall clock, milliseconds, whole. */
  wall(): number;
  /** Calls `fire` once, not before that many milliseconds; the result cancels it. */
  after(ms: number, fire: () => void): () => void;
}

/** Both clocks are to be of one moment, within this many milliseconds. */
const momentMs = 0.1;
const attempts = 5;

/**
 * Both clocks at one moment. Between two looks the process may stand still, and then a delay that ends by the monotonic
 * clock would end before the time that the wall clock's stamps promise: so it looks again, a few times.
 */
export function readClocks(clock: Clock): Now {
  for (let attempt = 1; ; attempt += 1) {
    const mono = clock.mono();
    const wall = clock.wall();
    if (attempt === attempts || clock.mono() - mono < momentMs) return { mono, wall };
  }
}

/** Beyond this, Node's timers fire at once. */
const longestTimer = 2 ** 31 - 1;

export const systemClock: Clock = {
  mono: () => performance.now(),
  wall: () => Date.now(),
  after: (ms, fire) => {
    // Node cuts fractions off, which would be early.
    const timer = setTimeout(fire, Math.min(Math.ceil(ms), longestTimer));
    return () => clearTimeout(timer);
  },
};
