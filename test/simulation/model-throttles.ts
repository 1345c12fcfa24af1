// The promise of throttles, in the words of its definition: in any stretch of time, what was charged is at most the rate
// over that time and the largest burst in it. It knows nothing of tokens, lanes or lines.
import { expect } from "./failure.ts";
import type { ModelConfig } from "./model-config.ts";
import type { ModelKey, ModelMessage, ModelQueue } from "./model-state.ts";

interface Limit {
  readonly rate: number;
  readonly burst: number;
}

/** From a charge on until now. */
interface Stretch {
  charged: number;
  /** What came in since. */
  earned: number;
  largestBurst: number;
}

/** Stretches that are looked at for each key; older ones are let go. */
const mostStretches = 300;

class Charges {
  #limit: Limit | undefined;
  #since = 0;
  #stretches: Stretch[] = [];

  setLimit(limit: Limit | undefined, now: number): void {
    this.#pass(now);
    this.#limit = limit;
    if (limit === undefined) this.#stretches = [];
    else for (const each of this.#stretches) each.largestBurst = Math.max(each.largestBurst, limit.burst);
  }

  #pass(now: number): void {
    const earned = ((now - this.#since) * (this.#limit?.rate ?? 0)) / 1_000;
    this.#since = now;
    for (const each of this.#stretches) each.earned += earned;
  }

  charge(name: string, cost: number, now: number): void {
    const limit = this.#limit;
    if (limit === undefined) return;
    expect(limit.burst >= 1, () => `something passes ${name}, though its burst is ${limit.burst}`);
    this.#pass(now);
    this.#stretches.push({ charged: 0, earned: 0, largestBurst: limit.burst });
    if (this.#stretches.length > mostStretches) this.#stretches.shift();
    for (const each of this.#stretches) {
      each.charged += Math.min(cost, limit.burst);
      const { charged, earned, largestBurst } = each;
      const most = earned + largestBurst;
      expect(charged <= most + 1e-6, () => `${charged} were charged to ${name}, where ${most} were the most`);
    }
  }
}

export class ModelThrottles {
  #charges = new Map<string, Charges>();
  readonly #config: ModelConfig;

  constructor(config: ModelConfig) {
    this.#config = config;
  }

  /** With a new process all buckets are full. */
  restarted(now: number): void {
    this.#charges = new Map();
    for (const key of this.#config.values.keys()) this.changed(key, now);
  }

  /** An entry of the configuration has changed. */
  changed(key: string, now: number): void {
    if (!key.startsWith("throttle.")) return;
    const name = key.slice("throttle.".length);
    const charges = this.#charges.get(name) ?? new Charges();
    this.#charges.set(name, charges);
    charges.setLimit(this.limitOf(name), now);
  }

  limitOf(name: string): Limit | undefined {
    const value = this.#config.values.get(`throttle.${name}`);
    if (value === undefined) return undefined;
    const [rate, burst] = value.split(",").map(Number) as [number, number];
    return { rate, burst };
  }

  leased({ item }: ModelMessage, now: number): void {
    for (const name of item.throttleKeys) this.#charges.get(name)?.charge(name, item.cost, now);
  }

  /** Whether tokens may be missing for the message. */
  concern({ item }: ModelMessage): boolean {
    return item.throttleKeys.some((name) => this.limitOf(name) !== undefined);
  }

  get any(): boolean {
    for (const key of this.#config.values.keys()) if (key.startsWith("throttle.")) return true;
    return false;
  }
}

export function isFull(queue: ModelQueue): boolean {
  const { maxInFlight } = queue.settings;
  return maxInFlight > 0 && queue.inFlight >= maxInFlight;
}

/** @param leased how many of its messages are */
export function isKeyFull(queue: ModelQueue, key: ModelKey, leased: number): boolean {
  const cap = queue.overrides.get(key.name)?.maxInFlight || queue.settings.maxInFlightPerKey;
  return cap > 0 && leased >= cap;
}

/** Keys of the queue may be kept from their shares. */
export function holdsBack({ settings, overrides }: ModelQueue, throttles: ModelThrottles): boolean {
  if (throttles.any || settings.maxInFlightPerKey > 0) return true;
  for (const { maxInFlight } of overrides.values()) if (maxInFlight > 0) return true;
  return false;
}
