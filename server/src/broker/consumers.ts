// The consumers' side of the shell: who listens, and their deliveries in order while bytes are fetched from the disk.
import type { ConsumerId } from "../core/commands.ts";
import type { Delivery, Effect, LostLease } from "../core/effects.ts";
import type { Failure } from "../core/errors.ts";
import type { ConsumerSink } from "./contract.ts";
import type { Load, LoadResult, PayloadLoader } from "./payload-loader.ts";

interface Listener {
  readonly sink: ConsumerSink;
  /** Deliveries whose bytes are not there yet, oldest first; while there are any, later ones wait behind them. */
  readonly waiting: Load[];
  /** Ordinals of those among them whose lease ended meanwhile: cancelled, expired. */
  readonly withdrawn: Set<number>;
  /** To be told behind the last of them that no more come. */
  stopped: boolean;
  /** Delivered to the sink and not yet known to be settled or lost; counted to know when a drain is over. */
  over: boolean;
}

export interface ConsumersEvents {
  /** Bytes on the disk are not what was written. */
  corrupt(deliveries: readonly Delivery[]): void;
  /** Deliveries that the sink never gets. `all`: it got nothing of their turn. */
  undelivered(consumer: ConsumerId, ordinals: readonly number[], all: boolean): void;
  /** The bytes of a consumer's deliveries cannot be read at all. */
  unreadable(consumer: ConsumerId, error: unknown): void;
}

export class Consumers {
  readonly #listeners = new Map<ConsumerId, Listener>();
  readonly #events: ConsumersEvents;
  /** Deliveries whose bytes were in memory, and those whose bytes were read for them. */
  fromMemory = 0;
  fromStore = 0;

  constructor(events: ConsumersEvents) {
    this.#events = events;
  }

  get size(): number {
    return this.#listeners.size;
  }

  ids(): ConsumerId[] {
    return [...this.#listeners.keys()];
  }

  add(id: ConsumerId, sink: ConsumerSink): void {
    this.#listeners.set(id, { sink, waiting: [], withdrawn: new Set(), stopped: false, over: false });
  }

  has(id: ConsumerId): boolean {
    return this.#listeners.has(id);
  }

  remove(id: ConsumerId): void {
    const listener = this.#listeners.get(id);
    if (listener !== undefined) listener.over = true;
    this.#listeners.delete(id);
  }

  end(id: ConsumerId, failure: Failure): void {
    const listener = this.#listeners.get(id);
    this.remove(id);
    listener?.sink.ended(failure);
  }

  endAll(failure: Failure): void {
    for (const id of this.ids()) this.end(id, failure);
  }

  announceDraining(): void {
    for (const listener of [...this.#listeners.values()]) listener.sink.draining();
  }

  tell(effect: Extract<Effect, { type: "opened" | "idle" | "lost" | "stopped" | "ended" }>): void {
    const listener = this.#listeners.get(effect.consumer);
    if (listener === undefined) return;
    if (effect.type === "opened") listener.sink.opened(effect.visibilityMs, effect.adopted);
    else if (effect.type === "idle") listener.sink.idle?.();
    else if (effect.type === "lost") listener.sink.lost(withdraw(listener, effect.leases));
    else if (effect.type === "stopped") {
      listener.stopped = true;
      if (listener.waiting.length === 0) listener.sink.stopped?.();
    } else this.end(effect.consumer, effect.failure);
  }

  deliver(id: ConsumerId, load: Load, loader: PayloadLoader): void {
    const listener = this.#listeners.get(id);
    // Its close command is in the mailbox and gives back what was never written.
    if (listener === undefined) return;
    if (listener.waiting.length === 0) {
      const there = loader.fromCache(load);
      if (there !== undefined) {
        this.fromMemory += there.loaded.length;
        listener.sink.deliver(there.loaded);
        return;
      }
    }
    listener.waiting.push(load);
    if (listener.waiting.length === 1) void this.#readAll(id, listener, loader);
  }

  async #readAll(id: ConsumerId, listener: Listener, loader: PayloadLoader): Promise<void> {
    try {
      for (let load = listener.waiting[0]; load !== undefined; load = listener.waiting[0]) {
        const result: LoadResult = loader.fromCache(load) ?? (await loader.read(load));
        if (listener.over) return;
        listener.waiting.shift();
        this.fromStore += result.loaded.length;
        const { withdrawn } = listener;
        const loaded = result.loaded.filter(({ ordinal }) => !withdrawn.has(ordinal));
        if (loaded.length > 0) listener.sink.deliver(loaded);
        if (result.corrupt.length > 0) this.#events.corrupt(result.corrupt);
        const delivered = new Set(loaded.map(({ ordinal }) => ordinal));
        const missing = load.deliveries.map(({ ordinal }) => ordinal).filter((ordinal) => !delivered.has(ordinal));
        for (const ordinal of missing) withdrawn.delete(ordinal);
        if (missing.length > 0) this.#events.undelivered(id, missing, loaded.length === 0);
      }
      if (listener.stopped) listener.sink.stopped?.();
    } catch (error) {
      if (!listener.over) this.#events.unreadable(id, error);
    }
  }
}

/** Those leases whose deliveries the sink has got; of the others it never learns. */
function withdraw({ waiting, withdrawn }: Listener, leases: readonly LostLease[]): readonly LostLease[] {
  if (waiting.length === 0) return leases;
  return leases.filter(({ id, token }) => {
    for (const { deliveries } of waiting) {
      const found = deliveries.find((each) => each.id === id && isSame(each.token, token));
      if (found === undefined) continue;
      withdrawn.add(found.ordinal);
      return false;
    }
    return true;
  });
}

function isSame(a: LostLease["token"], b: LostLease["token"]): boolean {
  return a.high === b.high && a.low === b.low;
}
