// The hooks of all queues, on the broker's side. Messages wait in a bounded list per script; up to `window` of each list
// are with the runner, in batches of what gathered within one round of the event loop. What the runner does not answer,
// because its thread died, is posted again: scripts have no side effects.
//
// A job: waiting -posted-> with the runner -its result, or the end of its thread as the culprit-> decided. It skips the
// runner when the breaker is open and there is no last good script. May never happen: a job that is decided twice, or never.
import type { EnqueueItem } from "../core/commands.ts";
import type { Failure } from "../core/errors.ts";
import type { HookAnswer } from "../core/retry-policy.ts";
import type * as port from "./port.ts";
import { JobBatch } from "./job-batch.ts";
import { type FailureJob, type FromRunner, type Results, column, columns, marks, statuses } from "./protocol.ts";
import type { HookClock, OpenLink, RunnerLink } from "./runner-link.ts";
import type { Budgets, ScriptFailure } from "./script-engine.ts";
import type { HookSlot } from "./slot.ts";
import { Job, Part } from "./slot.ts";
import { Slots } from "./slots.ts";
import { Trials } from "./trials.ts";
import { decidedAnswer, decidedItem, refused, tooManyWait, unchanged } from "./verdict.ts";
import { headersOf } from "./wire-fields.ts";

/** Messages of one script that are with the runner at a time. */
const window = 256;
/** Messages, and bytes, that wait for one script; bytes that wait for all of them. */
const maxWaiting = 10_000;
const maxBytes = 16 << 20;
const maxBytesInAll = 64 << 20;
/** For how long the core waits for an answer about an ended attempt. */
const answerMs = 1_000;
/** Threads that die in a row without a job at fault, after which what they had is given up. */
const hopelessLosses = 3;

export interface HookServiceOptions {
  readonly clock: HookClock;
  readonly budgets: Budgets;
  /** Failures in a row that open the breaker of a script. */
  readonly threshold: number;
  readonly cooldownMs: number;
  readonly openLink: OpenLink;
  /** For checks and trials. */
  readonly openTrialLink: OpenLink;
  readonly log: { warn(message: string, fields?: Readonly<Record<string, string | number>>): void };
  readonly observer?: port.HookObserver | undefined;
}

export class HookService implements port.Hooks {
  readonly #options: HookServiceOptions;
  readonly #slots: Slots;
  readonly #trials: Trials;
  #config: ReadonlyMap<string, string> = new Map();
  /** Opened with the first script. */
  #link: RunnerLink | undefined;
  readonly #batch = new JobBatch();
  #failureJobs: FailureJob[] = [];
  #flush: NodeJS.Immediate | undefined;
  /** With the runner, in the order in which they were posted. */
  readonly #posted = new Map<number, Job>();
  #nextJob = 1;
  #bytes = 0;
  #lossesInARow = 0;
  /** What everything is answered with from now on. */
  #stopped: Failure | undefined;
  #worked: (queueNumber: number, hook: port.HookName, source: string) => void = () => undefined;

  constructor(options: HookServiceOptions) {
    this.#options = options;
    this.#slots = new Slots(options);
    this.#trials = new Trials(options, () => this.#config);
  }

  load(queues: Iterable<port.HookedQueue>, config: ReadonlyMap<string, string>): void {
    this.#config = config;
    this.#link?.post({ type: "config", entries: config }, 0);
    this.#trials.forget();
    const gone = this.#slots.numbers();
    for (const queue of queues) {
      gone.delete(queue.number);
      this.queueSet(queue);
    }
    for (const number of gone) this.queueDeleted(number);
  }

  queueSet(queue: port.HookedQueue): void {
    for (const slot of this.#slots.set(queue)) this.#define(slot);
  }

  scriptSet(queue: string, hook: port.HookName): void {
    const slot = this.#slots.get(queue, hook);
    if (slot === undefined || slot.breaker.failures === 0) return;
    slot.reset();
    this.#define(slot);
  }

  queueDeleted(queueNumber: number): void {
    for (const slot of this.#slots.delete(queueNumber)) {
      // The core says that the queue is gone.
      this.#takeLeave(slot, (job) => this.#asRequested(job));
      this.#link?.post({ type: "drop", slot: slot.number }, 0);
    }
  }

  configSet(key: string, value: string): void {
    this.#link?.post({ type: "set", key, value }, 0);
    this.#trials.configSet(key, value);
  }

  onWorked(listener: (queueNumber: number, hook: port.HookName, source: string) => void): void {
    this.#worked = listener;
  }

  takes(queue: string): boolean {
    return this.#slots.takes(queue);
  }

  enqueue(queue: string, items: readonly EnqueueItem[], done: (verdicts: readonly port.Verdict[]) => void): void {
    const slot = this.#slots.get(queue, "on_enqueue");
    const stopped = this.#stopped;
    if (slot === undefined || stopped !== undefined) {
      done(stopped === undefined ? items : items.map(() => stopped));
      return;
    }
    const part = new Part(items.length, done);
    slot.parts.push(part);
    for (let index = 0; index < items.length; index += 1) {
      const item = items[index] as EnqueueItem;
      if (this.#isFull(slot)) part.set(index, tooManyWait(queue));
      else this.#add(new Job(slot, { part, index, item }, undefined));
    }
    this.#serve(slot);
    this.#flushSoon();
  }

  decide(question: port.FailureQuestion, answer: (answer: HookAnswer) => void): void {
    const slot = this.#slots.get(question.queue, "on_failure");
    if (slot === undefined || this.#stopped !== undefined || this.#isFull(slot)) {
      answer({ type: "policy" });
      return;
    }
    const until = this.#options.clock.mono() + answerMs;
    const { id, attempts, error, requestedDelayMs, doNotRetry, body } = question;
    const call = { id, attempts, error, requestedDelayMs, doNotRetry };
    // The body goes: its payload is not for this hook, and would take the room of those that wait.
    this.#add(new Job(slot, undefined, { call, headers: headersOf(body), until, answer }));
    this.#serve(slot);
    this.#flushSoon();
  }

  check(hook: port.HookName, source: string): Promise<ScriptFailure | port.Overloaded | undefined> {
    return this.#trials.check(hook, source);
  }

  try(trial: port.Trial): Promise<port.TrialResult | port.Overloaded> {
    return this.#trials.try(trial);
  }

  stateOf(queue: string, hook: port.HookName): port.HookState | undefined {
    const slot = this.#slots.get(queue, hook);
    return slot?.hasScript === true ? slot.stateAt(this.#options.clock.mono()) : undefined;
  }

  errorsOf(queue: string): readonly port.HookError[] {
    const errors = (["on_enqueue", "on_failure"] as const).flatMap(
      (hook) => this.#slots.get(queue, hook)?.errors ?? [],
    );
    return errors.sort((a, b) => b.at - a.at);
  }

  read(): port.HookReading {
    return this.#slots.read(this.#options.clock.mono());
  }

  async stop(failed: Failure): Promise<void> {
    this.#stopped = failed;
    clearImmediate(this.#flush);
    for (const slot of this.#slots.all()) {
      this.#takeLeave(slot, (job) => {
        job.enqueued?.part.set(job.enqueued.index, failed);
        job.failed?.answer({ type: "policy" });
      });
    }
    await Promise.all([this.#link?.stop(), this.#trials.stop()]);
    this.#link = undefined;
  }

  #isFull(slot: HookSlot): boolean {
    return slot.waiting.size >= maxWaiting || slot.bytes >= maxBytes || this.#bytes >= maxBytesInAll;
  }

  #add(job: Job): void {
    const { slot, bytes } = job;
    slot.waiting.push(job);
    slot.bytes += bytes;
    this.#bytes += bytes;
  }

  /** Posts what its window has room for, and answers calls that have all they need. */
  #serve(slot: HookSlot): void {
    while (slot.posted < window) {
      const job = slot.waiting.shift();
      if (job === undefined) break;
      this.#begin(job);
    }
    for (let part = slot.parts.first; part?.left === 0; part = slot.parts.first) {
      slot.parts.shift();
      part.done(part.verdicts);
    }
    if (slot.idle) this.#slots.retire(slot);
  }

  #begin(job: Job): void {
    const { slot, failed } = job;
    const now = this.#options.clock.mono();
    if (!slot.hasScript || (failed !== undefined && now > failed.until)) {
      this.#leaves(job);
      this.#asRequested(job);
      return;
    }
    const admission = slot.breaker.ask(now);
    job.mark = marks[admission];
    if (admission === "skip" && !slot.hasFallback) {
      this.#options.observer?.hookSkipped(slot.queueNumber);
      this.#leaves(job);
      this.#withoutDecision(job);
      return;
    }
    job.id = this.#nextJob;
    this.#nextJob = this.#nextJob === 0x7fff_ffff ? 1 : this.#nextJob + 1;
    slot.posted += 1;
    this.#posted.set(job.id, job);
    this.#gather(job);
  }

  #gather(job: Job): void {
    const { slot, enqueued, failed } = job;
    if (enqueued !== undefined) {
      const payloadAtMost = slot.seesPayload ? this.#options.budgets.stringBytes : -1;
      this.#batch.add(job.id, slot.number, job.mark, enqueued.item, payloadAtMost);
      if (this.#batch.full) this.#postBatch();
    } else if (failed !== undefined) {
      const { call, headers } = failed;
      this.#failureJobs.push({ job: job.id, slot: slot.number, mark: job.mark, call, headers });
    }
  }

  #postBatch(): void {
    const messages = this.#batch.size;
    if (messages > 0) this.#opened().post(this.#batch.take(this.#options.clock.wall()), messages);
  }

  /** With all that this round of the event loop brings: waking the runner costs more than posting does. */
  #flushSoon(): void {
    const gathered = this.#batch.size + this.#failureJobs.length;
    if (gathered === 0) return;
    this.#flush ??= setImmediate(() => this.#flushNow());
  }

  #flushNow(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    this.#postBatch();
    if (this.#failureJobs.length === 0) return;
    this.#opened().post({ type: "failed", jobs: this.#failureJobs }, this.#failureJobs.length);
    this.#failureJobs = [];
  }

  #opened(): RunnerLink {
    if (this.#link !== undefined) return this.#link;
    const events = {
      told: (message: Exclude<FromRunner, { type: "ready" }>) => {
        if (message.type === "results") this.#told(message);
      },
      lost: (culprit: number, why: string) => this.#lost(culprit, why),
    };
    this.#link = this.#options.openLink(events);
    this.#introduce(this.#link);
    return this.#link;
  }

  /** A runner that knows nothing learns what there is. */
  #introduce(link: RunnerLink): void {
    link.post({ type: "config", entries: this.#config }, 0);
    for (const slot of this.#slots.all()) {
      if (slot.hasScript) link.post({ type: "slot", definition: slot.definition }, 0);
    }
  }

  #define(slot: HookSlot): void {
    // Of a script that was taken away, the runner does what it has.
    if (!slot.hasScript) return;
    if (this.#link === undefined) {
      this.#opened();
      return;
    }
    // What was gathered before is of the version before.
    this.#flushNow();
    this.#link.post({ type: "slot", definition: slot.definition }, 0);
  }

  #told(results: Results): void {
    this.#lossesInARow = 0;
    const { rows } = results;
    let slot: HookSlot | undefined;
    for (let at = 0; at < rows.length; at += columns) {
      const job = this.#posted.get(rows[at + column.job] as number);
      if (job === undefined) continue;
      this.#posted.delete(job.id);
      if (slot !== undefined && slot !== job.slot) this.#serve(slot);
      ({ slot } = job);
      slot.posted -= 1;
      this.#leaves(job);
      this.#count(job, results, at);
      this.#decide(job, results, at);
    }
    if (slot !== undefined) this.#serve(slot);
    this.#flushSoon();
  }

  #count(job: Job, { rows, failures }: Results, at: number): void {
    const { slot } = job;
    const status = rows[at + column.status];
    const { observer } = this.#options;
    if (status === statuses.skipped) {
      observer?.hookSkipped(slot.queueNumber);
      return;
    }
    const version = rows[at + column.version] as number;
    const ms = rows[at + column.ms] as number;
    const warnings = rows[at + column.warnings] as number;
    const failure = status === statuses.failed ? failures[rows[at + column.failure] as number] : undefined;
    observer?.hookCalled(slot.queueNumber, ms, failure?.reason, warnings);
    if (failure !== undefined) {
      this.#failed(job, version, failure);
      return;
    }
    slot.succeeded(version, warnings);
    if (slot.worked || version !== slot.version) return;
    slot.worked = true;
    this.#worked(slot.queueNumber, slot.hook, slot.source);
  }

  #failed(job: Job, version: number, failure: ScriptFailure): void {
    const { clock, log } = this.#options;
    const { slot } = job;
    const { breaker } = slot;
    const wasClosed = breaker.stateAt(clock.mono()) === "closed";
    slot.failed(version, failure, job.failed?.call.id ?? "", clock.wall(), clock.mono());
    if (!wasClosed || breaker.stateAt(clock.mono()) === "closed") return;
    log.warn(
      `the ${slot.hook} script of queue "${slot.queue}" failed too often in a row and is not called for a while`,
      {
        queue: slot.queue,
        hook: slot.hook,
        script: slot.sha256,
        reason: failure.reason,
        line: failure.line,
        error: failure.message,
      },
    );
  }

  #decide(job: Job, results: Results, at: number): void {
    if (results.rows[at + column.decided] !== 1) {
      this.#withoutDecision(job);
      return;
    }
    const { enqueued, failed, slot } = job;
    enqueued?.part.set(enqueued.index, decidedItem(enqueued.item, slot.queueNumber, results, at));
    failed?.answer(decidedAnswer(results, at));
  }

  /** Neither the script nor the one before it have decided. */
  #withoutDecision(job: Job): void {
    const { enqueued, slot } = job;
    if (enqueued !== undefined && slot.mode === "reject") enqueued.part.set(enqueued.index, refused(slot));
    else this.#asRequested(job);
  }

  #asRequested({ enqueued, failed, slot }: Job): void {
    enqueued?.part.set(enqueued.index, unchanged(enqueued.item, slot.queueNumber));
    failed?.answer({ type: "policy" });
  }

  #leaves({ slot, bytes }: Job): void {
    slot.bytes -= bytes;
    this.#bytes -= bytes;
  }

  /** Everything of a script is answered now. */
  #takeLeave(slot: HookSlot, answer: (job: Job) => void): void {
    const jobs = slot.waiting.clear();
    for (const job of this.#posted.values()) if (job.slot === slot) jobs.push(job);
    for (const job of jobs) {
      if (this.#posted.delete(job.id)) slot.posted -= 1;
      this.#leaves(job);
      answer(job);
    }
    this.#serve(slot);
  }

  /** Another runner is in place. */
  #lost(culpritId: number, why: string): void {
    const { observer, log } = this.#options;
    observer?.hookThreadLost();
    this.#batch.clear();
    this.#failureJobs = [];
    const culprit = this.#posted.get(culpritId);
    this.#lossesInARow = culprit === undefined ? this.#lossesInARow + 1 : 0;
    log.warn(`the thread of the hooks was lost: ${why}`, {
      ...(culprit !== undefined && { queue: culprit.slot.queue, hook: culprit.slot.hook }),
    });
    const failure: ScriptFailure = { reason: "watchdog", line: 0, message: why };
    const again = [...this.#posted.values()];
    if (culprit?.mark === marks.skip) culprit.slot.dropFallback();
    else if (culprit !== undefined) {
      observer?.hookCalled(culprit.slot.queueNumber, undefined, failure.reason, 0);
      this.#failed(culprit, culprit.slot.version, failure);
    }
    if (this.#link !== undefined) this.#introduce(this.#link);
    const givenUp = this.#lossesInARow >= hopelessLosses;
    for (const job of again) {
      if (job === culprit) job.mark = marks.skip;
      const undone = job.slot.hasScript ? job === culprit && !job.slot.hasFallback : true;
      if (givenUp || undone) this.#giveUp(job);
      else this.#gather(job);
    }
    for (const slot of this.#slots.all()) this.#serve(slot);
    this.#flushNow();
  }

  #giveUp(job: Job): void {
    this.#posted.delete(job.id);
    job.slot.posted -= 1;
    this.#leaves(job);
    if (job.mark === marks.probe) job.slot.breaker.withdrawn();
    if (job.slot.hasScript) this.#withoutDecision(job);
    else this.#asRequested(job);
  }
}
