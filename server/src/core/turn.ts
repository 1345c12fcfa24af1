// One turn of the core: what it may use and what it yields. Time and randomness come in from outside.
import type { LeaseToken } from "./commands.ts";
import type { Consumer } from "./consumer.ts";
import type { Effect, LostLease } from "./effects.ts";
import type { CoreLimits } from "./limits.ts";
import type { Mutation } from "./mutations.ts";

/** Both clocks, read by the shell at the beginning of the turn; milliseconds. */
export interface Now {
  /** Monotonic, for durations. */
  readonly mono: number;
  /** Wall clock, for what people and stored facts see. */
  readonly wall: number;
}

/** Random 32-bit words, drawn by the shell. The core takes them from the end and stops leasing when they are used up. */
export interface Entropy {
  readonly words: Uint32Array;
  left: number;
}

export class Turn {
  readonly now: Now;
  /** A wall clock that nobody sets: what it shows goes on with the monotonic clock. Durations in progress end by it. */
  readonly steady: number;
  readonly entropy: Entropy;
  readonly mutations: Mutation[] = [];
  readonly effects: Effect[] = [];
  /** Consumers with deliveries in this turn. */
  readonly served: Consumer[] = [];
  readonly #lost = new Map<Consumer, LostLease[]>();
  /** How many more leases this turn may grant. */
  leaseBudget: number;
  /** How many more messages this turn may wake, or end (them or their leases) because their time is over. */
  sliceBudget: number;
  /** How many more messages of purged or deleted queues this turn may drop; of its own, so that they hold up no expiry. */
  dropBudget: number;
  readonly limits: CoreLimits;

  /** @param idle nobody asks for anything in this turn */
  constructor(now: Now, steady: number, entropy: Entropy, limits: CoreLimits, idle: boolean) {
    this.now = now;
    this.steady = steady;
    this.entropy = entropy;
    this.limits = limits;
    this.leaseBudget = limits.leasesPerTurn;
    this.sliceBudget = limits.slicePerTurn;
    this.dropBudget = idle ? limits.dropsPerIdleTurn : limits.dropsPerTurn;
  }

  token(): LeaseToken {
    this.entropy.left -= 2;
    const at = this.entropy.left;
    return { high: this.entropy.words[at] as number, low: this.entropy.words[at + 1] as number };
  }

  lost(consumer: Consumer, lease: LostLease): void {
    const list = this.#lost.get(consumer);
    if (list === undefined) this.#lost.set(consumer, [lease]);
    else list.push(lease);
  }

  /** Turns what was collected per consumer into effects. */
  close(): void {
    for (const [consumer, leases] of this.#lost) {
      if (!consumer.closed) this.effects.push({ type: "lost", consumer: consumer.id, leases });
    }
    for (const consumer of this.served) {
      this.effects.push({ type: "deliver", consumer: consumer.id, deliveries: consumer.deliveries });
      consumer.deliveries = [];
      // A poll answers once, with what this turn brought.
      if (consumer.holder.kind === "poll") consumer.credit = 0;
    }
  }
}

/** Everything that a turn asks of the world. */
export interface TurnResult {
  readonly mutations: readonly Mutation[];
  readonly effects: readonly Effect[];
  /** There is more to do right away: take another turn, even without commands. */
  readonly more: boolean;
  /** All of that is what nobody waits for in a hurry: it may go along with the turns of those who are served. */
  readonly leisurely: boolean;
}
