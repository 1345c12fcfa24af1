// What clients were told of each message, and what must therefore hold whenever the broker is killed. Every breach is
// written down in words.
import type { KeyedLine } from "../e2e/access-lines.ts";

/** How the last delivery of a message ended, as its worker knows. */
type Ending = "held" | "released" | "nacked" | "dead-lettered" | "acked";

/** One delivery of a message. */
export interface Delivered {
  readonly id: string;
  readonly attempt: number;
  /** Kills when it came. */
  readonly kills: number;
  ending: Ending;
  /** Settlements under way: the message may be delivered to the next one before the answer is here. */
  readonly sent: Set<Ending>;
  /** Settlements whose answers never came: done or not. */
  readonly unsure: Set<Ending>;
}

interface Message {
  readonly tag: string;
  /** Nobody has to ack it: it may become a dead letter by itself, and come back from there with no attempts. */
  readonly mortal: boolean;
  last: Delivered | undefined;
  deliveries: number;
  /** What happened to it, for the one who has to find out why. */
  readonly history: string[];
}

export interface DeliveredMessage {
  readonly id: string;
  readonly tag: string;
  readonly key: string;
  readonly text: string;
  readonly attempt: number;
  /** Wall clock of the broker. */
  readonly leasedAt: number;
  readonly worker: string;
}

/** What a producer says of a message besides its line. */
export interface Promised {
  /** Its time to live may run out. */
  readonly mortal?: boolean;
  /** All tries of the line have one idempotency key: there is at most one message of it. */
  readonly keyed?: boolean;
  /** It must not be delivered before; wall clock. */
  readonly notBefore?: number;
}

export class MessageBook {
  readonly breaches: string[] = [];
  kills = 0;
  readonly #lines: readonly KeyedLine[];
  /** By tag, the id that its enqueue was answered with ("" = no answer came), and how many kills were before it. */
  readonly #sent = new Map<string, { id: string; readonly kills: number; readonly promised: Promised }>();
  readonly #messages = new Map<string, Message>();
  readonly #idsByTag = new Map<string, string>();
  /** Of lines with an idempotency key, the one message. */
  readonly #idsByLine = new Map<string, string>();
  /** Keyed tries that were answered with an earlier one's message. */
  duplicates = 0;
  deliveries = 0;
  /** Deliveries that came after another of the same message. */
  redeliveries = 0;
  /** ... with an attempt more than that, exactly. */
  oneMore = 0;
  highestAttempt = 0;

  constructor(lines: readonly KeyedLine[]) {
    this.#lines = lines;
  }

  /** `tag`: "line.copy", unique to this try. */
  sent(tag: string, promised: Promised = {}): void {
    this.#sent.set(tag, { id: "", kills: this.kills, promised });
  }

  stored(tag: string, id: string): void {
    this.#sent.get(tag)!.id = id;
    const other = this.#idsByTag.get(tag);
    if (other !== undefined && other !== id) this.#breach(id, `is the second id of ${tag}, after ${other}`);
    this.#idsByTag.set(tag, id);
    this.#isOnlyOne(tag, id);
    this.#messageOf(id, tag);
  }

  #messageOf(id: string, tag: string): Message {
    let message = this.#messages.get(id);
    if (message === undefined) {
      const mortal = this.#sent.get(tag)?.promised.mortal ?? false;
      message = { tag, mortal, last: undefined, deliveries: 0, history: [] };
      this.#messages.set(id, message);
    }
    return message;
  }

  #isOnlyOne(tag: string, id: string): void {
    if (this.#sent.get(tag)?.promised.keyed !== true) return;
    const line = tag.split(".")[0]!;
    const first = this.#idsByLine.get(line);
    if (first === undefined) this.#idsByLine.set(line, id);
    else if (first !== id) this.#breach(id, `was stored as ${tag} though its idempotency key was used for ${first}`);
  }

  delivered({ id, tag, key, text, attempt, leasedAt, worker }: DeliveredMessage): Delivered {
    const now: Delivered = { id, attempt, kills: this.kills, ending: "held", sent: new Set(), unsure: new Set() };
    this.deliveries += 1;
    this.highestAttempt = Math.max(this.highestAttempt, attempt);
    const line = this.#lines[Number(tag.split(".")[0])];
    if (!this.#sent.has(tag) || line === undefined) {
      this.#breach(id, `came with the tag ${tag}, which nobody sent`);
      return now;
    }
    if (line.text !== text || line.key !== key) this.#breach(id, `is not what was sent as ${tag}`);
    if ((this.#idsByTag.get(tag) ?? id) !== id) this.#breach(id, `is ${tag}, as is ${this.#idsByTag.get(tag)}`);
    this.#idsByTag.set(tag, id);
    this.#isOnlyOne(tag, id);
    if (leasedAt < (this.#sent.get(tag)?.promised.notBefore ?? 0)) this.#breach(id, "was delivered before its time");
    const message = this.#messageOf(id, tag);
    message.history.push(`attempt ${attempt} at kill ${this.kills} to ${worker}`);
    this.#checkAttempt(id, message, attempt);
    message.last = now;
    message.deliveries += 1;
    return now;
  }

  #checkAttempt(id: string, { last, mortal }: Message, attempt: number): void {
    // Each kill may hide one delivery, whose answer or whose stream died with the broker.
    const hidden = this.kills - (last?.kills ?? 0);
    if (last === undefined) {
      if (attempt > hidden) this.#breach(id, `has attempt ${attempt} at first sight, after ${hidden} kills`);
      return;
    }
    this.redeliveries += 1;
    if (last.ending === "acked") this.#breach(id, "was delivered after its ack was answered OK");
    const released = last.ending === "released" || last.sent.has("released") || last.unsure.has("released");
    // Redriven dead letters begin anew.
    const died = "dead-lettered";
    const dead = last.ending === died || last.sent.has(died) || last.unsure.has(died);
    const least = dead || mortal ? 0 : last.attempt + (released ? 0 : 1);
    if (attempt === last.attempt + 1) this.oneMore += 1;
    if (attempt < least) this.#breach(id, `has attempt ${attempt} after ${last.attempt}, which was ${last.ending}`);
    if (attempt > last.attempt + 1 + hidden) this.#breach(id, `has attempt ${attempt} after ${last.attempt}`);
  }

  /** A settlement is sent; until it is answered it may be done or not. */
  settling({ sent }: Delivered, ending: Exclude<Ending, "held">): void {
    sent.add(ending);
  }

  /** The settlement was answered OK. */
  settled(delivered: Delivered, ending: Exclude<Ending, "held">): void {
    const { id, sent, unsure } = delivered;
    this.note(id, ending);
    if (ending === "acked" && this.#messages.get(id)?.last !== delivered) {
      this.#breach(id, "was acked with the token of an earlier delivery");
    }
    delivered.ending = ending;
    sent.clear();
    unsure.clear();
  }

  /** The settlement was refused: the lease was lost. */
  lost({ id, sent }: Delivered, ending: Exclude<Ending, "held">): void {
    this.note(id, `lost when ${ending}`);
    sent.delete(ending);
  }

  /** No answer came. */
  unanswered({ id, sent, unsure }: Delivered): void {
    for (const ending of sent) unsure.add(ending);
    sent.clear();
    this.note(id, "not answered");
  }

  /** Worth knowing when the message's history is told. */
  note(id: string, what: string): void {
    this.#messages.get(id)?.history.push(`${what} at kill ${this.kills}`);
  }

  /** To be called when the queue is empty. */
  finish(): void {
    for (const [tag, { id }] of this.#sent) {
      if (id === "") continue;
      const last = this.#messages.get(id)?.last;
      if (last === undefined) this.#breach(id, `was acknowledged as ${tag} and never delivered`);
      else if (last.ending !== "acked" && !last.unsure.has("acked"))
        this.#breach(id, `was ${last.ending} and never came again`);
    }
  }

  /** Enqueues that were answered OK. */
  get acknowledged(): number {
    return [...this.#sent.values()].filter(({ id }) => id !== "").length;
  }

  /** Enqueues whose answer never came, and how many of them were stored all the same. */
  get unansweredEnqueues(): { sent: number; stored: number } {
    const unanswered = [...this.#sent].filter(([, { id }]) => id === "");
    return { sent: unanswered.length, stored: unanswered.filter(([tag]) => this.#idsByTag.has(tag)).length };
  }

  get killsWithStoredUnanswered(): number {
    const stored = [...this.#sent].filter(([tag, { id }]) => id === "" && this.#idsByTag.has(tag));
    return new Set(stored.map(([, { kills }]) => kills)).size;
  }

  get acked(): number {
    return [...this.#messages.values()].filter(({ last }) => last?.ending === "acked").length;
  }

  /** Gone, though no ack of them was answered OK: an ack was sent, its answer lost, and its repetition came too late. */
  get ackedUnanswered(): number {
    return [...this.#messages.values()].filter(({ last }) => last?.ending !== "acked" && last?.unsure.has("acked"))
      .length;
  }

  #breach(id: string, what: string): void {
    this.breaches.push(`message ${id} ${what} (${this.#messages.get(id)?.history.join(", ") ?? "unknown"})`);
  }
}
