// The broker's own operations (searches, redrive, watches), run over the simulated broker: what they ask goes into the
// mailbox, what they read comes from the simulated disk, and they wait by the world's clock. One for each run of an
// operation, so that it is known which requests are whose.
import type { Outcome } from "../../server/src/broker/contract.ts";
import { HookGate } from "../../server/src/broker/hook-gate.ts";
import { BrokerOperations } from "../../server/src/broker/operations/broker-operations.ts";
import type { OperationsHost } from "../../server/src/broker/operations/host.ts";
import type { Life } from "../../server/src/broker/store.ts";
import type { Command } from "../../server/src/core/commands.ts";
import type { Effect, Reply } from "../../server/src/core/effects.ts";
import { failure } from "../../server/src/core/errors.ts";
import type { BrokerProcess } from "./broker-process.ts";
import type { SimulatedDisk } from "./disk.ts";

/** What the operations need of the world. */
export interface Surroundings {
  readonly mono: number;
  readonly wall: number;
  readonly mailbox: Command[];
  readonly disk: SimulatedDisk;
  readonly broker: BrokerProcess;
  number(): number;
}

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

export class Switchboard {
  readonly #world: Surroundings;
  readonly #waiting = new Map<number, (outcome: Outcome<Reply>) => void>();
  #timers: Timer[] = [];
  #operations: BrokerOperations[] = [];
  /** How often the broker was killed. */
  #kills = 0;
  /** Something has happened that operations go on from. */
  stirred = false;

  constructor(world: Surroundings) {
    this.#world = world;
  }

  /** @param asked is told the number of each request */
  operations(asked: (request: number) => void): BrokerOperations {
    const world = this.#world;
    const kills = this.#kills;
    // Also of an operation that was answered just before, and was about to go on.
    const isKilled = (): boolean => kills !== this.#kills;
    const host: OperationsHost = {
      state: "serving",
      get life() {
        return { data: world.disk.reading, loader: world.broker.loader } as unknown as Life;
      },
      clock: {
        mono: () => world.mono,
        wall: () => world.wall,
        after: (ms, fire) => (isKilled() ? () => undefined : this.#after(ms, fire)),
      },
      onStateChange: () => () => undefined,
      gate: new HookGate(undefined, {
        enqueue: () => undefined,
        send: (command) => world.mailbox.push(command),
        settled: () => undefined,
      }),
      hooks: undefined,
      call: (make) => {
        if (isKilled()) return new Promise(() => undefined);
        const request = world.number();
        asked(request);
        world.mailbox.push(make(request));
        return new Promise((resolve) => this.#waiting.set(request, resolve));
      },
      readFailed: (error) => {
        throw error;
      },
    };
    const operations = new BrokerOperations(host);
    this.#operations.push(operations);
    return operations;
  }

  #after(ms: number, fire: () => void): () => void {
    const timer = { at: this.#world.mono + ms, fire };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((each) => each !== timer));
  }

  /** An answer of a durable turn. */
  answered(effect: Effect): void {
    if (!("request" in effect)) return;
    const resolve = this.#waiting.get(effect.request);
    if (resolve === undefined) return;
    this.#waiting.delete(effect.request);
    this.stirred = true;
    resolve(effect.type === "failed" ? { ok: false, failure: effect.failure } : { ok: true, value: effect });
  }

  configChanged(): void {
    this.stirred = true;
    for (const operations of this.#operations) operations.configChanged();
  }

  timePasses(): void {
    if (this.#timers.length === 0) return;
    const due = this.#timers.filter(({ at }) => at <= this.#world.mono);
    if (due.length === 0) return;
    this.#timers = this.#timers.filter((timer) => !due.includes(timer));
    this.stirred = true;
    for (const { fire } of due) fire();
  }

  /** When the next operation wants to go on; Infinity: none waits for a time. */
  get nextTimer(): number {
    return this.#timers.reduce((next, { at }) => Math.min(next, at), Infinity);
  }

  /** A write was rejected: whatever was asked and not answered is refused. */
  reopened(): void {
    const refused = failure("STORAGE_UNAVAILABLE", "the store is being reopened");
    this.stirred = true;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const resolve of waiting) resolve({ ok: false, failure: refused });
  }

  /** Nobody is answered any more. */
  killed(): void {
    this.#kills += 1;
    this.#waiting.clear();
    this.#timers = [];
    this.#operations = [];
    this.stirred = false;
  }

  /** The operations go on until they wait for something again. */
  async settle(): Promise<void> {
    while (this.stirred) {
      this.stirred = false;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
