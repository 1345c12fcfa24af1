// Time as the shell sees it, so that a test can put its own in.

export interface Clock {
  /** Monotonic, milliseconds. */
  mono(): number;
  /** Wall clock, milliseconds, whole. */
  wall(): number;
  /** Calls `fire` once, not before that many milliseconds; the result cancels it. */
  after(ms: number, fire: () => void): () => void;
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
