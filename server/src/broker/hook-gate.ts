// Between the shell and the hooks: messages that a script is to see first, ended attempts that one is to decide about, and
// what the hooks have to know of each durable turn.
import type { Command, EnqueueItem } from "../core/commands.ts";
import type { Effect, EnqueueOutcome } from "../core/effects.ts";
import type { Failure } from "../core/errors.ts";
import type { Mutation } from "../core/mutations.ts";
import type { QueueSettings } from "../core/queue-settings.ts";
import { errorOf, type HookAnswer } from "../core/retry-policy.ts";
import type { HookName, Hooks, Verdict } from "../hooks/port.ts";
import type { StoredName } from "./engine.ts";
import { noHooks, scriptInvalid, trialsOverloaded } from "./refusals.ts";
import type { Life } from "./store.ts";

export type Question = Extract<Effect, { type: "decide" }>;
type Outcomes = readonly EnqueueOutcome[] | Failure;

export interface GateHost {
  /** To the core. */
  enqueue(items: readonly EnqueueItem[], done: (outcomes: Outcomes) => void): void;
  send(command: Command): void;
  /** A call was answered without the core. */
  settled(): void;
}

/** Of messages that are read for their headers. */
const bytesAtOnce = 4 << 20;

/** The settings that are scripts, by hook, with their names on the wire. */
const scripts = [
  ["on_enqueue", "onEnqueueScript", "on_enqueue_script"],
  ["on_failure", "onFailureScript", "on_failure_script"],
] as const;

export class HookGate {
  readonly #hooks: Hooks | undefined;
  readonly #host: GateHost;
  #pending = 0;
  #life: Life | undefined;

  constructor(hooks: Hooks | undefined, host: GateHost) {
    this.#hooks = hooks;
    this.#host = host;
    hooks?.onWorked((queueNumber, hook, script) => host.send({ type: "script-worked", queueNumber, hook, script }));
  }

  /** Calls that wait for a script. */
  get pending(): number {
    return this.#pending;
  }

  /** The broker begins with this life, or goes on with it. */
  load(life: Life): void {
    this.#life = life;
    const { state } = life.engine.core;
    this.#hooks?.load(state.queuesByName.values(), state.config.values);
  }

  /** Whether a script is to see any of them first. */
  concerns(items: readonly EnqueueItem[]): boolean {
    const hooks = this.#hooks;
    if (hooks === undefined) return false;
    let last: string | undefined;
    for (let at = 0; at < items.length; at += 1) {
      const { queue } = items[at] as EnqueueItem;
      if (queue === last) continue;
      if (hooks.takes(queue)) return true;
      last = queue;
    }
    return false;
  }

  /** Each queue's messages go to the core when its script has decided about all of them; those without a script at once. */
  enqueue(items: readonly EnqueueItem[], done: (outcomes: Outcomes) => void): void {
    const hooks = this.#hooks as Hooks;
    const groups = byQueue(items, (queue) => hooks.takes(queue));
    const call = new GatedCall(items.length, groups.size, (outcomes) => {
      this.#pending -= 1;
      done(outcomes);
      this.#host.settled();
    });
    this.#pending += 1;
    for (const [queue, places] of groups) {
      const its = places.length === items.length ? items : places.map((place) => items[place] as EnqueueItem);
      if (queue === undefined) this.#host.enqueue(its, (outcomes) => call.answer(places, outcomes));
      else hooks.enqueue(queue, its, (verdicts) => this.#decided(call, its, places, verdicts));
    }
  }

  #decided(
    call: GatedCall,
    items: readonly EnqueueItem[],
    places: readonly number[],
    verdicts: readonly Verdict[],
  ): void {
    const taken: EnqueueItem[] = [];
    const takenPlaces: number[] = [];
    for (let at = 0; at < verdicts.length; at += 1) {
      const verdict = verdicts[at] as Verdict;
      const place = places[at] as number;
      const item = items[at] as EnqueueItem;
      if ("reason" in verdict && item.idempotencyKey === undefined) call.set(place, verdict);
      else {
        // Whether it was stored before, only the core knows.
        taken.push("reason" in verdict ? { ...item, refused: verdict } : verdict);
        takenPlaces.push(place);
      }
    }
    if (taken.length === 0) call.answer([], []);
    else this.#host.enqueue(taken, (outcomes) => call.answer(takenPlaces, outcomes));
  }

  /** A turn that changed the catalog is durable. To be called before anybody is answered. */
  turned(mutations: readonly Mutation[]): void {
    const hooks = this.#hooks;
    if (hooks === undefined) return;
    for (const mutation of mutations) {
      if (mutation.type === "config-set") hooks.configSet(mutation.key, mutation.value);
      else if (mutation.type === "queue-deleted") hooks.queueDeleted(mutation.queueNumber);
      else if (mutation.type === "queue-created" || mutation.type === "queue-updated") {
        const { queueNumber: number, name, settings } = mutation;
        hooks.queueSet({ number, name, settings });
      }
    }
  }

  /** Puts the questions of a turn, each with the message's headers. */
  decide(questions: readonly Question[], life: Life): void {
    void this.#decide(questions, life);
  }

  /** Payloads are read with the headers: some at a time, however many attempts have ended. */
  async #decide(questions: readonly Question[], life: Life): Promise<void> {
    for (let from = 0; from < questions.length;) {
      const names: StoredName[] = [];
      const asked: Question[] = [];
      for (let bytes = 0; from < questions.length && bytes < bytesAtOnce; from += 1) {
        const question = questions[from] as Question;
        const name = storedName(question, life);
        if (name === undefined) continue;
        bytes += life.loader.lengthOf(name) ?? 0;
        names.push(name);
        asked.push(question);
      }
      // A store that cannot be read is what whoever is to be given the message will hear of.
      const bodies = names.length === 0 ? [] : await life.loader.bodies(names).catch(() => undefined);
      // The life behind it asks anew.
      if (this.#life !== life) return;
      for (const [at, question] of asked.entries()) this.#ask(question, bodies?.[at]);
    }
  }

  #ask(question: Question, body: Uint8Array | "gone" | "corrupt" | undefined): void {
    if (body === "gone") return;
    const { queueNumber, sequence, attempt, queue, id, end } = question;
    const answer = (decision: HookAnswer): void =>
      this.#host.send({ type: "decided", queueNumber, sequence, attempt, decision });
    if (this.#hooks === undefined || body === undefined || body === "corrupt") {
      answer({ type: "policy" });
      return;
    }
    const nack = end.by === "nack" ? end : undefined;
    this.#hooks.decide(
      {
        queue,
        id,
        attempts: attempt,
        error: errorOf(end),
        requestedDelayMs: nack?.delayMs,
        doNotRetry: nack?.deadLetter ?? false,
        body,
      },
      answer,
    );
  }

  /** Whether they have scripts, which are to be checked before they are set. */
  hasScripts(settings: Partial<QueueSettings>): boolean {
    return scripts.some(([, setting]) => (settings[setting] ?? "") !== "");
  }

  /** Why a queue cannot have these scripts; undefined: it can. */
  async check(settings: Partial<QueueSettings>): Promise<Failure | undefined> {
    for (const [hook, setting, field] of scripts) {
      const source = settings[setting] ?? "";
      if (source === "") continue;
      if (this.#hooks === undefined) return noHooks(field);
      const wrong = await this.#hooks.check(hook, source);
      if (wrong === "overloaded") return trialsOverloaded();
      if (wrong !== undefined) return scriptInvalid(field, wrong);
    }
    return undefined;
  }

  /** An operator has set them: they begin anew, also those that the queue had already. */
  scriptsSet(queue: string, settings: Partial<QueueSettings>): void {
    for (const [hook, setting] of scripts) {
      if ((settings[setting] ?? "") !== "") this.#hooks?.scriptSet(queue, hook satisfies HookName);
    }
  }

  /** Everything that waits for a script is answered. */
  async stop(failed: Failure): Promise<void> {
    await this.#hooks?.stop(failed);
  }
}

function storedName({ queueNumber, sequence }: Question, { engine }: Life): StoredName | undefined {
  const slot = engine.core.state.index.get(queueNumber, sequence);
  return slot === undefined ? undefined : { queueNumber, sequence, slot };
}

/** The places of the items by queue; undefined: of those that no script is to see. */
function byQueue(
  items: readonly EnqueueItem[],
  takes: (queue: string) => boolean,
): ReadonlyMap<string | undefined, readonly number[]> {
  const groups = new Map<string | undefined, number[]>();
  let last: string | undefined;
  let group: number[] = [];
  for (let at = 0; at < items.length; at += 1) {
    const { queue } = items[at] as EnqueueItem;
    if (queue !== last) {
      last = queue;
      const key = takes(queue) ? queue : undefined;
      group = groups.get(key) ?? [];
      groups.set(key, group);
    }
    group.push(at);
  }
  return groups;
}

/** A call whose messages go different ways, and which is answered once. */
class GatedCall {
  readonly #outcomes: EnqueueOutcome[];
  #left: number;
  readonly #done: (outcomes: Outcomes) => void;

  constructor(messages: number, groups: number, done: (outcomes: Outcomes) => void) {
    this.#outcomes = new Array<EnqueueOutcome>(messages);
    this.#left = groups;
    this.#done = done;
  }

  set(place: number, outcome: EnqueueOutcome): void {
    this.#outcomes[place] = outcome;
  }

  /** What came of one group. */
  answer(places: readonly number[], outcomes: Outcomes): void {
    this.#left -= 1;
    // What failed as a whole, and is the whole call.
    if ("reason" in outcomes && places.length === this.#outcomes.length) {
      this.#done(outcomes);
      return;
    }
    for (let at = 0; at < places.length; at += 1) {
      this.set(places[at] as number, "reason" in outcomes ? outcomes : (outcomes[at] as EnqueueOutcome));
    }
    if (this.#left === 0) this.#done(this.#outcomes);
  }
}
