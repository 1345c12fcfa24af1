// The hooks that queues ask when an attempt has ended: they answer in time, or late, or something else than they were asked,
// or never.
import type { Command } from "../../server/src/core/commands.ts";
import type { Effect } from "../../server/src/core/effects.ts";
import type { Decision } from "../../server/src/core/retry-policy.ts";
import type { World } from "./world.ts";

type Question = Extract<Effect, { type: "decide" }>;

export class Hooks {
  readonly #world: World;
  /** Answers on their way, with the monotonic time of their arrival. */
  #answers: { readonly at: number; readonly command: Command }[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  asked(question: Question): void {
    const { random, coverage, trace } = this.#world;
    coverage.questions += 1;
    trace.add(question.sequence);
    if (random.oneIn(8)) return;
    if (random.oneIn(10)) this.#send(question, question.attempt + random.pick([-1, 1]));
    this.#send(question, question.attempt);
    if (random.oneIn(10)) this.#send(question, question.attempt);
  }

  #send({ queueNumber, sequence }: Question, attempt: number): void {
    const { random, mono } = this.#world;
    const at = mono + (random.oneIn(6) ? random.between(800, 1_600) : random.below(50));
    this.#answers.push({ at, command: { type: "decided", queueNumber, sequence, attempt, decision: this.#decide() } });
  }

  #decide(): Decision {
    const { random } = this.#world;
    if (random.oneIn(4)) return { type: "dead-letter", reason: "hook" };
    return { type: "retry", delayMs: random.oneIn(3) ? 0 : random.between(1, 2_000) };
  }

  /** What has arrived by now. */
  answer(): void {
    if (this.#answers.length === 0) return;
    const { mono, mailbox } = this.#world;
    const later = [];
    for (const answer of this.#answers) {
      if (answer.at <= mono) mailbox.push(answer.command);
      else later.push(answer);
    }
    this.#answers = later;
  }

  /** They run in the broker's process. */
  killed(): void {
    this.#answers = [];
  }
}
