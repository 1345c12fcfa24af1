// A queue: its number, which is never used again, its settings, its fairness ring and its consumers.
import type { Consumer } from "./consumer.ts";
import { ConsumerLine } from "./consumer.ts";
import type { FairnessKey } from "./fairness-key.ts";
import { FairnessRing } from "./fairness-ring.ts";

export class Queue {
  readonly number: number;
  readonly name: string;
  visibilityMs: number;
  nextSequence = 1;
  readonly keys = new Map<string, FairnessKey>();
  readonly ring = new FairnessRing();
  readonly line = new ConsumerLine();
  readonly consumers = new Set<Consumer>();
  /** Everything not yet settled. */
  depth = 0;
  inFlight = 0;
  /** Deleted: its messages go in slices. */
  dead = false;
  /** Stands in the core's list of queues to schedule. */
  scheduled = false;

  constructor(number: number, name: string, visibilityMs: number) {
    this.number = number;
    this.name = name;
    this.visibilityMs = visibilityMs;
  }
}
