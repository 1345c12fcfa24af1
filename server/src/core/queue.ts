// A queue: its number, which is never used again, its settings, its fairness ring and its consumers.
import type { Consumer } from "./consumer.ts";
import { ConsumerLine } from "./consumer.ts";
import type { FairnessKey } from "./fairness-key.ts";
import type { IdempotencyRecords } from "./idempotency.ts";
import { FairnessRing } from "./fairness-ring.ts";
import type { Line } from "./throttle-line.ts";
import { isDeadLetterName, type QueueSettings } from "./queue-settings.ts";

/** What an operator sets on one fairness key of a queue. */
export interface KeyOverride {
  /** 1 to 1,000; 0 = the key's own. */
  readonly weight: number;
  readonly paused: boolean;
  /** Leased messages at most; 0 = the queue's limit for each key. */
  readonly maxInFlight: number;
}

/** Why nothing is delivered: an operator has stopped it, or as many messages are leased as may be. */
export type Hold = "paused" | "full";

export class Queue {
  readonly number: number;
  readonly name: string;
  settings: QueueSettings;
  /** Number of its dead-letter queue; 0 = it has none. */
  deadLetters: number;
  /** Dead-letter queues: number of the queue that it was made with, and goes with; 0 = it was made by itself. */
  readonly madeFor: number;
  /** Holds what other queues could not deliver. */
  readonly isDeadLetterQueue: boolean;
  nextSequence = 1;
  /** Messages of other queues have moved here: their sequences say nothing about the order of its own. */
  mixed = false;
  /** A new map when the last one has gone: a map that is emptied again and again keeps all the tables that it ever had alive
   * up to the next full collection of the heap, and those come the more often. */
  keys = new Map<string, FairnessKey>();
  /** What an operator has set on single keys, whether or not they have messages. */
  readonly overrides = new Map<string, KeyOverride>();
  /** Made with the first enqueue that has a key. */
  idempotency: IdempotencyRecords | undefined;
  readonly ring = new FairnessRing();
  readonly line = new ConsumerLine();
  readonly consumers = new Set<Consumer>();
  /** Those who have left the line because the next message is too large for what they may hold now. */
  readonly turnedAway = new Set<Consumer>();
  /** Where one of its lanes was called, and let the time pass for which tokens were set aside for it. */
  readonly unfetched = new Set<Line>();
  /** Everything not yet settled. */
  depth = 0;
  /** Its leases. */
  inFlight = 0;
  /** Deleted: its messages go in slices. */
  dead = false;
  /** Stands in the core's list of queues to schedule. */
  scheduled = false;

  /** Why nothing of it is delivered; undefined: nothing of its own holds it. */
  held(): Hold | undefined {
    const { paused, maxInFlight } = this.settings;
    if (paused) return "paused";
    return maxInFlight > 0 && this.inFlight >= maxInFlight ? "full" : undefined;
  }

  constructor(number: number, name: string, settings: QueueSettings, deadLetters: number, madeFor: number) {
    this.number = number;
    this.name = name;
    this.settings = settings;
    this.deadLetters = deadLetters;
    this.madeFor = madeFor;
    this.isDeadLetterQueue = isDeadLetterName(name);
  }
}
