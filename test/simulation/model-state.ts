// What the model knows: the same facts as the core, in the plainest form that can be checked by eye.
import type { ConsumerKind, EnqueueItem, LeaseToken, SettleAction } from "../../server/src/core/commands.ts";
import type { FailureRecord } from "../../server/src/core/mutations.ts";
import type { KeyOverride } from "../../server/src/core/queue.ts";
import type { QueueSettings } from "../../server/src/core/queue-settings.ts";
import type { AttemptEnd } from "../../server/src/core/retry-policy.ts";
import { FairShares } from "./fair-shares.ts";
import type { Span } from "./model-clock.ts";
import { ModelUses } from "./model-idempotency.ts";

/**
 * When something is due. A duration ends by the steady clock, which nobody sets; what the store says of it is the wall clock's
 * time, and a page that is written after somebody has set that clock says another one than the event did.
 */
export class ModelDue implements Span {
  readonly clock: "steady" | "wall";
  at: number;
  /** What the store may say. */
  low: number;
  high: number;

  /** @param written the wall-clock time of the event that says it */
  constructor(clock: "steady" | "wall", at: number, written: number) {
    this.clock = clock;
    this.at = at;
    this.low = written;
    this.high = written;
  }

  /** @param lead what the steady clock is ahead of the wall clock from now on */
  clockSet(lead: number): void {
    if (this.clock === "wall") return;
    this.low = Math.min(this.low, this.at - lead);
    this.high = Math.max(this.high, this.at - lead);
  }

  /** The broker has started anew: the steady clock shows the wall clock's time, and the store says this. */
  restarted(at: number): void {
    this.at = at;
    this.low = at;
    this.high = at;
  }
}

/** An ended attempt about which the hook is asked. */
export interface ModelQuestion {
  readonly end: AttemptEnd;
  readonly attempt: number;
  /** Monotonic clock, from the question on; Infinity: a restart came between, and it is to be asked again. */
  deadline: number;
}

export class ModelMessage {
  readonly id: string;
  /** Number of the queue that it was enqueued to: with the sequence its name. */
  readonly origin: number;
  readonly sequence: number;
  /** The queue that it is in. */
  queue: ModelQueue;
  key: ModelKey;
  readonly item: EnqueueItem;
  readonly enqueuedAt: number;
  /** Its place in its key, in time. */
  place: Span = { low: 0, high: 0 };
  /** The store says that it waits until then; it goes on saying so when the message is ready or leased since. */
  waits: ModelDue | undefined;
  /** Whether that time has come, and the message is ready since; maybe: the turn did not get through with all of them. */
  woken: "no" | "maybe" | "yes" = "yes";
  expiry: ModelDue | undefined;
  attempts = 0;
  firstFailedAt = 0;
  quarantined = false;
  deciding: ModelQuestion | undefined;
  /** Its record, while it is a dead letter. */
  failure: FailureRecord | undefined;
  lease: ModelLease | undefined;
  deliveries = 0;
  /** Since when, by the model's count of what happened, it is in its queue and without a lease, and in its state. */
  entered = 0;
  touched = 0;

  constructor(id: string, queue: ModelQueue, sequence: number, key: ModelKey, item: EnqueueItem, enqueuedAt: number) {
    this.id = id;
    this.origin = queue.number;
    this.queue = queue;
    this.sequence = sequence;
    this.key = key;
    this.item = item;
    this.enqueuedAt = enqueuedAt;
  }

  get name(): string {
    return `message ${this.origin}:${this.sequence} of queue ${this.queue.name}`;
  }

  isOver(steady: number): boolean {
    return this.expiry !== undefined && this.expiry.at <= steady;
  }
}

/** A number for a message's name. */
export function nameOf(origin: number, sequence: number): number {
  return origin * 0x1_0000_0000 + sequence;
}

export class ModelKey {
  readonly name: string;
  /** Place in the books of FairShares. */
  readonly index: number;
  /** An operator's, or else its own. */
  weight = 1;
  ownWeight = 1;
  paused = false;
  /** Its own weight stands in the store. */
  weighed = false;
  total = 0;
  /** In the order in which they must be delivered. */
  readonly ready: ModelMessage[] = [];

  constructor(name: string, index: number) {
    this.name = name;
    this.index = index;
  }

  insert(message: ModelMessage): void {
    let at = this.ready.length;
    while (at > 0 && message.place.low < (this.ready[at - 1] as ModelMessage).place.low) at -= 1;
    while (at > 0 && goesBefore(message, this.ready[at - 1] as ModelMessage)) at -= 1;
    this.ready.splice(at, 0, message);
  }

  take(message: ModelMessage): void {
    this.ready.splice(this.ready.indexOf(message), 1);
  }
}

/** Whether it certainly does. */
export function goesBefore(a: ModelMessage, b: ModelMessage): boolean {
  if (a.place.high !== b.place.low || a.place.low !== a.place.high || b.place.low !== b.place.high) {
    return a.place.high < b.place.low;
  }
  return a.sequence < b.sequence || (a.sequence === b.sequence && a.origin < b.origin);
}

export class ModelQueue {
  readonly number: number;
  readonly name: string;
  settings: QueueSettings;
  /** Number of its dead-letter queue; 0 = it is one. */
  deadLetters: number;
  /** Number of the queue that it came with and goes with; 0 = none. */
  readonly madeFor: number;
  readonly isDeadLetterQueue: boolean;
  nextSequence = 1;
  inFlight = 0;
  /** Keys of it were kept from their shares by throttles or caps, in its last turn. */
  heldBack = false;
  dead = false;
  readonly keys = new Map<string, ModelKey>();
  readonly messages = new Set<ModelMessage>();
  readonly consumers = new Set<ModelConsumer>();
  readonly shares = new FairShares();
  /** What an operator has set on keys. */
  readonly overrides = new Map<string, KeyOverride>();
  readonly uses = new ModelUses();

  constructor(number: number, name: string, settings: QueueSettings, deadLetters: number, madeFor: number) {
    this.number = number;
    this.name = name;
    this.settings = settings;
    this.deadLetters = deadLetters;
    this.madeFor = madeFor;
    this.isDeadLetterQueue = name.endsWith(".dlq");
  }
}

export class ModelLease {
  readonly message: ModelMessage;
  readonly token: LeaseToken;
  readonly kind: ConsumerKind;
  readonly principal: string;
  readonly session: string;
  readonly durationMs: number;
  readonly leasedAt: number;
  consumer: ModelConsumer | undefined;
  ordinal = 0;
  deadline: number;
  /** Of a stream from before a restart. */
  orphan = false;
  over = false;
  settledBy: SettleAction | undefined;

  constructor(message: ModelMessage, token: LeaseToken, consumer: ModelConsumer, leasedAt: number, deadline: number) {
    this.message = message;
    this.token = token;
    this.consumer = consumer;
    this.kind = consumer.kind;
    this.principal = consumer.principal;
    this.session = consumer.session;
    this.durationMs = consumer.visibilityMs;
    this.leasedAt = leasedAt;
    this.deadline = deadline;
  }
}

export class ModelConsumer {
  readonly id: number;
  readonly queue: ModelQueue;
  readonly kind: ConsumerKind;
  readonly connection: number;
  readonly principal: string;
  readonly session: string;
  readonly visibilityMs: number;
  credit: number;
  stopped = false;
  delivered = 0;
  readonly leases = new Set<ModelLease>();
  unsettledBytes = 0;
  /** The last ordinal that is known to be written. */
  written = 0;
  readonly unwritten: { readonly ordinal: number; readonly bytes: number }[] = [];

  constructor(
    id: number,
    queue: ModelQueue,
    who: {
      readonly kind: ConsumerKind;
      readonly connection: number;
      readonly principal: string;
      readonly session: string;
    },
    visibilityMs: number,
    credit: number,
  ) {
    this.id = id;
    this.queue = queue;
    this.kind = who.kind;
    this.connection = who.connection;
    this.principal = who.principal;
    this.session = who.session;
    this.visibilityMs = visibilityMs;
    this.credit = credit;
  }

  wrote(ordinal: number): void {
    this.written = Math.max(this.written, ordinal);
    while (this.unwritten[0] !== undefined && this.unwritten[0].ordinal <= ordinal) this.unwritten.shift();
  }

  neverWrites(ordinal: number): void {
    const at = this.unwritten.findIndex((each) => each.ordinal === ordinal);
    if (at >= 0) this.unwritten.splice(at, 1);
  }
}

/** A number that stands for the token; 53 of its bits are enough to tell those of one run apart. */
export function tokenNumber(token: LeaseToken): number {
  return token.high * 0x20_0000 + (token.low & 0x1f_ffff);
}
