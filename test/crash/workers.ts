// Workers of every kind, who hold some messages at any time and come back after each kill with the tokens that they have.
import type { AdoptedLease, LeasedMessage, SettleResult } from "@fila/sdk/gen";
import { SettlementAction } from "@fila/sdk/gen";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { WorkerStream } from "../e2e/worker-stream.ts";
import { Seeded } from "../faults/seeded.ts";
import type { KilledServer } from "./killed-server.ts";
import type { Delivered, MessageBook } from "./message-book.ts";

type Clients = ReturnType<KilledServer["process"]["clients"]>;

interface Held {
  readonly id: string;
  readonly token: Uint8Array;
  /** Undefined: the worker never heard of it. */
  readonly delivered: Delivered | undefined;
  /** The run of the server that granted it. */
  readonly run: number;
  /** When it came, or was taken up again. */
  readonly since: number;
}

type Action = "ACK" | "NACK" | "DEAD_LETTER" | "RELEASE";
const endings = { ACK: "acked", NACK: "nacked", DEAD_LETTER: "dead-lettered", RELEASE: "released" } as const;
const counted = { ACK: "acks", NACK: "nacks", DEAD_LETTER: "deadLetters", RELEASE: "releases" } as const;

/** What all workers count together. */
export interface WorkerCounts {
  /** Leases that their workers have in hand. */
  held: number;
  /** Settlements sent and not answered. */
  settling: number;
  /** Settlements answered OK whose token is from before a kill. */
  settledAfterKill: number;
  /** ... answered LEASE_LOST. */
  lostAfterKill: number;
  /** Leases that a stream took up again. */
  adopted: number;
  /** ... of which the worker had never heard, so that it released them. */
  unheard: number;
  acks: number;
  nacks: number;
  deadLetters: number;
  releases: number;
}

export function newCounts(): WorkerCounts {
  const counts = { held: 0, settling: 0, settledAfterKill: 0, lostAfterKill: 0, adopted: 0, unheard: 0 };
  return { ...counts, acks: 0, nacks: 0, deadLetters: 0, releases: 0 };
}

/** How many messages a worker has at most, and from how many on it settles. */
const WINDOW = 24;
const ENOUGH = 12;

export interface WorkerWorld {
  readonly queue: string;
  readonly server: KilledServer;
  readonly book: MessageBook;
  readonly counts: WorkerCounts;
  /** How long leases last. */
  readonly visibilityMs: number;
  /** All is stored: settle what is in hand at once. */
  readonly finishing: AbortSignal;
  /** The queue is empty. */
  readonly done: AbortSignal;
}

/** What the kinds of workers have in common: messages in hand, and settling them. */
abstract class Worker {
  protected readonly world: WorkerWorld;
  protected readonly random: Seeded;
  protected held: Held[] = [];
  protected abstract readonly name: string;

  constructor(world: WorkerWorld, seed: number) {
    this.world = world;
    this.random = new Seeded(seed);
  }

  /** Resolves when `done` is aborted. */
  async run(): Promise<void> {
    while (!this.world.done.aborted) {
      await this.world.server.whenUp();
      const clients = this.world.server.process.clients("connect");
      const { kills } = this.world.book;
      try {
        await this.work(clients);
      } catch (error) {
        // Whatever a dying connection looks like; anything else is not to be had.
        if (this.world.book.kills === kills && !this.world.done.aborted) throw error;
      }
      this.afterEnd();
    }
  }

  /** Works until the connection ends: rejects then. */
  protected abstract work(clients: Clients): Promise<void>;
  /** Lets go of what it will not settle. */
  protected afterEnd(): void {}

  protected take({ message, leaseToken }: LeasedMessage): void {
    const { id = "", headers, payload, metadata, timestamps } = message ?? {};
    const delivered = this.world.book.delivered({
      id,
      tag: headers?.["tag"] ?? "none",
      key: metadata?.fairnessKey ?? "",
      text: Buffer.from(payload ?? []).toString(),
      attempt: metadata?.attemptCount ?? 0,
      leasedAt: timestamps?.leasedAt === undefined ? 0 : timestampMs(timestamps.leasedAt),
      worker: this.name,
    });
    this.held.push({ id, token: leaseToken, delivered, run: this.world.server.runs, since: performance.now() });
    this.world.counts.held += 1;
  }

  protected letGo(leases: readonly Held[]): void {
    const gone = new Set(leases);
    const before = this.held.length;
    this.held = this.held.filter((lease) => !gone.has(lease));
    this.world.counts.held -= before - this.held.length;
  }

  /** Settles these by the unary call; rejects when no answer comes. */
  protected async settle({ service }: Clients, leases: readonly Held[], released = false): Promise<void> {
    const { queue, book, counts } = this.world;
    const chosen = leases.map((lease) => ({ lease, action: released ? ("RELEASE" as const) : this.#action() }));
    counts.settling += chosen.length;
    for (const { lease, action } of chosen) if (lease.delivered) book.settling(lease.delivered, endings[action]);
    try {
      const { results } = await service.settle({
        queue,
        settlements: chosen.map(({ lease, action }) => ({
          messageId: lease.id,
          leaseToken: lease.token,
          ...this.#settlement(action),
        })),
      });
      for (const [at, { lease, action }] of chosen.entries()) {
        if (lease.delivered) this.#answered(lease, lease.delivered, action, results[at]);
      }
      this.letGo(leases);
    } catch (error) {
      for (const { lease } of chosen) if (lease.delivered) book.unanswered(lease.delivered);
      throw error;
    } finally {
      counts.settling -= chosen.length;
    }
  }

  #answered({ id, run, since }: Held, delivered: Delivered, action: Action, result: SettleResult | undefined): void {
    const { book, counts, server, visibilityMs } = this.world;
    const afterKill = run < server.runs;
    const reason = result === undefined ? "no result" : result.error?.reason;
    if (reason !== undefined) book.lost(delivered, endings[action]);
    if (reason === undefined) {
      book.settled(delivered, endings[action]);
      if (afterKill) counts.settledAfterKill += 1;
      counts[counted[action]] += 1;
    } else if (reason !== "LEASE_LOST") book.breaches.push(`settling message ${id}: ${reason}`);
    else if (afterKill) counts.lostAfterKill += 1;
    else if (performance.now() - since < visibilityMs / 2)
      book.breaches.push(`message ${id}: its lease was lost early`);
  }

  #action(): Action {
    const draw = this.random.fraction();
    return draw < 0.03 ? "NACK" : draw < 0.05 ? "DEAD_LETTER" : draw < 0.08 ? "RELEASE" : "ACK";
  }

  /** Half of the nacks say when the message is to come again. */
  #settlement(action: Action): { action: SettlementAction; retryDelayMs?: bigint; deadLetter?: boolean } {
    if (action === "DEAD_LETTER") return { action: SettlementAction.NACK, deadLetter: true };
    if (action !== "NACK" || this.random.chance(0.5)) return { action: SettlementAction[action] };
    return { action: SettlementAction.NACK, retryDelayMs: BigInt(this.random.between(0, 300)) };
  }

  /** The oldest of what it holds, when that is enough; all of it at the end. */
  protected ripe(): Held[] {
    if (this.world.finishing.aborted) return [...this.held];
    return this.held.length < ENOUGH ? [] : this.held.slice(0, this.random.between(1, ENOUGH / 2));
  }
}

/** StreamLease. With a session it takes up its leases again; without one, it keeps trying half of its tokens, and forgets
 * the others. */
export class StreamWorker extends Worker {
  protected readonly name: string;
  readonly #session: string;

  constructor(world: WorkerWorld, seed: number, session: string) {
    super(world, seed);
    this.#session = session;
    this.name = session === "" ? "the nameless stream" : session;
  }

  protected async work(clients: Clients): Promise<void> {
    const { queue, done, finishing } = this.world;
    const old = [...this.held];
    const credit = Math.max(0, WINDOW - old.length);
    const stream = new WorkerStream(clients.service, { queue, session: this.#session }, credit);
    const end = (): void => void stream.cancel();
    const look = (): void => stream.lookAgain();
    done.addEventListener("abort", end);
    finishing.addEventListener("abort", look);
    try {
      await stream.until(() => stream.adopted !== undefined);
      await this.#releaseUnheard(clients, old, stream.adopted ?? []);
      if (old.length > 0) await this.settle(clients, old.slice(0, Math.ceil(old.length / 2)));
      stream.send({ credit: WINDOW - this.held.length - credit });
      for (let taken = 0; ;) {
        await stream.until(() => stream.messages.length > taken || (finishing.aborted && this.held.length > 0));
        while (taken < stream.messages.length) this.take(stream.messages[taken++]!);
        const ripe = this.ripe();
        if (ripe.length === 0) continue;
        await this.settle(clients, ripe);
        stream.send({ credit: ripe.length });
      }
    } finally {
      done.removeEventListener("abort", end);
      finishing.removeEventListener("abort", look);
      await stream.cancel();
    }
  }

  /** Leases that were granted, and whose messages died with the broker on their way. */
  async #releaseUnheard(clients: Clients, old: readonly Held[], adopted: readonly AdoptedLease[]): Promise<void> {
    const { counts, server } = this.world;
    const known = new Set(old.map(({ token }) => Buffer.from(token).toString("hex")));
    counts.adopted += adopted.length;
    const unheard = adopted.filter(({ leaseToken }) => !known.has(Buffer.from(leaseToken).toString("hex")));
    counts.unheard += unheard.length;
    if (unheard.length === 0) return;
    const since = performance.now();
    for (const { messageId } of unheard) this.world.book.note(messageId, `adopted unheard by ${this.name}`);
    const leases = unheard.map(({ messageId, leaseToken }) => ({
      id: messageId,
      token: leaseToken,
      delivered: undefined,
      run: server.runs,
      since,
    }));
    await this.settle(clients, leases, true);
  }

  protected override afterEnd(): void {
    if (this.#session !== "") return;
    const forgotten = this.held.filter(() => this.random.chance(0.5));
    for (const { id } of forgotten) this.world.book.note(id, "forgotten");
    this.letGo(forgotten);
  }
}

/** Long polls: their leases stand over a restart by themselves. */
export class PollWorker extends Worker {
  protected readonly name = "the long poll";

  protected async work(clients: Clients): Promise<void> {
    const { queue, done } = this.world;
    if (this.held.length > 0) await this.settle(clients, this.held.slice(0, Math.ceil(this.held.length / 2)));
    while (!done.aborted) {
      const maxMessages = Math.max(1, WINDOW - this.held.length);
      const { messages } = await clients.service.lease({ queue, maxMessages, waitMs: 500n }, { signal: done });
      for (const message of messages) this.take(message);
      const ripe = messages.length === 0 ? [...this.held] : this.ripe();
      if (ripe.length > 0) await this.settle(clients, ripe);
    }
  }
}
