// The bound of deficit round robin between any two keys of a queue, over any stretch in which both have messages: how far
// served cost / weight of the one may run ahead of the other. It knows nothing of rings, visits or deficits.
import { fail } from "./failure.ts";

export const maxKeys = 8;
/** The dearest message that the world enqueues. */
export const maxCost = 5;

export class FairShares {
  readonly #active = new Uint8Array(maxKeys);
  /** Rounds that the key saved while it was held, at most. */
  readonly #saved = new Float64Array(maxKeys);
  readonly #weights = new Float64Array(maxKeys).fill(1);
  /** Of pair (a, b): how much more a had than b, in rounds, since both are active; and the least it ever was. */
  readonly #ahead = new Float64Array(maxKeys * maxKeys);
  readonly #least = new Float64Array(maxKeys * maxKeys);

  /** The key has messages to deliver, from now on. */
  joined(key: number): void {
    this.#active[key] = 1;
    this.#saved[key] = 0;
    this.#reset(key);
  }

  /** The same, after it was paused: it has kept what was left of a visit. */
  resumed(key: number): void {
    this.joined(key);
    this.#saved[key] = 1;
  }

  left(key: number): void {
    this.#active[key] = 0;
  }

  weighed(key: number, weight: number): void {
    this.#weights[key] = weight;
    this.#reset(key);
  }

  /** Keys were kept from their shares: each may have saved a visit. */
  heldBack(): void {
    this.restarted();
    this.#saved.fill(1);
  }

  /** Over a restart deficits are forgotten. */
  restarted(): void {
    this.#saved.fill(0);
    this.#ahead.fill(0);
    this.#least.fill(0);
  }

  #reset(key: number): void {
    for (let other = 0; other < maxKeys; other += 1) {
      for (const pair of [key * maxKeys + other, other * maxKeys + key]) {
        this.#ahead[pair] = 0;
        this.#least[pair] = 0;
      }
    }
  }

  delivered(key: number, cost: number): void {
    const rounds = cost / (this.#weights[key] as number);
    for (let other = 0; other < maxKeys; other += 1) {
      if (other === key || this.#active[other] === 0) continue;
      const forth = key * maxKeys + other;
      const back = other * maxKeys + key;
      const ahead = (this.#ahead[forth] as number) + rounds;
      this.#ahead[forth] = ahead;
      this.#ahead[back] = -ahead;
      if (-ahead < (this.#least[back] as number)) this.#least[back] = -ahead;
      const lead = ahead - (this.#least[forth] as number);
      if (lead > this.#bound(key, other)) fail(`key ${key} ran ${lead} rounds ahead of key ${other}`);
    }
  }

  /** One visit at each end of the stretch, and what a message that is dearer than the weight leaves over. */
  #bound(key: number, other: number): number {
    const leftover = (maxCost - 1) / (this.#weights[key] as number) + (maxCost - 1) / (this.#weights[other] as number);
    return 2 + (this.#saved[key] as number) + leftover + 1e-9;
  }
}
