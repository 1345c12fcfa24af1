// The core alone, without store and network: enqueue, lease and ack of messages in turns of 100, over and over. What comes
// out is what scheduling costs in processor time, and how fast one key is beside others that wait for tokens.
import type { Command, EnqueueItem } from "../../../server/src/core/commands.ts";
import { Core } from "../../../server/src/core/core.ts";
import type { Delivery } from "../../../server/src/core/effects.ts";
import { defaultQueueSettings } from "../../../server/src/core/queue-settings.ts";
import type { Entropy } from "../../../server/src/core/turn.ts";
import { doTask } from "../program-task.ts";

/**
 * first-in-first-out: one key. keys: 1,000 keys. policed: 1,000 keys, each message with two throttle keys whose buckets
 * hold enough, and caps of queue and keys that are not reached. alone: one key that nothing holds. beside: the same beside
 * 10,000 keys that wait for tokens. contended: 1,000 keys that wait in line at one bucket, each delivery a call.
 * live-change: milliseconds from a change of the rate to the first 1,000 deliveries, with 100,000 messages waiting.
 * rounds: how far the shares of 10,000 keys of 1,000,000 messages are from their new weights over 50 rounds.
 */
export type CoreKind =
  "first-in-first-out" | "keys" | "policed" | "alone" | "beside" | "contended" | "live-change" | "rounds";

export interface CoreTask {
  readonly kind: CoreKind;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

const perTurn = 100;
const body = new Uint8Array(1_024);
const consumer = 1;

class Words implements Entropy {
  readonly words = new Uint32Array(8_192);
  left = 0;
  #next = 1;

  refill(): void {
    for (; this.left < this.words.length; this.left += 1) this.words[this.left] = Math.imul(this.#next++, 0x9e3779b1);
  }
}

class CoreLoop {
  readonly #words = new Words();
  readonly core = new Core(1, this.#words);
  readonly keyOf: (n: number) => EnqueueItem;
  mono = 1_000;
  #enqueued = 0;
  #delivered = 0;

  constructor(keyOf: (n: number) => EnqueueItem) {
    this.keyOf = keyOf;
    const settings = { ...defaultQueueSettings, visibilityMs: 43_200_000 };
    this.turn([{ type: "create-queue", request: 0, name: "q", settings }]);
  }

  turn(commands: readonly Command[]): readonly Delivery[] {
    this.#words.refill();
    this.core.begin({ mono: this.mono, wall: this.mono });
    for (const command of commands) this.core.step(command);
    const deliveries: Delivery[] = [];
    for (const effect of this.core.finish().effects) {
      if (effect.type === "failed") throw new Error(effect.failure.message);
      if (effect.type === "deliver") deliveries.push(...effect.deliveries);
    }
    this.#delivered = deliveries.at(-1)?.ordinal ?? this.#delivered;
    return deliveries;
  }

  limit(key: string, value: string): void {
    this.turn([{ type: "set-config", request: 0, key: `throttle.${key}`, value }]);
  }

  open(): void {
    const who = { connection: 1, principal: "p", worker: "w", session: "", visibilityMs: 0, credit: 0 };
    this.turn([{ type: "open", consumer, queue: "q", kind: "stream", ...who }]);
  }

  enqueue(messages: number): Command {
    const items = Array.from({ length: messages }, () => this.keyOf(this.#enqueued++));
    return { type: "enqueue", request: 0, items };
  }

  fill(messages: number): void {
    for (let left = messages; left > 0; left -= 1_000) this.turn([this.enqueue(Math.min(left, 1_000))]);
  }

  lease(messages: number): readonly Delivery[] {
    const written = { type: "written", consumer, ordinal: this.#delivered } as const;
    return this.turn([written, { type: "credit", consumer, messages }]);
  }

  ack(deliveries: readonly Delivery[]): Command {
    const items = deliveries.map(({ id, token }) => ({ id, token, action: "ack", error: "", extendMs: 0 }) as const);
    return { type: "settle", request: 0, queue: "q", connection: 1, principal: "p", items };
  }

  /** Enqueues, leases and acks as many. */
  cycle(): void {
    this.mono += 1;
    this.turn([this.enqueue(perTurn)]);
    const taken = this.lease(perTurn);
    if (taken.length !== perTurn) throw new Error(`${taken.length} of ${perTurn} leased`);
    this.turn([this.ack(taken)]);
  }
}

const item = (fairnessKey: string, throttleKeys: readonly string[] = []): EnqueueItem => {
  return { queue: "q", fairnessKey, weight: 0, cost: 1, throttleKeys, body };
};

function loopOf(kind: CoreKind): CoreLoop {
  const many = (throttleKeys?: (n: number) => string[]): CoreLoop => {
    const items = Array.from({ length: 1_000 }, (_, n) => item(`k${n}`, throttleKeys?.(n)));
    return new CoreLoop((n) => items[n % 1_000]!);
  };
  switch (kind) {
    case "keys":
      return many();
    case "policed": {
      const loop = many((n) => ["all", `tenant-${n}`]);
      loop.limit("all", "1e9,1e9");
      for (let n = 0; n < 1_000; n += 1) loop.limit(`tenant-${n}`, "1e9,1e9");
      const settings = { maxInFlight: 100_000, maxInFlightPerKey: 10_000 };
      loop.turn([{ type: "update-queue", request: 0, name: "q", settings }]);
      return loop;
    }
    case "contended": {
      const loop = many(() => ["all"]);
      // Each turn is a millisecond later: as many tokens as it takes, and all keys in line for them.
      loop.limit("all", `${perTurn * 1_000},${perTurn}`);
      return loop;
    }
    case "beside": {
      const free = item("free");
      const loop = new CoreLoop((n) => (n < 10_000 ? item(`out-${n}`, ["out"]) : free));
      loop.limit("out", "1e-6,1");
      loop.fill(10_000);
      return loop;
    }
    default: {
      const free = item("free");
      return new CoreLoop(() => free);
    }
  }
}

/** Processor microseconds of one message, from its enqueue to its ack. */
function microseconds(kind: CoreKind, seconds: number, loop: CoreLoop): number {
  const before = process.cpuUsage();
  const until = performance.now() + seconds * 1_000;
  let messages = 0;
  for (; performance.now() < until; messages += perTurn) loop.cycle();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / messages;
}

function change(): number {
  const loop = new CoreLoop((n) => item(`k${n % 1_000}`, ["t"]));
  // A broker that has been at work for a while.
  loop.limit("t", "1000000,1000");
  loop.fill(120_000);
  loop.open();
  for (let turns = 0; turns < 20; turns += 1) {
    loop.mono += 1;
    loop.turn([loop.ack(loop.lease(1_000))]);
  }
  loop.limit("t", "1e-6,1");
  for (let turns = 0; turns < 10; turns += 1) loop.lease(1_000);
  loop.mono += 1_000;
  const began = performance.now();
  loop.limit("t", "1000000,1000");
  let delivered = 0;
  while (delivered < 1_000) {
    loop.mono += 1;
    delivered += loop.lease(1_000).length;
  }
  return performance.now() - began;
}

/** The largest difference between what a key got and its weight x 50, of weights 1 and 2 that were set on the backlog. */
function rounds(): number {
  const loop = new CoreLoop((n) => item(`k${n % 10_000}`));
  loop.fill(1_000_000);
  loop.open();
  const weightOf = (n: number): number => 1 + (n % 2);
  for (let n = 0; n < 10_000; n += 1) {
    const override = { weight: weightOf(n) };
    loop.turn([{ type: "set-key", request: 0, queue: "q", fairnessKey: `k${n}`, override }]);
  }
  const counts = new Uint32Array(10_000);
  for (let left = 50 * 15_000; left > 0; left -= 1_000) {
    const taken = loop.lease(1_000);
    for (const { fairnessKey } of taken) counts[Number(fairnessKey.slice(1))]! += 1;
    loop.turn([loop.ack(taken)]);
  }
  return Math.max(...counts.map((count, n) => Math.abs(count - 50 * weightOf(n))));
}

await doTask(({ kind, warmUpSeconds, seconds }: CoreTask) => {
  if (kind === "live-change") return Promise.resolve(change());
  if (kind === "rounds") return Promise.resolve(rounds());
  const loop = loopOf(kind);
  loop.open();
  // Keys stay backlogged while their messages come and go.
  loop.fill(12_000);
  // Who is to wait finds out with its first turn.
  for (let turns = kind === "beside" ? 20 : 0; turns > 0; turns -= 1) loop.turn([loop.ack(loop.lease(perTurn))]);
  microseconds(kind, warmUpSeconds, loop);
  return Promise.resolve(microseconds(kind, seconds, loop));
});
