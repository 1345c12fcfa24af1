// A subscription to a queue that outlives its streams: it connects again, takes its leases up again, and sends again
// what was not answered.
import type { Clock } from "../clock.ts";
import { FilaError, LeaseLost, type ErrorCode } from "../errors.ts";
import { Backoff } from "../transport/backoff.ts";
import type { Delivery } from "./delivery.ts";
import { HeldLease, type Holder } from "./held-lease.ts";
import { LeaseStream, type AdoptedLease, type LostLease, type OpenStream, type StreamRequest } from "./lease-stream.ts";
import { nobody, type Settlement, type Settler } from "./settlement.ts";
import { SettlementFrames } from "./settlement-frames.ts";

/** What a subscription tells. `ended` comes once and last. */
export interface SubscriptionOwner {
  /** These arrived, each using up one credit; the owner has them now. */
  leased(leases: readonly HeldLease[]): void;
  /** The lease was lost, and its own `onLost` not yet told. */
  lost(lease: HeldLease): void;
  /** A stream stands (again); what did not come back has been lost by now. Leases that did start anew. */
  connected(visibilityTimeoutMs: number): void;
  /** The broker is about to stop: what is not begun goes back, what is held may still be settled. */
  draining(): void;
  /** The stream broke or could not be opened; another attempt follows. */
  interrupted(error: FilaError): void;
  /** Something was answered, or let go. */
  progressed(): void;
  /** Settlements are about to be sent: credit that is granted now goes along, and costs no request. */
  sending(): void;
  /** Nothing more will come. undefined: `finish` came to its end. */
  ended(error: FilaError | undefined): void;
}

export interface SubscriptionOptions extends StreamRequest {
  /** Whether it connects again. It then also sends settlements again, until they are answered. */
  readonly reconnects: boolean;
}

/**
 * The broker gives up leases that nobody took up within 5 s of its start, so no wait may be longer than that, with room
 * for the connection.
 */
const reconnectBackoff = { baseMs: 100, capMs: 4_000 };
const resendBackoff = { baseMs: 50, capMs: 2_000 };
/** A stream that lived so long was no failure: the waits begin anew. */
const goodStreamMs = 5_000;

/** What trying again does not change. */
const finalCodes: ReadonlySet<ErrorCode> = new Set([
  "invalid_argument",
  "unauthenticated",
  "permission_denied",
  "unimplemented",
]);

/**
 * The stream: connecting ─subscribed─▶ live ─"draining"─▶ draining; connecting, live, draining ─broke─▶ waiting ─timer─▶
 * connecting; any ─error that cannot pass, finished, abandoned─▶ closed, for good. Without `reconnects` a broken stream
 * is closed.
 * Beside that: once finishing, credit is taken back, what arrives is released, and it closes when "stopped" came, nothing
 * is held and all is answered. A stream that was opened since then had no credit and need not be stopped.
 * Never: a lease taken up again that its owner does not have; a settlement forgotten without an answer before it closed.
 */
export class LeaseSubscription implements Settler, Holder {
  /** Neither settled nor lost. */
  readonly held = new Set<HeldLease>();
  readonly #open: OpenStream;
  readonly #options: SubscriptionOptions;
  readonly #fallback: Settler;
  readonly #owner: SubscriptionOwner;
  readonly #clock: Clock;
  readonly #settlements: SettlementFrames;
  readonly #backoff: Backoff;
  readonly #resendBackoff: Backoff;
  #stream: LeaseStream | undefined;
  #link: "connecting" | "live" | "draining" | "waiting" | "closed" = "connecting";
  /** On the clock; Infinity: not since the last attempt. */
  #connectedAt = Infinity;
  #finishing = false;
  #stopped = false;
  /** Credit that the owner granted and no message has used. */
  #credit: number;
  #cancelRetry: (() => void) | undefined;
  #cancelResend: (() => void) | undefined;

  /** Connects at once, with `credit`. `fallback` settles what is settled after it closed. */
  constructor(
    open: OpenStream,
    options: SubscriptionOptions,
    credit: number,
    fallback: Settler,
    owner: SubscriptionOwner,
    clock: Clock,
  ) {
    this.#open = open;
    this.#options = options;
    this.#credit = credit;
    this.#fallback = fallback;
    this.#owner = owner;
    this.#clock = clock;
    this.#backoff = new Backoff(clock, reconnectBackoff);
    this.#resendBackoff = new Backoff(clock, resendBackoff);
    this.#settlements = new SettlementFrames(
      () => this.#stream?.schedule(),
      options.reconnects ? (error) => this.#resendLater(error) : undefined,
    );
    this.#connect();
  }

  /** A stream stands, and leases may be begun. */
  get live(): boolean {
    return this.#link === "live";
  }

  /** Granted and not used. */
  get credit(): number {
    return this.#credit;
  }

  /** Credit is taken back and everything answered. */
  get quiet(): boolean {
    return this.#link === "closed" || (this.#stopped && !this.#settlements.pending);
  }

  /** More messages may come. Nothing once finishing. */
  grant(credit: number): void {
    if (this.#finishing) return;
    this.#credit += credit;
    if (this.#link === "connecting" || this.#link === "live") this.#stream?.grant(credit);
  }

  settle(settlement: Settlement): void {
    if (this.#link === "closed") this.#fallback.settle(settlement);
    else this.#settlements.settle(settlement);
  }

  /** Not begun: it goes back. Released or not, the broker gives it to somebody: there is nobody to tell. */
  release(lease: HeldLease): void {
    lease.end("release", "", nobody);
  }

  /** Forgets the lease without a settlement: it ends with the stream. */
  drop(lease: HeldLease): void {
    this.held.delete(lease);
    this.#endWhenDone();
  }

  /** Takes all credit back; closes when nothing is held and all is answered. The owner releases what it has not begun. */
  finish(): void {
    if (this.#finishing || this.#link === "closed") return;
    this.#finishing = true;
    this.#credit = 0;
    if (this.#link === "waiting") this.#stopped = true;
    else this.#stream?.stop();
    // The owner's releases come first.
    queueMicrotask(() => this.#endWhenDone());
  }

  /** Ends now, whatever is held or unanswered: settlements fail with `error`. */
  abandon(error: FilaError): void {
    if (this.#link === "closed") return;
    const stream = this.#stream;
    // Half a connection could still lease messages; on one that stands, what was sent last is to arrive.
    const leave = this.#link === "connecting" ? () => stream?.cancel() : () => stream?.end();
    this.held.clear();
    this.#close(undefined, error);
    leave();
  }

  #connect(): void {
    this.#link = "connecting";
    const current = (stream: LeaseStream): boolean => stream === this.#stream;
    // Events come later than the constructor returns: the transport answers in a turn of its own.
    const stream: LeaseStream = new LeaseStream(this.#open, this.#options, this.#credit, this.#settlements, {
      subscribed: (visibilityTimeoutMs, adopted) => this.#subscribed(visibilityTimeoutMs, adopted),
      leased: (deliveries) => this.#leased(deliveries),
      lost: (leases) => this.#lost(leases),
      draining: () => this.#draining(),
      stopped: () => (this.#stopped = true),
      sending: () => this.#owner.sending(),
      responded: () => {
        if (!this.#settlements.postponed) this.#resendBackoff.reset();
        this.#owner.progressed();
        this.#endWhenDone();
      },
      closed: (error) => {
        if (current(stream)) this.#broke(error);
      },
    });
    this.#stream = stream;
  }

  #subscribed(visibilityTimeoutMs: number, adopted: readonly AdoptedLease[]): void {
    this.#link = "live";
    this.#connectedAt = this.#clock.now();
    const find = this.#finder();
    const known = new Set<HeldLease>();
    for (const { id, token, expiresAtMs } of adopted) {
      const lease = find(id, token);
      if (lease === undefined) {
        // From before, and unknown: it never arrived, or was of another program of this name.
        const { queue } = this.#options;
        const lost = { lease: { id, token }, error: "", nack: undefined, extendMs: 0, sink: nobody };
        this.settle({ queue, action: "release", ...lost });
        continue;
      }
      known.add(lease);
      lease.renewed(expiresAtMs);
    }
    for (const lease of [...this.held]) {
      // The answer to a settlement will tell what became of its lease.
      if (known.has(lease) || lease.state === "settling") continue;
      lease.lose(
        new LeaseLost(`the stream that held message ${lease.delivery.id} broke, and the broker ended its lease`),
      );
    }
    this.#owner.connected(visibilityTimeoutMs);
  }

  #leased(deliveries: readonly Delivery[]): void {
    this.#credit = Math.max(0, this.#credit - deliveries.length);
    const leases: HeldLease[] = [];
    for (const delivery of deliveries) {
      const lease = new HeldLease(this.#options.queue, delivery, this, this);
      this.held.add(lease);
      leases.push(lease);
    }
    if (!this.#finishing && this.#link === "live") this.#owner.leased(leases);
    else for (const lease of leases) this.release(lease);
    // What a draining broker still had on its way is asked for again from the next one.
    if (!this.#finishing && this.#link === "draining") this.grant(leases.length);
  }

  /** Finds what is held. An index of it all is made for this once: rarely is anything looked for. */
  #finder(): (id: string, token: Uint8Array) => HeldLease | undefined {
    const byToken = new Map([...this.held].map((lease) => [hex(lease.delivery.token), lease]));
    return (id, token) => {
      const lease = byToken.get(hex(token));
      return lease?.delivery.id === id ? lease : undefined;
    };
  }

  #lost(leases: readonly LostLease[]): void {
    const find = this.#finder();
    for (const { id, token, reason } of leases) {
      find(id, token)?.lose(new LeaseLost(`the lease of message ${id} was lost`, { metadata: { reason } }));
    }
  }

  /** Made by the leases: settled or lost. */
  letGo(lease: HeldLease): void {
    this.held.delete(lease);
    if (lease.state === "lost") this.#owner.lost(lease);
  }

  #draining(): void {
    if (this.#link !== "live") return;
    this.#link = "draining";
    this.#owner.draining();
  }

  /** Settlements that failed and may succeed later are sent again together. */
  #resendLater(error: FilaError): void {
    if (this.#cancelResend !== undefined) return;
    const waitMs = this.#resendBackoff.next(error.retryAfterMs);
    this.#cancelResend = this.#clock.after(waitMs, () => {
      this.#cancelResend = undefined;
      this.#settlements.resume();
    });
  }

  #endWhenDone(): void {
    if (!this.#finishing || !this.#stopped || this.held.size > 0 || this.#settlements.pending) return;
    const stream = this.#stream;
    this.#close(undefined, undefined);
    stream?.end();
  }

  #broke(error: FilaError | undefined): void {
    this.#stream = undefined;
    const cause = error ?? new FilaError("unavailable", "CONNECTION_LOST", "the server ended the stream of leases");
    if (!this.#options.reconnects || isFinal(cause)) return this.#close(this.#finishing ? undefined : cause, cause);
    this.#settlements.requeue();
    if (this.#clock.now() - this.#connectedAt >= goodStreamMs) this.#backoff.reset();
    this.#connectedAt = Infinity;
    this.#link = "waiting";
    if (this.#finishing) this.#stopped = true;
    this.#cancelRetry = this.#clock.after(this.#backoff.next(cause.retryAfterMs), () => this.#connect());
    this.#owner.interrupted(cause);
    this.#endWhenDone();
  }

  /** `failure`: what the owner is told. `cause`: why what is held is lost, and what is unanswered fails. */
  #close(failure: FilaError | undefined, cause: FilaError | undefined): void {
    if (this.#link === "closed") return;
    this.#link = "closed";
    this.#stream = undefined;
    this.#cancelRetry?.();
    this.#cancelResend?.();
    if (cause !== undefined) {
      this.#settlements.fail(cause);
      for (const lease of [...this.held]) {
        const message = `the stream that held message ${lease.delivery.id} ended: ${cause.message}`;
        lease.lose(new LeaseLost(message, { cause }));
      }
    }
    this.held.clear();
    this.#owner.ended(failure);
  }
}

function isFinal({ code, reason }: FilaError): boolean {
  return finalCodes.has(code) || reason === "QUEUE_NOT_FOUND" || reason === "CLIENT_CLOSED";
}

function hex(token: Uint8Array): string {
  return Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString("hex");
}
