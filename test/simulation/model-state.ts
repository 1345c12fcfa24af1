// What the model knows: the same facts as the core, in the plainest form that can be checked by eye.
import type { ConsumerKind, EnqueueItem, LeaseToken, SettleAction } from "../../server/src/core/commands.ts";
import { FairShares } from "./fair-shares.ts";

export class ModelMessage {
  readonly queue: ModelQueue;
  readonly sequence: number;
  readonly key: ModelKey;
  readonly item: EnqueueItem;
  readonly enqueuedAt: number;
  readyAt: number;
  attempts = 0;
  quarantined = false;
  lease: ModelLease | undefined;
  deliveries = 0;

  constructor(
    queue: ModelQueue,
    sequence: number,
    key: ModelKey,
    item: EnqueueItem,
    enqueuedAt: number,
    readyAt: number,
  ) {
    this.queue = queue;
    this.sequence = sequence;
    this.key = key;
    this.item = item;
    this.enqueuedAt = enqueuedAt;
    this.readyAt = readyAt;
  }

  get name(): string {
    return `message ${this.sequence} of queue ${this.queue.number}`;
  }
}

export class ModelKey {
  readonly name: string;
  /** Place in the books of FairShares. */
  readonly index: number;
  weight = 1;
  /** Its weight stands in the store. */
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
    while (at > 0 && goesBefore(message, this.ready[at - 1] as ModelMessage)) at -= 1;
    this.ready.splice(at, 0, message);
  }

  take(message: ModelMessage): void {
    this.ready.splice(this.ready.indexOf(message), 1);
  }
}

function goesBefore(a: ModelMessage, b: ModelMessage): boolean {
  return a.readyAt < b.readyAt || (a.readyAt === b.readyAt && a.sequence < b.sequence);
}

export class ModelQueue {
  readonly number: number;
  readonly name: string;
  readonly visibilityMs: number;
  nextSequence = 1;
  inFlight = 0;
  dead = false;
  readonly keys = new Map<string, ModelKey>();
  readonly messages = new Map<number, ModelMessage>();
  readonly consumers = new Set<ModelConsumer>();
  readonly shares = new FairShares();

  constructor(number: number, name: string, visibilityMs: number) {
    this.number = number;
    this.name = name;
    this.visibilityMs = visibilityMs;
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
