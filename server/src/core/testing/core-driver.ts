// Drives a core the way the broker's shell does: turns of commands, then the effects of the turn to whom they concern.
// Time moves only when a test moves it, and every turn ends with a check of all invariants.
import type { Command, EnqueueItem, LeaseToken, OpenConsumer, SettleAction, SettleItem } from "../commands.ts";
import { Core } from "../core.ts";
import type { Delivery, Effect, EnqueueOutcome, QueueStats, Reply, SettleOutcome } from "../effects.ts";
import type { Failure, Reason } from "../errors.ts";
import { type CoreLimits, defaultLimits } from "../limits.ts";
import type { Mutation } from "../mutations.ts";
import { type QueueSettings, defaultQueueSettings } from "../queue-settings.ts";
import type { Entropy, TurnResult } from "../turn.ts";
import { verify } from "../verify.ts";
import { ConsumerDriver } from "./consumer-driver.ts";
import { DurableLedger } from "./durable-ledger.ts";

const noBytes = new Uint8Array(4 << 20);
/** Above this many messages the check of every turn would take longer than the test. */
const largestVerified = 500;

export interface EnqueueOptions {
  readonly count?: number;
  readonly weight?: number;
  readonly cost?: number;
  readonly bytes?: number;
  readonly throttleKeys?: readonly string[];
  readonly queue?: string;
  readonly delayMs?: number;
  readonly deliverAt?: number;
  readonly ttlMs?: number;
}

export interface Settling {
  readonly token?: LeaseToken | undefined;
  readonly queue?: string;
  readonly principal?: string;
  readonly connection?: number;
  readonly extendMs?: number;
  /** nack: what the worker says and asks for. */
  readonly error?: string;
  readonly delayMs?: number;
  readonly deadLetter?: boolean;
}

export function item(fairnessKey: string, options: EnqueueOptions = {}): EnqueueItem {
  const { weight = 0, cost = 1, throttleKeys = [], queue = "q", bytes = 10 } = options;
  const { delayMs = 0, deliverAt = 0, ttlMs = 0 } = options;
  const body = noBytes.subarray(0, bytes);
  return { queue, fairnessKey, weight, cost, throttleKeys, delayMs, deliverAt, ttlMs, body };
}

/** 32-bit words that differ from each other: tokens are unique and the same in every run. */
export class CountedEntropy implements Entropy {
  readonly words: Uint32Array;
  left = 0;
  #next = 1;

  constructor(size = 8_192) {
    this.words = new Uint32Array(size);
  }

  refill(): void {
    for (let at = this.left; at < this.words.length; at += 1) this.words[at] = Math.imul(this.#next++, 0x9e3779b1);
    this.left = this.words.length;
  }
}

export class CoreDriver {
  core: Core;
  mono = 1_000;
  wall = 1_750_000_000_000;
  readonly entropy: CountedEntropy;
  readonly mutations: Mutation[] = [];
  /** What a store would have of it. */
  readonly durable = new DurableLedger();
  /** What queues with a hook were asked. */
  readonly questions: Extract<Effect, { type: "decide" }>[] = [];
  /** Whether every turn ends with a check of all invariants. */
  checked = true;
  /** Whether effects reach anyone; false between the commit of a turn and a crash. */
  connected = true;
  readonly #replies = new Map<number, Reply>();
  readonly #consumers = new Map<number, ConsumerDriver>();
  readonly #limits: CoreLimits;
  #nextNumber = 1;

  constructor(limits: Partial<CoreLimits> = {}, entropyWords?: number) {
    this.entropy = new CountedEntropy(entropyWords);
    this.#limits = { ...defaultLimits, ...limits };
    this.core = this.newCore();
    this.createQueue("q");
  }

  newCore(): Core {
    return new Core(7, this.entropy, this.#limits);
  }

  /** The broker starts anew on this core: nobody of before is connected any more. */
  restartOn(core: Core): void {
    this.core = core;
    this.#consumers.clear();
    this.#replies.clear();
  }

  nextNumber(): number {
    return this.#nextNumber++;
  }

  /** One turn, its effects delivered. */
  turn(commands: readonly Command[] = []): TurnResult {
    this.entropy.refill();
    this.core.begin({ mono: this.mono, wall: this.wall });
    for (const command of commands) this.core.step(command);
    const result = this.core.finish();
    for (const mutation of result.mutations) this.mutations.push(mutation);
    this.durable.apply(result.mutations, this.wall);
    if (this.checked && this.core.state.table.size <= largestVerified) verify(this.core);
    if (this.connected) for (const effect of result.effects) this.#dispatch(effect);
    return result;
  }

  /** Turns until there is nothing more to do at this time. */
  run(...commands: readonly Command[]): void {
    let { more } = this.turn(commands);
    while (more) ({ more } = this.turn());
  }

  /** Time passes on both clocks, without a turn. */
  pass(milliseconds: number): void {
    this.mono += milliseconds;
    this.wall += milliseconds;
  }

  /** Time passes, then a turn. */
  wait(milliseconds: number): void {
    this.pass(milliseconds);
    this.run();
  }

  /** Unless the test says otherwise, a failed message comes again at once and for ever. */
  createQueue(name: string, given: Partial<QueueSettings> = {}): Failure | undefined {
    const settings = { ...defaultQueueSettings, initialBackoffMs: 0, maxAttempts: 0, ...given };
    const reply = this.ask((request) => ({ type: "create-queue", request, name, settings }));
    return reply.type === "failed" ? reply.failure : undefined;
  }

  deleteQueue(name: string): Failure | undefined {
    const reply = this.ask((request) => ({ type: "delete-queue", request, name }));
    return reply.type === "failed" ? reply.failure : undefined;
  }

  stats(name = "q", topKeys = 10): QueueStats {
    const reply = this.ask((request) => ({ type: "queue-stats", request, name, topKeys }));
    if (reply.type !== "stats") throw new Error(`no stats of ${name}`);
    return reply.stats;
  }

  /** The ids of what was enqueued. */
  enqueue(fairnessKey: string, options: EnqueueOptions = {}): string[] {
    const outcomes = this.enqueueItems(new Array<EnqueueItem>(options.count ?? 1).fill(item(fairnessKey, options)));
    return outcomes.map((outcome) => {
      if (typeof outcome === "string") return outcome;
      throw new Error("reason" in outcome ? outcome.message : `a duplicate of ${outcome.duplicateOf}`);
    });
  }

  enqueueItems(items: readonly EnqueueItem[]): readonly EnqueueOutcome[] {
    const reply = this.ask((request) => ({ type: "enqueue", request, items }));
    if (reply.type !== "enqueued") throw new Error(`answered ${reply.type}`);
    return reply.outcomes;
  }

  open(options: Partial<Omit<OpenConsumer, "type">> = {}): ConsumerDriver {
    const id = options.consumer ?? this.nextNumber();
    const { queue = "q", kind = "stream", principal = "p", worker = "w", session = "", visibilityMs = 0 } = options;
    const connection = options.connection ?? this.nextNumber();
    const consumer = new ConsumerDriver(this, id, queue, connection, principal);
    this.#consumers.set(id, consumer);
    const credit = options.credit ?? 0;
    this.run({ type: "open", consumer: id, queue, kind, connection, principal, worker, session, visibilityMs, credit });
    return consumer;
  }

  settleAll(items: readonly SettleItem[], settling: Settling = {}): readonly SettleOutcome[] {
    const { queue = "q", principal = "p", connection = 0 } = settling;
    const reply = this.ask((request) => ({ type: "settle", request, queue, connection, principal, items }));
    if (reply.type === "failed") return items.map(() => reply.failure);
    if (reply.type !== "settled") throw new Error(`answered ${reply.type}`);
    return reply.outcomes;
  }

  settle(id: string, action: SettleAction, settling: Settling = {}): SettleOutcome {
    const { token, extendMs = 0, error = "", delayMs, deadLetter = false } = settling;
    return this.settleAll([{ id, token, action, error, delayMs, deadLetter, extendMs }], settling)[0];
  }

  /** "OK", the end of the extended lease, or the reason of the refusal. */
  tell(id: string, action: SettleAction, settling: Settling = {}): "OK" | number | Reason {
    const outcome = this.settle(id, action, settling);
    return outcome === undefined ? "OK" : typeof outcome === "number" ? outcome : outcome.reason;
  }

  /** The reply to one command that has one. @param before others, in the same turn */
  ask(command: (request: number) => Command, ...before: readonly Command[]): Reply {
    const request = this.nextNumber();
    this.run(...before, command(request));
    const reply = this.#replies.get(request);
    if (reply === undefined) throw new Error("not answered");
    this.#replies.delete(request);
    return reply;
  }

  #dispatch(effect: Effect): void {
    switch (effect.type) {
      case "opened":
        this.#consumerOf(effect.consumer).opened = effect;
        return;
      case "deliver":
        this.#consumerOf(effect.consumer).deliver(effect.deliveries);
        return;
      case "lost":
        this.#consumerOf(effect.consumer).lost.push(...effect.leases);
        return;
      case "idle":
        this.#consumerOf(effect.consumer).idle = true;
        return;
      case "stopped":
        this.#consumerOf(effect.consumer).stopped = true;
        return;
      case "ended":
        this.#consumerOf(effect.consumer).ended = effect.failure;
        return;
      case "config-changed":
        return;
      case "decide":
        this.questions.push(effect);
        return;
      default:
        this.#replies.set(effect.request, effect);
    }
  }

  #consumerOf(id: number): ConsumerDriver {
    const consumer = this.#consumers.get(id);
    if (consumer === undefined) throw new Error(`an effect for consumer ${id}, which nobody opened`);
    return consumer;
  }
}

export type { Delivery };
