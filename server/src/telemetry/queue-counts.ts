// What became of the messages of one queue since the broker started, as plain numbers.

export const countNames = [
  "enqueued",
  "leased",
  "acked",
  "nacked",
  "expired",
  "streamDied",
  "released",
  "extended",
  "quarantined",
  "delayed",
  "retried",
  "deadLettered",
  "redriven",
  "outlived",
  "cancelled",
  "purged",
  "hookCalls",
  "hookFailures",
  "hookWarnings",
  "hookSkips",
  "rounds",
] as const;
export type CountName = (typeof countNames)[number];

export class QueueCounts {
  enqueued = 0;
  leased = 0;
  acked = 0;
  nacked = 0;
  expired = 0;
  /** Leases whose stream ended without giving them back. */
  streamDied = 0;
  released = 0;
  extended = 0;
  quarantined = 0;
  /** Enqueued to wait for a time or the end of a delay. */
  delayed = 0;
  /** Ended attempts after which the message comes again. */
  retried = 0;
  deadLettered = 0;
  /** Taken in from a dead-letter queue. */
  redriven = 0;
  /** Their time to live was over: dropped or dead-lettered. */
  outlived = 0;
  cancelled = 0;
  purged = 0;
  /** Calls of its scripts, and how many of them failed. */
  hookCalls = 0;
  hookFailures = 0;
  /** Fields of results of its scripts that were invalid. */
  hookWarnings = 0;
  /** Calls that did not take place, because the breaker was open. */
  hookSkips = 0;
  /** Rounds of its fairness ring; brought up to date when somebody looks. */
  rounds = 0;

  /** What a busy queue has much of. */
  get traffic(): number {
    return this.enqueued + this.leased;
  }

  add(other: Readonly<QueueCounts>): void {
    for (const name of countNames) this[name] += other[name];
  }

  minus(other: Readonly<QueueCounts>): QueueCounts {
    const difference = new QueueCounts();
    for (const name of countNames) difference[name] = this[name] - other[name];
    return difference;
  }
}
