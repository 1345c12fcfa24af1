// Reads what a turn yielded, in order: each mutation and each effect must be the one that the model expects next.
import type { Delivery, Effect } from "../../server/src/core/effects.ts";
import type { Mutation } from "../../server/src/core/mutations.ts";
import type { TurnUnderWay } from "./broker-process.ts";
import { expect, fail } from "./failure.ts";
import { tokenNumber } from "./model-state.ts";

type MutationOf<T extends Mutation["type"]> = Extract<Mutation, { type: T }>;
type NamedMutation = MutationOf<"leased" | "returned" | "deciding" | "decided" | "moved" | "removed" | "purged">;
type EffectOf<T extends Effect["type"]> = Extract<Effect, { type: T }>;

export interface Rest {
  readonly deliveries: Map<number, { readonly consumer: number; readonly delivery: Delivery }>;
  readonly idle: readonly number[];
  /** Consumers that are told of a lost lease, by its token. */
  readonly told: ReadonlyMap<number, number>;
}

export class TurnReader {
  readonly turn: TurnUnderWay;
  readonly #living: (queueNumber: number) => boolean;
  /** Consumers that must be told of a lease that they lost without their doing, by its token. */
  readonly lost = new Map<number, number>();
  readonly #effects: readonly Effect[];
  readonly #questions: readonly EffectOf<"decide">[];
  #mutation = 0;
  #effect = 0;
  #question = 0;

  /** @param living whether the queue exists: what a deleted one leaves behind is skipped */
  constructor(turn: TurnUnderWay, living: (queueNumber: number) => boolean) {
    this.turn = turn;
    this.#living = living;
    this.#questions = turn.effects.filter((effect) => effect.type === "decide");
    this.#effects = this.#questions.length === 0 ? turn.effects : turn.effects.filter(({ type }) => type !== "decide");
  }

  get nextType(): Mutation["type"] | undefined {
    return this.#peek()?.type;
  }

  /** The next mutation that is about a message, behind what belongs to it. */
  peekNamed(): NamedMutation | undefined {
    this.#peek();
    for (let at = this.#mutation; at < this.turn.mutations.length; at += 1) {
      const mutation = this.turn.mutations[at] as Mutation;
      switch (mutation.type) {
        case "leased":
        case "returned":
        case "deciding":
        case "decided":
        case "moved":
        case "removed":
        case "purged":
          return mutation;
        default:
      }
    }
    return undefined;
  }

  /** The next question to a hook. */
  peekQuestion(): EffectOf<"decide"> | undefined {
    return this.#questions[this.#question];
  }

  question(): EffectOf<"decide"> | undefined {
    this.#question += 1;
    return this.#questions[this.#question - 1];
  }

  #peek(): Mutation | undefined {
    for (;;) {
      const mutation = this.turn.mutations[this.#mutation];
      if (mutation === undefined) return undefined;
      const leftBehind = mutation.type === "forgotten" && !this.#living(mutation.queueNumber);
      if (mutation.type !== "dropped" && !leftBehind) return mutation;
      this.#mutation += 1;
    }
  }

  mutation<T extends Mutation["type"]>(type: T): MutationOf<T> {
    const mutation = this.#peek();
    expect(mutation?.type === type, () => `a mutation ${type} was due, there is ${shown(mutation)}`);
    this.#mutation += 1;
    return mutation as MutationOf<T>;
  }

  /** The next effect that answers a command. */
  effect<T extends Effect["type"]>(type: T): EffectOf<T> {
    const effect = this.#effects[this.#effect];
    expect(effect?.type === type, () => `an effect ${type} was due, there is ${JSON.stringify(effect)}`);
    this.#effect += 1;
    return effect as EffectOf<T>;
  }

  get nextEffectType(): Effect["type"] | undefined {
    return this.#effects[this.#effect]?.type;
  }

  /** What follows the answers: deliveries by their tokens, and polls that find nothing. */
  rest(): Rest {
    const deliveries = new Map<number, { consumer: number; delivery: Delivery }>();
    const idle: number[] = [];
    const told = new Map<number, number>();
    for (const effect of this.#effects.slice(this.#effect)) {
      if (effect.type === "idle") idle.push(effect.consumer);
      else if (effect.type === "deliver") {
        for (const delivery of effect.deliveries) {
          deliveries.set(tokenNumber(delivery.token), { consumer: effect.consumer, delivery });
        }
      } else if (effect.type === "lost") {
        for (const { token } of effect.leases) told.set(tokenNumber(token), effect.consumer);
      } else fail(`the effect ${effect.type} answers no command`);
    }
    return { deliveries, idle, told };
  }

  done(): void {
    expect(this.#peek() === undefined, () => `the mutation ${shown(this.#peek())} has no cause`);
    const question = this.peekQuestion();
    expect(question === undefined, () => `the question ${JSON.stringify(question)} has no cause`);
  }
}

/** A lane knows its key, which knows it. */
export function shown(what: object | undefined): string {
  return JSON.stringify(what, (name, value: unknown) => (name === "lane" ? "..." : value));
}
