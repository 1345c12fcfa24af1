// One hook of one queue on the broker's side: its script, its breaker, what waits for it, and what it has done.
import type { EnqueueItem } from "../core/commands.ts";
import type { HookErrorMode } from "../core/queue-settings.ts";
import type { HookAnswer } from "../core/retry-policy.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { Fifo } from "./fifo.ts";
import type { HookError, HookName, HookState, Verdict } from "./port.ts";
import type { FailureJob, SlotDefinition } from "./protocol.ts";
import type { ScriptFailure } from "./script-engine.ts";
import { sha256 } from "./trial.ts";

/** Errors of a hook that are kept. */
const errorsKept = 16;
/** What a message counts as, besides its bytes. */
const messageOverhead = 128;

/** Messages of one call, which is answered as a whole. */
export class Part {
  readonly verdicts: Verdict[];
  left: number;
  readonly done: (verdicts: readonly Verdict[]) => void;

  constructor(messages: number, done: (verdicts: readonly Verdict[]) => void) {
    this.verdicts = new Array<Verdict>(messages);
    this.left = messages;
    this.done = done;
  }

  set(index: number, verdict: Verdict): void {
    this.verdicts[index] = verdict;
    this.left -= 1;
  }
}

export interface Enqueued {
  readonly part: Part;
  readonly index: number;
  readonly item: EnqueueItem;
}

export interface Failed {
  readonly call: FailureJob["call"];
  /** In wire form. */
  readonly headers: Uint8Array;
  /** Monotonic clock; after it, nobody waits for the answer. */
  readonly until: number;
  readonly answer: (answer: HookAnswer) => void;
}

/** A message that waits for a script, or is with the runner. */
export class Job {
  id = 0;
  mark = 0;
  readonly slot: HookSlot;
  readonly enqueued: Enqueued | undefined;
  readonly failed: Failed | undefined;
  readonly bytes: number;

  constructor(slot: HookSlot, enqueued: Enqueued | undefined, failed: Failed | undefined) {
    this.slot = slot;
    this.enqueued = enqueued;
    this.failed = failed;
    this.bytes = messageOverhead + (enqueued?.item.body ?? failed?.headers ?? noBytes).byteLength;
  }
}

const noBytes = new Uint8Array();

export interface Script {
  readonly source: string;
  /** Asked when the script fails; "" = none. */
  readonly lastGood: string;
  /** It has answered before, and that is written down. */
  readonly worked: boolean;
}

export class HookSlot {
  readonly number: number;
  readonly queueNumber: number;
  readonly queue: string;
  readonly hook: HookName;
  readonly breaker: Breaker;
  readonly waiting = new Fifo<Job>();
  readonly parts = new Fifo<Part>();
  /** With the runner. */
  posted = 0;
  /** Bytes of what waits or is with the runner. */
  bytes = 0;
  mode: HookErrorMode = "default";
  seesPayload = false;
  worked = false;
  deleted = false;
  #source = "";
  #fallback: string | undefined;
  /** A fallback that has ended a thread. */
  #deadly = "";
  #sha256 = "";
  #version = 0;
  /** Of the version before, whose results may still come. */
  #sha256Before = "";
  #calls = 0;
  #failures = 0;
  #warnings = 0;
  #lastFailure: ScriptFailure | undefined;
  readonly #errors: HookError[] = [];
  readonly #options: BreakerOptions;

  constructor(number: number, queueNumber: number, queue: string, hook: HookName, options: BreakerOptions) {
    this.number = number;
    this.queueNumber = queueNumber;
    this.queue = queue;
    this.hook = hook;
    this.breaker = new Breaker(options);
    this.#options = options;
  }

  get source(): string {
    return this.#source;
  }

  get hasScript(): boolean {
    return this.#source !== "";
  }

  get hasFallback(): boolean {
    return this.#fallback !== undefined;
  }

  get sha256(): string {
    return this.#sha256;
  }

  get version(): number {
    return this.#version;
  }

  get errors(): readonly HookError[] {
    return this.#errors;
  }

  get lastFailure(): ScriptFailure | undefined {
    return this.#lastFailure;
  }

  /** Nothing is left of it that anybody waits for. */
  get idle(): boolean {
    return this.parts.size === 0 && this.waiting.size === 0 && this.posted === 0;
  }

  /** true: the runner has to know. */
  set({ source, lastGood, worked }: Script, mode: HookErrorMode): boolean {
    const another = source !== this.#source;
    if (another || mode !== this.mode) this.#deadly = "";
    const fallback = mode === "last_good" && lastGood !== "" && lastGood !== this.#deadly ? lastGood : undefined;
    const changed = another || fallback !== this.#fallback;
    this.mode = mode;
    this.worked = worked;
    this.#fallback = fallback;
    if (another) {
      this.#source = source;
      this.reset();
      this.#sha256 = source === "" ? "" : sha256(source);
    }
    return changed;
  }

  /** The script begins anew, as far as its failures are concerned. */
  reset(): void {
    this.#version += 1;
    this.#sha256Before = this.#sha256;
    this.#lastFailure = undefined;
    this.breaker.reset();
  }

  /** It has ended a thread, and is asked no more as long as neither script nor mode change. */
  dropFallback(): void {
    this.#deadly = this.#fallback ?? "";
    this.#fallback = undefined;
  }

  /** For a runner, which may be a new one. */
  get definition(): SlotDefinition {
    return {
      slot: this.number,
      version: this.#version,
      queue: this.queue,
      hook: this.hook,
      source: this.#source,
      fallback: this.#fallback,
      failures: this.breaker.failures,
      ...this.#options,
    };
  }

  succeeded(version: number, warnings: number): void {
    this.#calls += 1;
    this.#warnings += warnings;
    if (version === this.#version) this.breaker.succeeded();
  }

  failed(version: number, failure: ScriptFailure, messageId: string, wall: number, mono: number): void {
    this.#calls += 1;
    this.#failures += 1;
    const current = version === this.#version;
    const hash = current ? this.#sha256 : this.#sha256Before;
    this.#errors.unshift({ ...failure, at: wall, hook: this.hook, sha256: hash, messageId });
    if (this.#errors.length > errorsKept) this.#errors.pop();
    if (!current) return;
    this.#lastFailure = failure;
    this.breaker.failed(mono);
  }

  stateAt(mono: number): HookState {
    return {
      source: this.#source,
      sha256: this.#sha256,
      breaker: this.breaker.stateAt(mono),
      calls: this.#calls,
      failures: this.#failures,
      warnings: this.#warnings,
    };
  }
}
