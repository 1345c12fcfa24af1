// The imperative shell around the core: takes calls, runs turns, answers when they are durable, and starts anew from the
// store when a write has failed.
//
// States: serving -write rejected-> readonly -reopened and rebuilt-> serving; serving | readonly -stop-> draining ->
// stopped. A broken invariant or a failed fsync is fatal: the process must end. May never happen: an answer OK to a call
// whose commit was rejected.
import type { Command, ConnectionId, ConsumerId, EnqueueItem, OpenConsumer, SettleItem } from "../core/commands.ts";
import type { Effect, EnqueueOutcome, QueueStats, Reply, SettleOutcome } from "../core/effects.ts";
import type { Failure } from "../core/errors.ts";
import { type QueueSettings, defaultQueueSettings } from "../core/queue-settings.ts";
import { readQueue } from "../core/queue-stats.ts";
import { type Storage, StorageError } from "../storage/port.ts";
import type { Hooks } from "../hooks/port.ts";
import type { BrokerReading, TurnObserver } from "../telemetry/turn-observer.ts";
import type { Clock } from "./clock.ts";
import { Consumers } from "./consumers.ts";
import type { BrokerState, Consumer, ConsumerSink, Outcome, QueuePage, ReadableBroker } from "./contract.ts";
import { HookGate, type Question } from "./hook-gate.ts";
import { Mailbox, maxWaitingBytes } from "./mailbox.ts";
import { BrokerOperations } from "./operations/broker-operations.ts";
import type { Load } from "./payload-loader.ts";
import { draining, overloaded, storageFull, unavailable, unreadable } from "./refusals.ts";
import { type Life, type StoreOptions, openLife } from "./store.ts";
import { TurnLoop } from "./turn-loop.ts";

export interface ShellLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface ShellOptions extends StoreOptions {
  readonly open: () => Promise<Storage>;
  readonly clock: Clock;
  readonly log: ShellLog;
  readonly observer?: TurnObserver | undefined;
  /** Absent: queues cannot have scripts. */
  readonly hooks?: Hooks | undefined;
  /** The state cannot be trusted or the disk has failed for good: the process must end. */
  readonly fatal: (error: unknown) => void;
}

type Done = (reply: Reply | Failure) => void;

const firstReopenMs = 100;
const longestReopenMs = 5_000;
/** How many fairness keys of a queue, and of all queues, one reading looks at: some 50 ns each. */
const keysLookedAt = 1_000;
const keysLookedAtInAll = 50_000;

export class Shell implements ReadableBroker {
  #state: BrokerState = "serving";
  readonly #stateListeners = new Set<(state: BrokerState) => void>();
  readonly #options: ShellOptions;
  readonly #mailbox = new Mailbox();
  #pending = new Map<number, Done>();
  readonly #consumers: Consumers;
  readonly #gate: HookGate;
  readonly operations: BrokerOperations;
  #life: Life;
  #loop: TurnLoop;
  #nextRequest = 1;
  #nextConsumer = 1;
  #nextConnection = 1;
  #refusal: Failure | undefined;
  #drained: (() => void) | undefined;
  #stopping: Promise<void> | undefined;
  #reopening: Promise<void> | undefined;

  constructor(life: Life, options: ShellOptions) {
    this.#options = options;
    this.#life = life;
    this.#consumers = new Consumers({
      corrupt: (deliveries) => {
        for (const { id, queueNumber, sequence } of deliveries) {
          options.log.error(
            `message ${id} cannot be read back from the store and is set aside; run a check of the disk`,
          );
          this.#send({ type: "quarantine", queueNumber, sequence });
        }
      },
      undelivered: (consumer, ordinals, all) => this.#send({ type: "undelivered", consumer, ordinals, all }),
      unreadable: (consumer, error) => {
        options.log.error(`payloads cannot be read: ${describe(error)}`);
        options.observer?.storageFailed("read");
        this.#consumers.end(consumer, unavailable());
        this.#send({ type: "close", consumer, written: 0 });
      },
    });
    this.#gate = new HookGate(options.hooks, {
      enqueue: (items, done) => this.#enqueue(items, done, true),
      send: (command) => this.#send(command),
      settled: () => this.#endIdleConsumers(),
    });
    this.#gate.load(life);
    this.operations = this.#operations();
    this.#loop = this.#startLoop();
  }

  #operations(): BrokerOperations {
    const state = (): BrokerState => this.#state;
    const life = (): Life => this.#life;
    return new BrokerOperations({
      clock: this.#options.clock,
      get state() {
        return state();
      },
      get life() {
        return life();
      },
      onStateChange: (listener) => this.onStateChange(listener),
      gate: this.#gate,
      hooks: this.#options.hooks,
      call: (make, reads) => this.#call(make, (reply) => reply, reads),
      readFailed: (error) => {
        // Of a store that is closed because a write was rejected, there is nothing new to say.
        if (this.#refusal !== undefined) return this.#refusal;
        this.#options.log.error(`the store cannot be read: ${error.message}`);
        return unreadable();
      },
    });
  }

  get state(): BrokerState {
    return this.#state;
  }

  onStateChange(listener: (state: BrokerState) => void): () => void {
    // Wrapped, so that a function given twice is called twice and taken off once.
    const added = (state: BrokerState): void => listener(state);
    this.#stateListeners.add(added);
    return () => this.#stateListeners.delete(added);
  }

  #become(state: BrokerState): void {
    this.#state = state;
    for (const listener of this.#stateListeners) listener(state);
  }

  read(): BrokerReading {
    const { engine, cache } = this.#life;
    const { queuesByName, table, throttles } = engine.core.state;
    const keysOfEach = Math.max(1, Math.min(keysLookedAt, Math.floor(keysLookedAtInAll / queuesByName.size)));
    return {
      serving: this.#state === "serving",
      queues: [...queuesByName.values()].map((queue) => readQueue(queue, table, keysOfEach)),
      throttledLanes: throttles.waiting,
      waitingBytes: this.#mailbox.waitingBytes,
      payloadCacheBytes: cache.bytes,
      payloadCacheHits: this.#consumers.fromMemory,
      payloadCacheMisses: this.#consumers.fromStore,
      hooks: this.#options.hooks?.read() ?? { waiting: 0, openBreakers: 0 },
    };
  }

  enqueue(items: readonly EnqueueItem[], done: (outcomes: readonly EnqueueOutcome[] | Failure) => void): void {
    if (this.#mailbox.waitingBytes > maxWaitingBytes) done(overloaded());
    else if (!this.#gate.concerns(items)) this.#enqueue(items, done);
    else if (this.#refusal !== undefined) done(this.#refusal);
    else this.#gate.enqueue(items, done);
  }

  #enqueue(
    items: readonly EnqueueItem[],
    done: (outcomes: readonly EnqueueOutcome[] | Failure) => void,
    whileDraining = false,
  ): void {
    this.#request(
      (request) => ({ type: "enqueue", request, items }),
      (reply) => done("reason" in reply ? reply : reply.type === "enqueued" ? reply.outcomes : unexpected(reply)),
      whileDraining,
    );
  }

  settle(
    queue: string,
    items: readonly SettleItem[],
    who: { readonly connection: ConnectionId; readonly principal: string },
    done: (outcomes: readonly SettleOutcome[] | Failure) => void,
  ): void {
    const { connection, principal } = who;
    this.#request(
      (request) => ({ type: "settle", request, queue, connection, principal, items }),
      (reply) => done("reason" in reply ? reply : reply.type === "settled" ? reply.outcomes : unexpected(reply)),
      true,
    );
  }

  openConsumer(options: Omit<OpenConsumer, "type" | "consumer">, sink: ConsumerSink): Consumer {
    const id = this.#nextConsumer;
    this.#nextConsumer += 1;
    const refusal = this.#refusal;
    if (refusal !== undefined) queueMicrotask(() => sink.ended(refusal));
    else {
      this.#consumers.add(id, sink);
      const { queue, kind, connection, principal, worker, session, visibilityMs, credit } = options;
      this.#send({
        type: "open",
        consumer: id,
        queue,
        kind,
        connection,
        principal,
        worker,
        session,
        visibilityMs,
        credit,
      });
    }
    return this.#consumerHandle(id);
  }

  #consumerHandle(id: ConsumerId): Consumer {
    return {
      credit: (messages) => {
        if (this.#consumers.has(id)) this.#send({ type: "credit", consumer: id, messages });
      },
      stop: () => {
        if (this.#consumers.has(id)) this.#send({ type: "stop", consumer: id });
      },
      written: (ordinal) => {
        if (this.#consumers.has(id)) this.#send({ type: "written", consumer: id, ordinal });
      },
      close: (written) => {
        if (!this.#consumers.has(id)) return;
        this.#consumers.remove(id);
        this.#send({ type: "close", consumer: id, written });
      },
    };
  }

  async createQueue(name: string, settings: Partial<QueueSettings>): Promise<Outcome<void>> {
    const refused = this.#gate.hasScripts(settings) ? await this.#gate.check(settings) : undefined;
    if (refused !== undefined) return { ok: false, failure: refused };
    const all = { ...defaultQueueSettings, ...settings };
    return this.#call(
      (request) => ({ type: "create-queue", request, name, settings: all }),
      () => undefined,
    );
  }

  deleteQueue(name: string, force = true): Promise<Outcome<void>> {
    return this.#call(
      (request) => ({ type: "delete-queue", request, name, force }),
      () => undefined,
    );
  }

  listQueues(after: string, limit: number): Promise<Outcome<QueuePage>> {
    return this.#call(
      (request) => ({ type: "list-queues", request, after, limit }),
      (reply) =>
        reply.type === "queues" ? { queues: reply.queues, total: reply.total, more: reply.more } : unexpected(reply),
      true,
    );
  }

  queueStats(name: string, topKeys: number): Promise<Outcome<QueueStats>> {
    return this.#call(
      (request) => ({ type: "queue-stats", request, name, topKeys }),
      (reply) => (reply.type === "stats" ? reply.stats : unexpected(reply)),
      true,
    );
  }

  nextConnection(): ConnectionId {
    this.#nextConnection += 1;
    return this.#nextConnection;
  }

  disconnected(connection: ConnectionId): void {
    this.#send({ type: "disconnect", connection });
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#become("draining");
    this.#refusal = draining();
    this.#life.engine.core.draining = true;
    this.#consumers.announceDraining();
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(deadlineMs, resolve);
      this.#drained = () => {
        cancel();
        resolve();
      };
      this.#endIdleConsumers();
      this.#loop.wake();
    });
    await this.#reopening;
    await this.#loop.stop();
    // Their leases stand, as over a restart: no close commands any more.
    this.#become("stopped");
    this.#consumers.endAll(draining());
    await this.#gate.stop(draining());
    this.#failPending(draining());
    this.#mailbox.clear();
    await this.#life.storage.close();
  }

  /** While draining: consumers that hold nothing are let go; when none is left and nothing waits, the drain is over. */
  #endIdleConsumers(): void {
    if (this.#drained === undefined) return;
    const { consumers } = this.#life.engine.core.state;
    for (const id of this.#consumers.ids()) {
      if ((consumers.get(id)?.unsettledMessages ?? 0) === 0) {
        this.#consumers.end(id, draining());
        this.#send({ type: "close", consumer: id, written: 0 });
      }
    }
    if (this.#consumers.size + this.#pending.size + this.#gate.pending === 0) this.#drained();
  }

  /** @param whileDraining whether the call is still taken while the broker drains */
  #request(make: (request: number) => Command, done: Done, whileDraining = false): void {
    const refusal = this.#refusal;
    if (refusal !== undefined && !(whileDraining && this.#state === "draining")) {
      done(refusal);
      return;
    }
    const request = this.#nextRequest;
    this.#nextRequest += 1;
    this.#pending.set(request, done);
    this.#send(make(request));
  }

  #call<T>(make: (request: number) => Command, value: (reply: Reply) => T, whileDraining = false): Promise<Outcome<T>> {
    return new Promise((resolve) => {
      this.#request(
        make,
        (reply) => {
          if ("reason" in reply) resolve({ ok: false, failure: reply });
          else if (reply.type === "failed") resolve({ ok: false, failure: reply.failure });
          else resolve({ ok: true, value: value(reply) });
        },
        whileDraining,
      );
    });
  }

  #send(command: Command): void {
    // Of a store that is being reopened, the core knows no consumers and connections.
    if (this.#state === "readonly" || this.#state === "stopped") return;
    this.#mailbox.add(command);
    this.#loop.wake();
  }

  #startLoop(): TurnLoop {
    return new TurnLoop(this.#life, this.#mailbox, this.#options.clock, {
      release: ({ system, mutations, effects }, loads, commitMs) => {
        this.#options.observer?.released(mutations, effects, commitMs);
        if (system.length > 0) this.#gate.turned(mutations);
        this.#release(effects, loads);
      },
      failed: (error) => this.#failed(error),
    });
  }

  /** What consumers must know first, then deliveries, then answers: who waits for work is in more of a hurry. */
  #release(effects: readonly Effect[], loads: readonly Load[]): void {
    for (const effect of effects) {
      if (effect.type === "opened" || effect.type === "lost") this.#consumers.tell(effect);
    }
    let load = 0;
    for (const effect of effects) {
      if (effect.type !== "deliver") continue;
      this.#consumers.deliver(effect.consumer, loads[load] as Load, this.#life.loader);
      load += 1;
    }
    let questions: Question[] | undefined;
    for (const effect of effects) {
      if (effect.type === "ended" || effect.type === "idle" || effect.type === "stopped") this.#consumers.tell(effect);
      else if (effect.type === "decide") (questions ??= []).push(effect);
      else if (effect.type === "config-changed") this.operations.configChanged();
      else if ("request" in effect) this.#answer(effect.request, effect.type === "failed" ? effect.failure : effect);
    }
    if (questions !== undefined) this.#gate.decide(questions, this.#life);
    this.#endIdleConsumers();
  }

  #answer(request: number, reply: Reply | Failure): void {
    const done = this.#pending.get(request);
    this.#pending.delete(request);
    // A map that is emptied with every answer: its tables would stay up to the next full collection.
    if (this.#pending.size === 0) this.#pending = new Map();
    done?.(reply);
  }

  #failPending(refused: Failure): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const done of pending) done(refused);
  }

  /** Nothing more is acknowledged until the store is open again and the core rebuilt from it. */
  #failed(error: unknown): void {
    const { log, fatal, observer } = this.#options;
    if (!(error instanceof StorageError) || error.code === "io") {
      log.error(`the broker cannot go on: ${describe(error)}`);
      fatal(error);
      return;
    }
    // A commit and a read under way at the same time may both fail; the store is reopened once.
    if (this.#state === "readonly" || this.#state === "stopped") return;
    observer?.storageFailed("commit");
    log.error(`a write was rejected: ${error.message}; nothing is acknowledged until the store is reopened`);
    const wasDraining = this.#state === "draining";
    this.#refusal = error.code === "disk_full" ? storageFull() : unavailable();
    this.#become("readonly");
    this.#mailbox.clear();
    this.#failPending(unavailable());
    this.#consumers.endAll(unavailable());
    if (wasDraining) this.#drained?.();
    else this.#reopening = this.#reopen(firstReopenMs);
  }

  async #reopen(delayMs: number): Promise<void> {
    const { clock, log, open, fatal, observer } = this.#options;
    await this.#life.storage.close().catch(() => undefined);
    for (let delay = delayMs; this.#stopping === undefined; delay = Math.min(delay * 2, longestReopenMs)) {
      await new Promise<void>((resolve) => clock.after(delay, resolve));
      try {
        this.#life = await openLife(open, this.#options, clock);
        this.#gate.load(this.#life);
      } catch (error) {
        observer?.storageFailed("open");
        if (error instanceof StorageError && (error.code === "corrupt" || error.code === "newer_format")) {
          fatal(error);
          return;
        }
        log.warn(`the store cannot be reopened yet: ${describe(error)}`);
        continue;
      }
      this.#refusal = undefined;
      this.#become("serving");
      this.#loop = this.#startLoop();
      log.info("the store is open again and the broker serves");
      return;
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function unexpected(reply: Reply): never {
  throw new Error(`the core answered with ${reply.type}`);
}
