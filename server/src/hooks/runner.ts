// Runs scripts for the service, in whatever thread it lives: one list of jobs per script, served round robin, up to 10 ms
// each, so that a slow script holds up its own queue only. What it knows of a script's failures in a row is what makes the
// breaker exact: jobs that were under way when it opened are not called any more.
import { Fifo } from "./fifo.ts";
import {
  type FailureJob,
  type FromRunner,
  type SlotDefinition,
  type ToRunner,
  type TrialOrder,
  marks,
  metaFields,
} from "./protocol.ts";
import { ResultBatch } from "./result-batch.ts";
import type {
  Budgets,
  CallResult,
  CompiledScript,
  EnqueueCall,
  EnqueueDecision,
  FailureCall,
  FailureDecision,
  HookName,
  ScriptEngine,
  ScriptFailure,
  ScriptWorld,
} from "./script-engine.ts";
import { runTrial, sha256 } from "./trial.ts";
import { WireHeaders } from "./wire-fields.ts";

/** For how long one script is served in a row, unless a single call takes longer. */
const sliceMs = 10;
/** Results that are told at once, and for how long one waits for others at most. */
const resultsAtOnce = 64;
const untoldMs = 1;
/** A call that took so long is long: what was done before is told first. */
const longCallMs = 0.2;

export type EngineFactory = (world: ScriptWorld, budgets: Budgets) => ScriptEngine;

export interface RunnerHost {
  tell(message: FromRunner): void;
  /** A job begins; 0: none is under way. For the watchdog. */
  begins(job: number): void;
  wall(): number;
  /** Milliseconds. */
  mono(): number;
  random(): number;
}

type Compiled = CompiledScript | ScriptFailure;
type Job =
  | {
      readonly id: number;
      readonly mark: number;
      readonly enqueue: Omit<EnqueueCall, "queue">;
      readonly failure?: undefined;
    }
  | {
      readonly id: number;
      readonly mark: number;
      readonly failure: Omit<FailureCall, "queue">;
      readonly enqueue?: undefined;
    };
type Decision = EnqueueDecision | FailureDecision;

const unused = { steps: 0, bytes: 0 };

class Slot {
  readonly definition: SlotDefinition;
  script: CompiledScript | undefined;
  fallback: CompiledScript | undefined;
  /** In a row. */
  failures: number;
  fallbackFailures = 0;
  /** Monotonic clock. */
  fallbackRestsUntil = 0;
  jobs = new Fifo<Job>();
  /** How long its last call took. */
  callMs = 0;
  /** Stands in the ring, or was served last. */
  waits = false;

  constructor(definition: SlotDefinition) {
    this.definition = definition;
    this.failures = definition.failures;
  }

  get tripped(): boolean {
    return this.failures >= this.definition.threshold;
  }
}

export class Runner {
  readonly #host: RunnerHost;
  readonly #engine: ScriptEngine;
  readonly #budgets: Budgets;
  readonly #config = new Map<string, string>();
  /** What the trial under way sees instead, and what it has read. */
  #trial: { readonly config: ReadonlyMap<string, string>; readonly read: Set<string> } | undefined;
  readonly #slots = new Map<number, Slot>();
  readonly #ring = new Fifo<Slot>();
  /** It had its turn last. */
  #served: Slot | undefined;
  readonly #results = new ResultBatch();
  #toldAt: number;

  constructor(engine: EngineFactory, budgets: Budgets, host: RunnerHost) {
    this.#host = host;
    this.#budgets = budgets;
    this.#toldAt = host.mono();
    const world: ScriptWorld = {
      config: (key) => this.#get(key),
      now: () => host.wall(),
      monotonic: () => host.mono(),
      random: () => host.random(),
    };
    this.#engine = engine(world, budgets);
  }

  /** Takes note; jobs are done by `slice`, checks and trials at once. */
  receive(message: ToRunner): void {
    switch (message.type) {
      case "config":
        this.#config.clear();
        for (const [key, value] of message.entries) this.#config.set(key, value);
        return;
      case "set":
        if (message.value === "") this.#config.delete(message.key);
        else this.#config.set(message.key, message.value);
        return;
      case "slot":
        this.#define(message.definition);
        return;
      case "drop":
        this.#drop(message.slot);
        return;
      case "enqueued":
        this.#enqueued(message);
        return;
      case "failed":
        for (const job of message.jobs) this.#failed(job);
        return;
      case "check":
        this.#host.begins(message.job);
        this.#host.tell({ type: "checked", job: message.job, failure: this.#check(message.hook, message.source) });
        this.#host.begins(0);
        return;
      case "try":
        this.#host.begins(message.job);
        this.#try(message);
        this.#host.begins(0);
    }
  }

  /** Does what one turn of the ring gives; false: nothing is left to do. */
  slice(): boolean {
    // Behind all that have come while it was served, whatever has come for itself.
    if (this.#served !== undefined) {
      this.#served.waits = false;
      if (this.#served.jobs.size > 0) this.#enlist(this.#served);
    }
    const slot = this.#ring.shift();
    this.#served = slot;
    if (slot !== undefined) {
      // What is done does not wait for what will take long.
      if (slot.callMs >= longCallMs && this.#results.size > 0) this.#tell();
      this.#serve(slot);
    }
    const left = this.#ring.size > 0 || (slot !== undefined && slot.jobs.size > 0);
    const { size } = this.#results;
    if (size > 0 && (!left || size >= resultsAtOnce || this.#host.mono() - this.#toldAt >= untoldMs)) this.#tell();
    return left;
  }

  #tell(): void {
    this.#host.begins(0);
    this.#host.tell(this.#results.take());
    this.#toldAt = this.#host.mono();
  }

  #serve(slot: Slot): void {
    const host = this.#host;
    const start = host.mono();
    let before = start;
    for (let job = slot.jobs.shift(); job !== undefined; job = slot.jobs.shift()) {
      host.begins(job.id);
      this.#do(slot, job, before);
      const now = host.mono();
      slot.callMs = now - before;
      // One that would go beyond the slice waits for the next one.
      if (now - start + slot.callMs > sliceMs || this.#results.size >= resultsAtOnce) return;
      before = now;
    }
  }

  #do(slot: Slot, job: Job, startedAt: number): void {
    const results = this.#results;
    results.add(job.id, slot.definition.version, 0);
    const calls = job.mark === marks.probe || (job.mark === marks.call && !slot.tripped);
    if (calls) {
      const result = this.#call(slot, "script", slot.definition.source, job);
      results.called(result, this.#host.mono() - startedAt);
      if (result.ok) {
        slot.failures = 0;
        this.#decided(job, result.decision);
        return;
      }
      slot.failures += 1;
    }
    this.#fallBack(slot, job);
  }

  /** The last script that worked. One that fails too often, too, is let alone for a while. */
  #fallBack(slot: Slot, job: Job): void {
    const { fallback, threshold, cooldownMs } = slot.definition;
    if (fallback === undefined || this.#host.mono() < slot.fallbackRestsUntil) return;
    const result = this.#call(slot, "fallback", fallback, job);
    if (result.ok) {
      slot.fallbackFailures = 0;
      this.#decided(job, result.decision);
      return;
    }
    slot.fallbackFailures += 1;
    if (slot.fallbackFailures >= threshold) slot.fallbackRestsUntil = this.#host.mono() + cooldownMs;
  }

  #call(slot: Slot, which: "script" | "fallback", source: string, job: Job): CallResult<Decision> {
    const { queue, hook } = slot.definition;
    const script = slot[which] ?? this.#compile(hook, source);
    // Not kept: what it ran into, a value of the configuration say, may be another one at the next call.
    if ("reason" in script) return { ok: false, failure: script, usage: unused };
    slot[which] = script;
    try {
      if (job.enqueue !== undefined) return this.#engine.onEnqueue(script, { ...job.enqueue, queue });
      return this.#engine.onFailure(script, { ...job.failure, queue });
    } catch (error) {
      return { ok: false, failure: engineFailure(error), usage: unused };
    }
  }

  #decided(job: Job, decision: Decision): void {
    if (job.enqueue !== undefined) this.#results.enqueueDecision(decision as EnqueueDecision);
    else this.#results.failureDecision(decision as FailureDecision);
  }

  #define(definition: SlotDefinition): void {
    const before = this.#slots.get(definition.slot);
    const slot = new Slot(definition);
    this.#slots.set(definition.slot, slot);
    if (before === undefined) return;
    // What it has not told yet counts, too.
    if (before.definition.version === definition.version) slot.failures = before.failures;
    slot.jobs = before.jobs;
    slot.callMs = before.callMs;
    before.jobs = new Fifo();
    if (slot.jobs.size > 0) this.#enlist(slot);
  }

  /** Whoever posted its jobs has taken leave of them, but counts the answers that are owed. */
  #drop(number: number): void {
    const left = this.#slots.get(number)?.jobs.clear() ?? [];
    this.#slots.delete(number);
    for (const { id } of left) this.#results.add(id, 0, 0);
  }

  #enqueued({ at, meta, bytes }: Extract<ToRunner, { type: "enqueued" }>): void {
    let start = 0;
    for (let row = 0; row < meta.length; row += metaFields) {
      const [id, number, mark] = [meta[row]!, meta[row + 1]!, meta[row + 2]!];
      const [payloadSize, headerBytes, seen] = [meta[row + 3]!, meta[row + 4]!, meta[row + 5]!];
      const payloadStart = start + headerBytes;
      const end = payloadStart + Math.max(0, seen);
      this.#add(number, {
        id,
        mark,
        enqueue: {
          headers: new WireHeaders(bytes, start, payloadStart),
          payloadSize,
          payload: seen < 0 ? undefined : bytes.subarray(payloadStart, end),
          enqueuedAt: at,
        },
      });
      start = end;
    }
  }

  #failed({ job, slot, mark, call, headers }: FailureJob): void {
    this.#add(slot, { id: job, mark, failure: { ...call, headers: new WireHeaders(headers) } });
  }

  #add(number: number, job: Job): void {
    const slot = this.#slots.get(number);
    if (slot === undefined) {
      this.#results.add(job.id, 0, 0);
      return;
    }
    slot.jobs.push(job);
    this.#enlist(slot);
  }

  #enlist(slot: Slot): void {
    if (slot.waits) return;
    slot.waits = true;
    this.#ring.push(slot);
  }

  #compile(hook: HookName, source: string): Compiled {
    try {
      return this.#engine.compile(hook, source);
    } catch (error) {
      return engineFailure(error);
    }
  }

  #check(hook: HookName, source: string): ScriptFailure | undefined {
    const compiled = this.#compile(hook, source);
    return "reason" in compiled ? compiled : undefined;
  }

  #try({ job, trial }: Extract<ToRunner, { type: "try" }>): void {
    const read = new Set<string>();
    this.#trial = { config: trial.config, read };
    const tried = this.#tried(trial);
    this.#trial = undefined;
    this.#host.tell({ type: "tried", job, result: { ...tried, configKeys: [...read] } });
  }

  #tried(trial: TrialOrder): ReturnType<typeof runTrial> {
    try {
      return runTrial(this.#engine, trial, this.#budgets, this.#host.wall());
    } catch (error) {
      const { hook, source } = trial;
      const called = { ok: false, failure: engineFailure(error), usage: unused } as const;
      return { result: { hook, called }, budgets: this.#budgets, sha256: sha256(source) };
    }
  }

  #get(key: string): string | undefined {
    const trial = this.#trial;
    if (trial === undefined) return this.#config.get(key);
    trial.read.add(key);
    const own = trial.config.get(key);
    return own === undefined ? this.#config.get(key) : own === "" ? undefined : own;
  }
}

/** Nothing that a script does throws: this is the engine's own failure, and the next call goes ahead. */
function engineFailure(error: unknown): ScriptFailure {
  return { reason: "error", line: 0, message: `the engine failed: ${String(error).slice(0, 200)}` };
}
