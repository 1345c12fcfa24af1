// Which leases of named streams that broke are still in the program's hands.

/**
 * A named stream that comes back is given all that the broker had leased to it. What the program was handed before stays
 * its own; what was still waiting here, or never arrived, is unknown to it and must go back.
 */
export class StandingLeases {
  /** In hex; 64 random bits each, so they need no queue and no name. */
  readonly #tokens = new Set<string>();

  /** The stream broke while the program held the lease. */
  add(token: Uint8Array): void {
    this.#tokens.add(Buffer.from(token).toString("hex"));
  }

  /** The lease was settled or lost. */
  delete(token: Uint8Array): void {
    if (this.#tokens.size > 0) this.#tokens.delete(Buffer.from(token).toString("hex"));
  }

  has(token: Uint8Array): boolean {
    return this.#tokens.has(Buffer.from(token).toString("hex"));
  }
}
