// Reads what a turn yielded, in order: each mutation and each effect must be the one that the model expects next.
import type { Delivery, Effect } from "../../server/src/core/effects.ts";
import type { Mutation } from "../../server/src/core/mutations.ts";
import type { TurnUnderWay } from "./broker-process.ts";
import { expect, fail } from "./failure.ts";
import { tokenNumber } from "./model-state.ts";

type MutationOf<T extends Mutation["type"]> = Extract<Mutation, { type: T }>;
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
  #mutation = 0;
  #effect = 0;

  /** @param living whether the queue exists: what a deleted one leaves behind is skipped */
  constructor(turn: TurnUnderWay, living: (queueNumber: number) => boolean) {
    this.turn = turn;
    this.#living = living;
  }

  get nextType(): Mutation["type"] | undefined {
    return this.#peek()?.type;
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

  /** The next mutation, which gives a message back; it is not taken yet. */
  peekReturned(): MutationOf<"returned"> {
    const mutation = this.#peek();
    expect(mutation?.type === "returned", () => "a lease was to end");
    return mutation;
  }

  mutation<T extends Mutation["type"]>(type: T): MutationOf<T> {
    const mutation = this.#peek();
    expect(mutation?.type === type, () => `a mutation ${type} was due, there is ${JSON.stringify(mutation)}`);
    this.#mutation += 1;
    return mutation as MutationOf<T>;
  }

  /** The next effect that answers a command. */
  effect<T extends Effect["type"]>(type: T): EffectOf<T> {
    const effect = this.turn.effects[this.#effect];
    expect(effect?.type === type, () => `an effect ${type} was due, there is ${JSON.stringify(effect)}`);
    this.#effect += 1;
    return effect as EffectOf<T>;
  }

  get nextEffectType(): Effect["type"] | undefined {
    return this.turn.effects[this.#effect]?.type;
  }

  /** What follows the answers: deliveries by their tokens, and polls that find nothing. */
  rest(): Rest {
    const deliveries = new Map<number, { consumer: number; delivery: Delivery }>();
    const idle: number[] = [];
    const told = new Map<number, number>();
    for (const effect of this.turn.effects.slice(this.#effect)) {
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
    expect(this.#peek() === undefined, () => `the mutation ${JSON.stringify(this.#peek())} has no cause`);
  }
}
