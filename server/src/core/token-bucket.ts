// A token bucket: refilled continuously, capped at its burst. Pure: it knows the time only as it is told, on a clock that
// never goes backwards.

export interface RateLimit {
  /** Cost units per second; 0 = nothing comes back. */
  readonly rate: number;
  /** Cost units that it holds at most; below 1 nothing passes. */
  readonly burst: number;
}

/** What computing with times and tokens may be off by. */
const tolerance = 1e-9;

export class TokenBucket {
  #limit: RateLimit | undefined;
  #tokens = 0;
  /** Milliseconds. */
  #updatedAt = 0;
  #begun = false;

  /** undefined: everything passes. */
  get limit(): RateLimit | undefined {
    return this.#limit;
  }

  /**
   * Another limit from now on; undefined: none. The first one begins full. Later ones add no tokens: what is there stays,
   * up to the new burst, and while there was no limit nothing came in.
   */
  setLimit(limit: RateLimit | undefined, now: number): void {
    this.#tokens = this.tokensAt(now);
    this.#updatedAt = now;
    if (limit !== undefined) {
      this.#tokens = this.#begun ? Math.min(this.#tokens, limit.burst) : limit.burst;
      this.#begun = true;
    }
    this.#limit = limit;
  }

  tokensAt(now: number): number {
    if (this.#limit === undefined) return this.#tokens;
    const { rate, burst } = this.#limit;
    return Math.min(burst, this.#tokens + (Math.max(0, now - this.#updatedAt) * rate) / 1_000);
  }

  /** What a message of this cost takes: its cost, or all that the bucket ever holds. Infinity: it never passes. */
  chargeOf(cost: number): number {
    if (this.#limit === undefined) return 0;
    return this.#limit.burst < 1 ? Infinity : Math.min(cost, this.#limit.burst);
  }

  holds(tokens: number, now: number): boolean {
    return this.tokensAt(now) >= tokens - tolerance;
  }

  /** For how long it will not hold so many, milliseconds; Infinity: never as its limit is. */
  msUntil(tokens: number, now: number): number {
    if (this.holds(tokens, now)) return 0;
    const { rate, burst } = this.#limit ?? { rate: 0, burst: 0 };
    if (rate === 0 || tokens > burst + tolerance) return Infinity;
    return ((tokens - this.tokensAt(now)) * 1_000) / rate;
  }

  take(tokens: number, now: number): void {
    this.#tokens = Math.max(0, this.tokensAt(now) - tokens);
    this.#updatedAt = now;
  }
}
