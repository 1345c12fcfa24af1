// What a client of the broker knows, moment by moment: what it has asked for, and what it was told. A crash image comes with
// the notes made before the crash, and from them follows what the image must hold.
import type { LeaseToken } from "../../server/src/core/commands.ts";
import type { ExpiredTo } from "../../server/src/core/queue-settings.ts";

/** Messages are known by a number that is part of their bytes. */
export type Tag = number;
export type Settling = "ack" | "nack" | "release" | "extend" | "dead-letter";

/** A queue from its creation to its deletion; a name may be used again. */
export interface QueueLife {
  readonly number: number;
  readonly name: string;
  readonly expiredTo: ExpiredTo;
}

export interface NotedLease {
  readonly tag: Tag;
  readonly id: string;
  readonly token: LeaseToken;
  readonly attempts: number;
  /** Of the stream that holds it; "" = a long poll. */
  readonly session: string;
}

export type BrokerNote =
  | { readonly kind: "create" | "created" | "delete" | "deleted"; readonly queue: QueueLife }
  | { readonly kind: "enqueue" | "enqueued"; readonly tags: readonly Tag[] }
  | { readonly kind: "delivered"; readonly leases: readonly NotedLease[] }
  | { readonly kind: "settle" | "settled"; readonly how: Settling; readonly tags: readonly Tag[] }
  /** Cancelled or purged; "removed": gone, or never stored because their idempotency keys were in use. */
  | { readonly kind: "remove" | "removed"; readonly tags: readonly Tag[] }
  /** Dead letters of one queue. */
  | { readonly kind: "redrive" | "redriven"; readonly tags: readonly Tag[] }
  /** Asked for, done, and certainly not done. */
  | { readonly kind: "write" | "written" | "unwritten"; readonly cell: string; readonly value: string }
  /** A stream is closed: its leases end some time later, and nobody is told. */
  | { readonly kind: "close"; readonly tags: readonly Tag[] }
  /** A commit with a slice of a checkpoint begins, and is durable. */
  | { readonly kind: "slice" | "sliced" };

/** A setting, or whatever else has one value at a time; "" = none, which is what it begins with. */
export interface Cell {
  readonly value: string;
  /** It may be one of these instead. */
  readonly pending: readonly string[];
}

/** Names of cells. */
export const cells = {
  config: (key: string) => `config/${key}`,
  /** What was set on a queue, as `queueValue` has it. */
  queue: ({ number }: QueueLife) => `queue/${number}`,
  /** What was set on a fairness key, as `keyValue` has it. */
  key: ({ number }: QueueLife, fairnessKey: string) => `key/${number}/${fairnessKey}`,
  /** The tag of the message that an idempotency key was used for. */
  use: ({ number }: QueueLife, key: string) => `use/${number}/${key}`,
};

/** What must hold of one message. */
export interface MessageFacts {
  /** Acknowledged: it must be there, unless it may be gone. */
  stored: boolean;
  /** An ack was sent, or its removal asked for. */
  mayBeGone: boolean;
  /** Acked or removed: it must never come back. */
  gone: boolean;
  leastAttempts: number;
  mostAttempts: number;
  /** Somebody holds it for certain. */
  lease: NotedLease | undefined;
  /** Never delivered, as far as anybody can know. */
  untouched: boolean;
  /** Whether a worker has made it a dead letter. */
  dead: "no" | "maybe" | "yes";
}

export interface Facts {
  /** Queues that must be there, that may be, and (all others) that must not. */
  readonly certainQueues: ReadonlyMap<number, QueueLife>;
  readonly possibleQueues: ReadonlyMap<number, QueueLife>;
  readonly messages: ReadonlyMap<Tag, MessageFacts>;
  readonly cells: ReadonlyMap<string, Cell>;
  /** Anything was acknowledged. */
  readonly acknowledged: boolean;
  /** A slice of a checkpoint was being written. */
  readonly inSlice: boolean;
}

/** `possible` begins with `certain`. */
export function factsOf(certain: readonly BrokerNote[], possible: readonly BrokerNote[]): Facts {
  const folding = new Folding();
  for (const note of certain) folding.certainly(note);
  for (const note of possible.slice(certain.length)) folding.possibly(note);
  return folding;
}

/** One delivery may have happened that nobody has seen. */
const unseenAttempts = 1;

class Folding implements Facts {
  readonly certainQueues = new Map<number, QueueLife>();
  readonly possibleQueues = new Map<number, QueueLife>();
  readonly messages = new Map<Tag, MessageFacts>();
  readonly cells = new Map<string, Cell>();
  acknowledged = false;
  inSlice = false;
  /** Before its settlement was sent: an extended lease is held again. */
  readonly #settling = new Map<Tag, NotedLease>();

  certainly(note: BrokerNote): void {
    switch (note.kind) {
      case "created":
        this.certainQueues.set(note.queue.number, note.queue);
        break;
      case "deleted":
        this.possibleQueues.delete(note.queue.number);
        break;
      case "enqueued":
        for (const tag of note.tags) this.#message(tag).stored = true;
        break;
      case "delivered":
        for (const lease of note.leases) this.#delivered(lease);
        break;
      case "settled":
        for (const tag of note.tags) this.#settled(tag, note.how);
        break;
      case "removed":
        for (const tag of note.tags) this.#message(tag).gone = true;
        break;
      case "redriven":
        for (const tag of note.tags) Object.assign(this.#message(tag), { dead: "no", mostAttempts: unseenAttempts });
        break;
      case "written":
      case "unwritten":
        this.#answered(note.cell, note.value, note.kind === "written");
        break;
      case "sliced":
        this.inSlice = false;
        return;
      default:
        this.possibly(note);
        return;
    }
    this.acknowledged = true;
  }

  possibly(note: BrokerNote): void {
    switch (note.kind) {
      case "create":
        this.possibleQueues.set(note.queue.number, note.queue);
        return;
      case "delete":
        this.certainQueues.delete(note.queue.number);
        return;
      case "enqueue":
        for (const tag of note.tags) this.#message(tag);
        return;
      case "settle":
      case "close":
        for (const tag of note.tags) this.#ends(tag, note.kind === "settle" && note.how === "ack");
        if (note.kind !== "settle" || note.how !== "dead-letter") return;
        for (const tag of note.tags) this.#message(tag).dead = "maybe";
        return;
      case "remove":
        for (const tag of note.tags) this.#ends(tag, true);
        return;
      case "redrive":
        // Attempts begin anew.
        for (const tag of note.tags) Object.assign(this.#message(tag), { dead: "maybe", leastAttempts: 0 });
        return;
      case "write": {
        const { value, pending } = this.#cell(note.cell);
        this.cells.set(note.cell, { value, pending: [...pending, note.value] });
        return;
      }
      case "delivered":
        for (const { tag } of note.leases) {
          this.#ends(tag, false);
          this.#message(tag).mostAttempts += 1;
        }
        return;
      case "slice":
        this.inSlice = true;
        return;
      default:
        // An answer that may have been given: what it answers was asked before.
        return;
    }
  }

  #cell(name: string): Cell {
    return this.cells.get(name) ?? { value: "", pending: [] };
  }

  #answered(name: string, value: string, done: boolean): void {
    const before = this.#cell(name);
    const pending = before.pending.toSpliced(before.pending.indexOf(value), 1);
    this.cells.set(name, { value: done ? value : before.value, pending });
  }

  #message(tag: Tag): MessageFacts {
    let message = this.messages.get(tag);
    if (message === undefined) {
      message = {
        stored: false,
        mayBeGone: false,
        gone: false,
        leastAttempts: 0,
        mostAttempts: unseenAttempts,
        lease: undefined,
        untouched: true,
        dead: "no",
      };
      this.messages.set(tag, message);
    }
    return message;
  }

  #delivered(lease: NotedLease): void {
    const message = this.#message(lease.tag);
    message.lease = lease;
    message.untouched = false;
    message.leastAttempts = Math.max(message.leastAttempts, lease.attempts);
    message.mostAttempts += 1;
  }

  /** Its lease may end, or have ended. */
  #ends(tag: Tag, forGood: boolean): void {
    const message = this.#message(tag);
    message.untouched = false;
    if (forGood) message.mayBeGone = true;
    if (message.lease !== undefined) this.#settling.set(tag, message.lease);
    message.lease = undefined;
  }

  #settled(tag: Tag, how: Settling): void {
    const message = this.#message(tag);
    const lease = this.#settling.get(tag);
    if (how === "dead-letter") message.dead = "yes";
    if (how === "ack") message.gone = true;
    else if (how === "nack" || how === "dead-letter")
      message.leastAttempts = Math.max(message.leastAttempts, (lease?.attempts ?? 0) + 1);
    // Another settlement, or the end of its stream, may be under way.
    else if (how === "extend" && message.lease === undefined && lease !== undefined) message.lease = lease;
  }
}
