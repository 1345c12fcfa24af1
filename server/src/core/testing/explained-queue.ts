// A queue with its workers, known from outside: what was asked of the broker and what came of it. It predicts what
// holds a message, without a look at the core.
import type { Delivery } from "../effects.ts";
import type { Explanation } from "../explain.ts";
import { maxUnsettledBytes, maxUnsettledMessages, maxUnwrittenBytes, maxUnwrittenMessages } from "../consumer.ts";
import type { Refusal } from "../consumer.ts";
import type { ConsumerDriver } from "./consumer-driver.ts";
import { CoreDriver } from "./core-driver.ts";

/** Where a message is, as its producers and workers know. */
type Where =
  | { readonly at: "waiting" }
  | { readonly at: "delayed"; readonly clock: "steady" | "wall"; readonly due: number }
  | { readonly at: "leased"; readonly by: Worker; readonly delivery: Delivery; readonly deadline: number }
  | { readonly at: "deciding"; readonly until: number; readonly rejected: boolean }
  | { readonly at: "dead" }
  | { readonly at: "gone" };

export interface Known {
  readonly id: string;
  readonly key: string;
  readonly bytes: number;
  /** It names the throttle key that there is. */
  readonly throttled: boolean;
  readonly sequence: number;
  where: Where;
  attempts: number;
}

export interface Worker {
  readonly consumer: ConsumerDriver;
  readonly name: string;
  readonly kind: "stream" | "consume";
  credit: number;
  stopped: boolean;
  unwritten: number[];
}

const visibilityMs = 43_200_000;

export class ExplainedQueue {
  readonly driver = new CoreDriver({ leasesPerTurn: 7 });
  readonly messages: Known[] = [];
  readonly workers: Worker[] = [];
  readonly pausedKeys = new Set<string>();
  paused = false;
  /** Leases at most, of the queue and of each key; 0 = no limit. */
  readonly caps = { queue: 0, each: 0 };
  /** Tokens a second; every message takes the one token that the bucket holds at most. undefined: no limit. */
  rate: number | undefined;
  #tokens = 1;
  #tokensAt = 0;
  readonly asks: boolean;
  readonly #lead: number;
  #wall: number;
  readonly #bySequence = new Map<number, Known>();

  /** @param asks ended attempts are put to a hook */
  constructor(asks: boolean) {
    this.driver.checked = false;
    this.asks = asks;
    this.#lead = this.driver.wall - this.driver.mono;
    this.#wall = this.driver.wall;
    this.update({ visibilityMs, onFailureScript: asks ? "asked" : "" });
  }

  get steady(): number {
    return this.driver.mono + this.#lead;
  }

  update(settings: object): void {
    this.driver.ask((request) => ({ type: "update-queue", request, name: "q", settings }));
    this.observe();
  }

  setKey(fairnessKey: string, paused: boolean): void {
    if (paused) this.pausedKeys.add(fairnessKey);
    else this.pausedKeys.delete(fairnessKey);
    this.driver.ask((request) => ({ type: "set-key", request, queue: "q", fairnessKey, override: { paused } }));
    this.observe();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.update({ paused });
  }

  capBy(queue: number, each: number): void {
    this.caps.queue = queue;
    this.caps.each = each;
    this.update({ maxInFlight: queue, maxInFlightPerKey: each });
  }

  throttle(rate: number | undefined): void {
    this.#tokens = this.tokens;
    this.#tokensAt = this.driver.mono;
    // Made while nobody names it, it is a new one.
    if (rate !== undefined && !this.messages.some(({ throttled, where }) => throttled && where.at !== "gone")) {
      if (this.rate === undefined) this.#tokens = 1;
    }
    this.rate = rate;
    const value = rate === undefined ? "" : `${rate},1`;
    this.driver.ask((request) => ({ type: "set-config", request, key: "throttle.t", value }));
    this.observe();
  }

  get tokens(): number {
    return Math.min(1, this.#tokens + ((this.driver.mono - this.#tokensAt) * (this.rate ?? 0)) / 1_000);
  }

  enqueue(key: string, options: Parameters<CoreDriver["enqueue"]>[1] & object): void {
    const { bytes = 10, delayMs = 0, deliverAt = 0, throttleKeys = [] } = options;
    const throttled = throttleKeys.length > 0;
    const due = delayMs > 0 ? this.steady + delayMs : deliverAt;
    const clock = delayMs > 0 ? "steady" : "wall";
    const waits = delayMs > 0 || deliverAt > this.driver.wall;
    for (const id of this.driver.enqueue(key, options)) {
      const where: Where = waits ? { at: "delayed", clock, due } : { at: "waiting" };
      const sequence = this.messages.length + 1;
      const known: Known = { id, key, bytes, throttled, sequence, where, attempts: 0 };
      this.messages.push(known);
      this.#bySequence.set(sequence, known);
    }
    this.observe();
  }

  open(kind: Worker["kind"], credit: number, writes: boolean): Worker {
    const name = `w${this.driver.nextNumber()}`;
    const consumer = this.driver.open({ kind, credit, worker: name });
    consumer.writes = writes;
    const worker = { consumer, name, kind, credit, stopped: false, unwritten: [] };
    this.workers.push(worker);
    this.observe();
    return worker;
  }

  giveCredit(worker: Worker, messages: number): void {
    worker.credit += messages;
    worker.consumer.credit(messages);
    this.observe();
  }

  stop(worker: Worker): void {
    worker.stopped = true;
    worker.consumer.stop();
    this.observe();
  }

  wrote(worker: Worker): void {
    worker.unwritten = [];
    worker.consumer.written(worker.consumer.received.length);
    this.observe();
  }

  /** Everything that it holds ends an attempt. */
  close(worker: Worker): void {
    this.workers.splice(this.workers.indexOf(worker), 1);
    for (const message of this.heldBy(worker)) this.#attemptEnded(message, false);
    worker.consumer.close(worker.consumer.received.length);
    this.observe();
  }

  heldBy(worker: Worker): Known[] {
    return this.messages.filter(({ where }) => where.at === "leased" && where.by === worker);
  }

  settle(message: Known, action: "ack" | "nack" | "release", rejected = false): void {
    const { where } = message;
    if (where.at !== "leased") throw new Error("not leased");
    const { consumer } = where.by;
    if (action === "ack") message.where = { at: "gone" };
    else if (action === "release") message.where = { at: "waiting" };
    else this.#attemptEnded(message, rejected);
    const told =
      action === "nack"
        ? consumer.nack(where.delivery, { deadLetter: rejected })
        : consumer.settle(where.delivery, action);
    if (told !== "OK") throw new Error(`${action}: ${told}`);
    this.observe();
  }

  #attemptEnded(message: Known, rejected: boolean): void {
    message.attempts += 1;
    if (this.asks) message.where = { at: "deciding", until: this.driver.mono + 1_000, rejected };
    else message.where = { at: rejected ? "dead" : "waiting" };
  }

  decide(message: Known, delayMs: number): void {
    const { sequence, attempts: attempt } = message;
    message.where = delayMs > 0 ? { at: "delayed", clock: "steady", due: this.steady + delayMs } : { at: "waiting" };
    const decision = { type: "retry", delayMs } as const;
    this.driver.run({ type: "decided", queueNumber: 1, sequence, attempt, decision });
    this.observe();
  }

  cancel(message: Known): void {
    const { id } = message;
    const queue = message.where.at === "dead" ? "q.dlq" : "q";
    message.where = { at: "gone" };
    this.driver.ask((request) => ({ type: "cancel", request, queue, id }));
    this.observe();
  }

  redrive({ sequence }: Known): void {
    const messages = [{ queueNumber: 1, sequence }];
    this.driver.ask((request) => ({ type: "redrive", request, queue: "q.dlq", messages }));
    const message = this.#bySequence.get(sequence) as Known;
    message.where = { at: "waiting" };
    message.attempts = 0;
    this.observe();
  }

  /** @param jump of the wall clock alone */
  pass(milliseconds: number, jump = 0): void {
    const { driver } = this;
    driver.mono += milliseconds;
    // The wall clock shows whole milliseconds.
    this.#wall += milliseconds + jump;
    driver.wall = Math.floor(this.#wall);
    for (const message of this.messages) {
      const { where } = message;
      if (where.at === "delayed" && where.due <= (where.clock === "steady" ? this.steady : driver.wall)) {
        message.where = { at: "waiting" };
      } else if (where.at === "deciding" && where.until <= driver.mono) {
        message.where = { at: where.rejected ? "dead" : "waiting" };
      } else if (where.at === "leased" && where.deadline <= driver.mono) this.#attemptEnded(message, false);
    }
    driver.run();
    this.observe();
  }

  /** Deliveries reach their workers. */
  observe(): void {
    for (let more = true; more;) {
      more = false;
      for (const worker of this.workers) {
        for (const delivery of worker.consumer.take()) {
          more = true;
          this.#delivered(worker, delivery);
        }
      }
    }
  }

  #delivered(worker: Worker, delivery: Delivery): void {
    const message = this.#bySequence.get(delivery.sequence) as Known;
    if (message.where.at !== "waiting") throw new Error(`a message that is ${message.where.at} is delivered`);
    if (message.throttled && this.rate !== undefined) {
      this.#tokens = Math.max(0, this.tokens - 1);
      this.#tokensAt = this.driver.mono;
    }
    message.where = { at: "leased", by: worker, delivery, deadline: this.driver.mono + visibilityMs };
    if (worker.kind === "stream") worker.credit -= 1;
    if (!worker.consumer.writes) worker.unwritten.push(message.bytes);
  }

  refuses(worker: Worker, bytes: number): Refusal | undefined {
    if (worker.stopped) return "stopped";
    const sum = (all: readonly number[]): number => all.reduce((total, each) => total + each, 0);
    const { unwritten } = worker;
    const full = unwritten.length >= maxUnwrittenMessages || sum(unwritten) + bytes > maxUnwrittenBytes;
    if (unwritten.length > 0 && full) return "unwritten";
    if (worker.kind === "stream") return worker.credit > 0 ? undefined : "credit";
    const held = this.heldBy(worker).map((each) => each.bytes);
    if (held.length === 0) return undefined;
    return held.length >= maxUnsettledMessages || sum(held) + bytes > maxUnsettledBytes ? "unsettled" : undefined;
  }

  /** What holds the message first. */
  predict(message: Known): Explanation | { readonly why: "not-its-turn" | "throttled" } {
    const { where, attempts: attempt } = message;
    const { wall, mono } = this.driver;
    switch (where.at) {
      case "gone":
        return { why: "unknown" };
      case "dead":
        return { why: "dead-lettered", queue: "q.dlq" };
      case "leased":
        return { why: "leased", worker: where.by.name, until: Math.ceil(where.deadline - mono + wall), attempt };
      case "deciding":
        return { why: "deciding", attempt };
      case "delayed":
        return {
          why: "delayed",
          until: where.clock === "wall" ? where.due : Math.ceil(where.due - this.steady + wall),
        };
      case "waiting":
        return this.#predictWaiting(message);
    }
  }

  #predictWaiting(message: Known): Explanation | { readonly why: "not-its-turn" | "throttled" } {
    const { key, bytes } = message;
    if (this.paused) return { why: "queue-paused" };
    if (this.pausedKeys.has(key)) return { why: "key-paused", fairnessKey: key };
    if (this.lacksTokens(message)) return { why: "throttled" };
    const full = this.full(key);
    if (full !== undefined) return full;
    if (this.workers.length === 0) return { why: "no-consumer" };
    const because: Partial<Record<Refusal, number>> = {};
    for (const worker of this.workers) {
      const refusal = this.refuses(worker, bytes);
      if (refusal === undefined) return { why: "not-its-turn" };
      because[refusal] = (because[refusal] ?? 0) + 1;
    }
    return { why: "no-credit", consumers: this.workers.length, because };
  }

  lacksTokens({ throttled }: Known): boolean {
    return throttled && this.rate !== undefined && this.tokens < 1 - 1e-9;
  }

  full(key: string): Explanation | undefined {
    const held = this.messages.filter(({ where }) => where.at === "leased");
    const own = held.filter((each) => each.key === key);
    const { queue, each } = this.caps;
    const workers = (of: readonly Known[]): string[] => [
      ...new Set(of.map(({ where }) => (where.at === "leased" ? where.by.name : ""))),
    ];
    const why = "concurrency-full";
    if (queue > 0 && held.length >= queue) {
      return { why, cap: queue, fairnessKey: undefined, workers: workers(held).sort() };
    }
    if (each === 0 || own.length < each) return undefined;
    return { why, cap: each, fairnessKey: key, workers: workers(own).sort() };
  }

  explain(about: { readonly id: string } | { readonly fairnessKey: string }, queue = "q"): Explanation {
    const reply = this.driver.ask((request) => ({ type: "explain", request, queue, ...about }));
    if (reply.type !== "explained") throw new Error(reply.type);
    this.observe();
    return reply.explanation;
  }
}
