// Keeps the leases of a worker from ending while it has them.
import type { Clock } from "../clock.ts";
import type { Beat, HeldLease } from "../consuming/held-lease.ts";
import type { SettlementSink } from "../consuming/settlement.ts";
import type { FilaError } from "../errors.ts";
import { limits } from "../limits.ts";

/** An extension is asked for when this part of the lease is over. */
const part = 1 / 3;
/** What is due within this part of a lease goes along. */
const slack = 1 / 12;
/** The shortest extension that the broker grants. */
const shortestMs = limits.shortestVisibilityTimeoutMs;

/**
 * One timer for all leases, armed for the one that is due first and not at all while there are none. Leases come to be
 * due a third of their base after they were granted, extended or taken up again; all that are due are extended together.
 * The base is the visibility timeout, until a handler extends for another duration. An extension that fails for anything
 * but a lost lease is tried again with the next beat. Never: an extension behind the settlement of its lease.
 */
export class Heartbeat {
  readonly #leases: () => Iterable<HeldLease>;
  readonly #clock: Clock;
  readonly #on: boolean;
  /** Milliseconds from its arrival for which a lease is extended at most. */
  readonly #maximumMs: number;
  #visibilityMs = 0;
  #paused = true;
  #dueAt = Infinity;
  #cancel: (() => void) | undefined;

  /** `leases` gives those that the worker has. `maximumMs` 0: none is extended unless its handler asks. */
  constructor(leases: () => Iterable<HeldLease>, clock: Clock, maximumMs: number) {
    this.#leases = leases;
    this.#clock = clock;
    this.#on = maximumMs > 0;
    this.#maximumMs = maximumMs;
  }

  /** The event loop has stood still since extensions were due. */
  get overdue(): boolean {
    return this.#dueAt < this.#clock.now();
  }

  /** These arrived just now. */
  watch(leases: readonly HeldLease[]): void {
    const now = this.#clock.now();
    const arrivedAt = Math.floor(now);
    for (const lease of leases) lease.arrivedAt = arrivedAt;
    if (this.#on) this.#arm(now + this.#visibilityMs * part, now);
  }

  /** A stream stands. Leases taken up again last as long as they were granted for, whatever they were extended to. */
  resume(visibilityMs: number): void {
    this.#visibilityMs = Math.max(shortestMs, visibilityMs);
    this.#paused = false;
    const now = this.#clock.now();
    for (const lease of this.#leases()) {
      const beat = this.#beatOf(lease);
      beat.renewing = false;
      beat.renewAt = beat.baseMs === 0 ? now + this.#visibilityMs * part : now;
      if (this.#on) this.#arm(beat.renewAt, now);
    }
  }

  /** No stream stands: an extension could not be sent, and would mean nothing when it can. */
  pause(): void {
    this.#paused = true;
    this.#disarm();
  }

  /** A handler's own extension, which sets the base; 0 = the visibility timeout. */
  extend(lease: HeldLease, extendMs: number, told: SettlementSink): void {
    const before = this.#beatOf(lease).baseMs;
    this.#setBase(lease, extendMs);
    lease.extend(extendMs, {
      settled: (end) => told.settled(end),
      refused: (error: FilaError) => {
        if (this.#beatOf(lease).baseMs === extendMs) this.#setBase(lease, before);
        told.refused(error);
      },
    });
  }

  #beatOf(lease: HeldLease): Beat {
    const renewAt = lease.arrivedAt + this.#visibilityMs * part;
    return (lease.beat ??= { baseMs: 0, renewAt, renewing: false });
  }

  #setBase(lease: HeldLease, baseMs: number): void {
    const now = this.#clock.now();
    const beat = this.#beatOf(lease);
    beat.baseMs = baseMs;
    beat.renewAt = now + this.#baseOf(beat) * part;
    if (this.#on) this.#arm(beat.renewAt, now);
  }

  #baseOf({ baseMs }: Beat): number {
    return baseMs === 0 ? this.#visibilityMs : baseMs;
  }

  #arm(at: number, now: number): void {
    if (this.#paused || at >= this.#dueAt) return;
    this.#disarm();
    this.#dueAt = at;
    this.#cancel = this.#clock.after(Math.max(0, at - now), () => this.#beat());
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#dueAt = Infinity;
  }

  #beat(): void {
    this.#disarm();
    const now = this.#clock.now();
    let next = Infinity;
    for (const lease of this.#leases()) {
      const renewUntil = lease.arrivedAt + this.#maximumMs;
      if (lease.state !== "held" || renewUntil - now < shortestMs) continue;
      const beat = this.#beatOf(lease);
      const baseMs = this.#baseOf(beat);
      if (beat.renewAt <= now + baseMs * slack) {
        // The whole base, unless that is beyond the maximum.
        const restMs = Math.floor(renewUntil - now);
        this.#renew(lease, beat, restMs < baseMs ? restMs : beat.baseMs);
        beat.renewAt = now + baseMs * part;
      }
      next = Math.min(next, beat.renewAt);
    }
    if (next < Infinity) this.#arm(next, now);
  }

  #renew(lease: HeldLease, beat: Beat, extendMs: number): void {
    if (beat.renewing) return;
    beat.renewing = true;
    const answered = (): void => {
      beat.renewing = false;
    };
    lease.extend(extendMs, { settled: answered, refused: answered });
  }
}
