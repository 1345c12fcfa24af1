// What one core takes in and what one turn of it does, at most.
export interface CoreLimits {
  /** Queues at most; default 10,000. */
  readonly maxQueues: number;
  /** Idempotency keys that one queue remembers at most; beyond, enqueues with a key are refused. Default 1,000,000. */
  readonly maxIdempotencyKeys: number;
  /** Leases that one turn grants at most. */
  readonly leasesPerTurn: number;
  /** Messages that one turn wakes, and expired leases and messages that it ends, at most. */
  readonly slicePerTurn: number;
  /** Lanes that one turn takes out of their lines at most, their limit being removed or their key held. */
  readonly freedPerTurn: number;
  /** Messages of purged and deleted queues, and idempotency keys, that one turn drops at most. Nobody waits for them in a
   * hurry, and whoever is served in the same turn waits for them and their commit: some 0.1 ms. */
  readonly dropsPerTurn: number;
  /** The same for a turn in which nobody is served. */
  readonly dropsPerIdleTurn: number;
  /** Rows of the table that a purge, or the walk for deleted queues, looks at in one turn at most. */
  readonly rowsPerTurn: number;
  /** Rows of the table that one slice of a search looks at. */
  readonly rowsPerSearch: number;
}

export const defaultLimits: CoreLimits = {
  maxQueues: 10_000,
  maxIdempotencyKeys: 1_000_000,
  leasesPerTurn: 2_000,
  slicePerTurn: 5_000,
  freedPerTurn: 5_000,
  dropsPerTurn: 60,
  dropsPerIdleTurn: 500,
  rowsPerTurn: 10_000,
  rowsPerSearch: 20_000,
};
