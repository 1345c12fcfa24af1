// The way to whoever runs the scripts. There are two: a runner in this thread (in-thread-link.ts), and one in a thread of
// its own (thread-link.ts).
import type { FromRunner, ToRunner } from "./protocol.ts";

export interface RunnerEvents {
  /** Results, checks and trials. */
  told(message: Exclude<FromRunner, { type: "ready" }>): void;
  /**
   * The runner is gone, and with it all it knew and had to do; another one is in its place, and knows nothing yet.
   * @param culprit the job that it was about; 0 = none
   */
  lost(culprit: number, why: string): void;
}

export interface RunnerLink {
  /** Messages come in the order in which they were posted. `jobs`: how many answers are owed for it. */
  post(message: ToRunner, jobs: number): void;
  stop(): Promise<void>;
}

export type OpenLink = (events: RunnerEvents) => RunnerLink;

/** Time as the hooks see it. */
export interface HookClock {
  /** Monotonic, milliseconds. */
  mono(): number;
  /** Wall clock, milliseconds, whole. */
  wall(): number;
  /** Calls `fire` once, not before that many milliseconds; the result cancels it. */
  after(ms: number, fire: () => void): () => void;
}
