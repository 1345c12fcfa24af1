// Time and chance as arguments, so that what waits can be tested without waiting.

export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** Runs it once, not before `ms`. Gives the function that cancels it. */
  after(ms: number, run: () => void): () => void;
  /** From 0 to 1, 1 excluded. */
  random(): number;
}

/** The machine's own. Its timers keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    // What is longer would run at once.
    const timer = setTimeout(run, Math.min(ms, 0x7fffffff));
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
