// A runner in a thread of its own, watched from here. A thread that makes no progress with a job is ended, and the spare one,
// which is warm, takes its place; so it is with a thread that dies.
//
// States of a thread: starting -ready-> spare | current; spare -the current one is lost-> current; current -no progress
// with a job for 500 ms, or its own end-> lost. May never happen: a word of a lost thread that is still heard; two threads
// that are current.
import { Worker } from "node:worker_threads";
import type { HookClock, OpenLink, RunnerEvents, RunnerLink } from "./runner-link.ts";
import { type FromRunner, type ToRunner, columns, progress } from "./protocol.ts";
import type { Budgets } from "./script-engine.ts";

/** Without progress for so long, a thread is ended; it is looked at twice in that time. */
export const patienceMs = 500;
const lookMs = patienceMs / 2;
/** A look that comes so late says something about this thread rather than about the other. */
const longestLookMs = lookMs * 1.5;
/** Between a thread that died before it was ready and the next one. */
const restartMs = 250;

export interface ThreadOptions {
  /** The program of the thread. */
  readonly entry: URL;
  readonly budgets: Budgets;
  readonly clock: HookClock;
  /** Whether a second thread stands by. */
  readonly spare: boolean;
}

export interface ThreadData {
  readonly shared: SharedArrayBuffer;
  readonly budgets: Budgets;
}

class Thread {
  readonly worker: Worker;
  readonly progress: Int32Array;
  ready = false;

  constructor({ entry, budgets }: ThreadOptions) {
    const shared = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
    this.progress = new Int32Array(shared);
    const workerData: ThreadData = { shared, budgets };
    // Of what this program was started with (a text to evaluate, say), the thread needs nothing.
    this.worker = new Worker(entry, { workerData, name: "hooks", execArgv: [] });
    this.worker.unref();
  }

  get steps(): number {
    return Atomics.load(this.progress, progress.steps);
  }

  get job(): number {
    return Atomics.load(this.progress, progress.job);
  }
}

export function openThread(options: ThreadOptions): OpenLink {
  return (events) => new ThreadLink(options, events);
}

class ThreadLink implements RunnerLink {
  readonly #options: ThreadOptions;
  readonly #events: RunnerEvents;
  #current: Thread;
  #spare: Thread | undefined;
  #owed = 0;
  #stopped = false;
  #cancelLook: (() => void) | undefined;
  #cancelRestart: (() => void) | undefined;
  /** What the last look saw, when it was, and for how long nothing has changed. */
  #seen = 0;
  #lookedAt = 0;
  #stillMs = 0;
  readonly #ending = new Set<Promise<unknown>>();

  constructor(options: ThreadOptions, events: RunnerEvents) {
    this.#options = options;
    this.#events = events;
    this.#current = this.#start();
  }

  post(message: ToRunner, jobs: number): void {
    if (this.#stopped) return;
    this.#current.worker.postMessage(message);
    if (jobs === 0) return;
    if (this.#owed === 0) this.#current.worker.ref();
    this.#owed += jobs;
    this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    this.#cancelRestart?.();
    await Promise.all([this.#current.worker.terminate(), this.#spare?.worker.terminate(), ...this.#ending]);
  }

  #start(): Thread {
    const thread = new Thread(this.#options);
    thread.worker.on("message", (message: FromRunner) => this.#told(thread, message));
    thread.worker.on("error", (error) => this.#died(thread, error instanceof Error ? error.message : String(error)));
    thread.worker.on("exit", () => this.#died(thread, "it ended by itself"));
    return thread;
  }

  #told(thread: Thread, message: FromRunner): void {
    if (message.type === "ready") {
      thread.ready = true;
      if (thread === this.#current && this.#options.spare && !this.#stopped) this.#spare ??= this.#start();
      return;
    }
    if (thread !== this.#current || this.#stopped) return;
    this.#owed -= message.type === "results" ? Math.min(this.#owed, message.rows.length / columns) : 1;
    if (this.#owed <= 0) this.#rest();
    this.#events.told(message);
  }

  #rest(): void {
    this.#owed = 0;
    this.#current.worker.unref();
    this.#cancelLook?.();
    this.#cancelLook = undefined;
  }

  #watch(): void {
    if (this.#cancelLook !== undefined) return;
    this.#seen = this.#current.steps;
    this.#stillMs = 0;
    this.#look();
  }

  #look(): void {
    const { clock } = this.#options;
    this.#lookedAt = clock.mono();
    this.#cancelLook = clock.after(lookMs, () => {
      const { steps, job } = this.#current;
      const moves = steps !== this.#seen || job === 0;
      this.#seen = steps;
      this.#stillMs = moves ? 0 : this.#stillMs + Math.min(clock.mono() - this.#lookedAt, longestLookMs);
      if (this.#stillMs < patienceMs) this.#look();
      else this.#lose(`a script made no progress for ${patienceMs} ms and was ended from outside`);
    });
  }

  #died(thread: Thread, why: string): void {
    if (this.#stopped) return;
    if (thread === this.#spare) {
      this.#spare = undefined;
      return;
    }
    if (thread !== this.#current) return;
    if (thread.ready) this.#lose(why);
    // A program that cannot start is tried again, but not as fast as it goes.
    else this.#cancelRestart ??= this.#options.clock.after(restartMs, () => this.#lose(why));
  }

  #lose(why: string): void {
    this.#cancelLook?.();
    this.#cancelLook = undefined;
    this.#cancelRestart = undefined;
    const { worker, job } = this.#current;
    this.#end(worker);
    this.#owed = 0;
    this.#current = this.#spare ?? this.#start();
    this.#spare = undefined;
    if (this.#options.spare && this.#current.ready) this.#spare = this.#start();
    this.#events.lost(job, why);
  }

  #end(worker: Worker): void {
    const ending = worker.terminate().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
