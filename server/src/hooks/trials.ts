// Scripts that are checked before they are set, and those that are tried: by a runner of their own, one after the other, so
// that the traffic of other scripts never waits for them.
//
// States: without a runner -first question-> with one -nothing asked for a while, or everything stops-> without. The runner
// is lost: the question that it was about is answered with that, the others are put to the next one.
import type * as port from "./port.ts";
import type { ToRunner } from "./protocol.ts";
import type { HookClock, OpenLink, RunnerLink } from "./runner-link.ts";
import type { Budgets, ScriptFailure } from "./script-engine.ts";
import { sha256 } from "./trial.ts";

/** Questions that wait at most, and their bytes: whoever sets up many queues at once is not to be refused. */
const maxWaiting = 1_000;
const maxBytes = 16 << 20;
/** After which the runner, which nobody asks, is let go. */
const idleMs = 30_000;

interface Question {
  readonly order: Extract<ToRunner, { type: "check" | "try" }>;
  /** It has ended the runner that it was put to. */
  readonly lost: (failure: ScriptFailure) => void;
  readonly told: (message: {
    readonly failure?: ScriptFailure | undefined;
    readonly result?: port.TrialResult;
  }) => void;
}

export interface TrialsOptions {
  readonly openTrialLink: OpenLink;
  readonly clock: HookClock;
  readonly budgets: Budgets;
}

export class Trials {
  readonly #openLink: OpenLink;
  readonly #clock: HookClock;
  readonly #budgets: Budgets;
  readonly #config: () => ReadonlyMap<string, string>;
  readonly #questions = new Map<number, Question>();
  #link: RunnerLink | undefined;
  #cancelIdle: (() => void) | undefined;
  #next = 1;
  #bytes = 0;
  #stopped = false;

  constructor({ openTrialLink, clock, budgets }: TrialsOptions, config: () => ReadonlyMap<string, string>) {
    this.#openLink = openTrialLink;
    this.#clock = clock;
    this.#budgets = budgets;
    this.#config = config;
  }

  check(hook: port.HookName, source: string): Promise<ScriptFailure | port.Overloaded | undefined> {
    return new Promise((resolve) => {
      const asked = this.#ask((job) => ({
        order: { type: "check", job, hook, source },
        lost: resolve,
        told: ({ failure }) => resolve(failure),
      }));
      if (!asked) resolve("overloaded");
    });
  }

  try(trial: port.Trial): Promise<port.TrialResult | port.Overloaded> {
    const { hook, source } = trial;
    return new Promise((resolve) => {
      const asked = this.#ask((job) => ({
        order: { type: "try", job, trial },
        lost: (failure) => {
          const called = { ok: false, failure, usage: { steps: 0, bytes: 0 } } as const;
          resolve({ result: { hook, called }, configKeys: [], budgets: this.#budgets, sha256: sha256(source) });
        },
        told: ({ result }) => {
          if (result !== undefined) resolve(result);
        },
      }));
      if (!asked) resolve("overloaded");
    });
  }

  configSet(key: string, value: string): void {
    this.#link?.post({ type: "set", key, value }, 0);
  }

  /** The configuration is another one. */
  forget(): void {
    this.#link?.post({ type: "config", entries: this.#config() }, 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelIdle?.();
    const left = [...this.#questions.values()];
    this.#questions.clear();
    this.#bytes = 0;
    for (const { lost } of left) lost({ reason: "watchdog", line: 0, message: "the broker is stopping" });
    await this.#link?.stop();
    this.#link = undefined;
  }

  #ask(make: (job: number) => Question): boolean {
    const job = this.#next;
    const question = make(job);
    const bytes = bytesOf(question);
    const waiting = this.#questions.size;
    if (this.#stopped || waiting >= maxWaiting || (waiting > 0 && this.#bytes + bytes > maxBytes)) return false;
    this.#cancelIdle?.();
    this.#next = job === 0x7fff_ffff ? 1 : job + 1;
    this.#questions.set(job, question);
    this.#bytes += bytes;
    this.#opened().post(question.order, 1);
    return true;
  }

  /** It waits no longer. */
  #take(job: number): Question | undefined {
    const question = this.#questions.get(job);
    if (question === undefined) return undefined;
    this.#questions.delete(job);
    this.#bytes -= bytesOf(question);
    return question;
  }

  #opened(): RunnerLink {
    if (this.#link !== undefined) return this.#link;
    this.#link = this.#openLink({
      told: (message) => {
        if (message.type === "results") return;
        this.#take(message.job)?.told(message);
        if (this.#questions.size === 0) this.#rest();
      },
      lost: (culprit, why) => this.#lost(culprit, why),
    });
    this.#link.post({ type: "config", entries: this.#config() }, 0);
    return this.#link;
  }

  #rest(): void {
    this.#cancelIdle = this.#clock.after(idleMs, () => {
      if (this.#questions.size > 0) return;
      void this.#link?.stop();
      this.#link = undefined;
    });
  }

  /** A runner that dies before it began is the fault of nobody; whoever is first would wait for ever, though. */
  #lost(culprit: number, why: string): void {
    const [first] = this.#questions.keys();
    const job = this.#questions.has(culprit) ? culprit : (first ?? 0);
    this.#take(job)?.lost({ reason: "watchdog", line: 0, message: why });
    this.#link?.post({ type: "config", entries: this.#config() }, 0);
    for (const { order } of this.#questions.values()) this.#link?.post(order, 1);
    if (this.#questions.size === 0) this.#rest();
  }
}

function bytesOf({ order }: Question): number {
  if (order.type === "check") return order.source.length;
  const { source, payload, headers, config } = order.trial;
  let bytes = source.length + payload.length;
  for (const [name, value] of headers) bytes += name.length + value.length;
  for (const [key, value] of config) bytes += key.length + value.length;
  return bytes;
}
