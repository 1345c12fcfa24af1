// A subscription to a queue over one StreamLease stream.
import { FilaError, LeaseLost } from "../errors.ts";
import type { Connection } from "../transport/connection.ts";
import type { MessageStream } from "../transport/message-stream.ts";
import { FieldReader } from "../wire/field-reader.ts";
import { FrameWriter } from "../wire/frame-writer.ts";
import { deliveryFromWire } from "./delivery.ts";
import { Lease, type PendingSettlement, type Settler } from "./lease.ts";
import { SettlementFrames } from "./settlement-frames.ts";
import type { StandingLeases } from "./standing-leases.ts";

/** What a subscription asks for, checked. */
export interface Subscription {
  readonly queue: string;
  /** Leases that may wait here unyielded. */
  readonly prefetch: number;
  /** "" = none. */
  readonly session: string;
  readonly workerId: string;
  /** 0 = the queue's. */
  readonly visibilityTimeoutMs: number;
  /** How long `finish` waits for answers, milliseconds. */
  readonly finishTimeoutMs: number;
}

/** Requests with settlements under way; while there are so many, further settlements are collected. */
const maximumFramesUnderWay = 4;
/** How often `finish` releases what the broker sends it again before it ends the stream all the same. */
const maximumReleaseRounds = 3;

/**
 * leasing ─finish─▶ finishing ─released, answered─▶ settling ─nothing held─▶ closed; any ─stream ends─▶ closed.
 * leasing: leases are buffered, credit is given back as they are yielded. finishing: no credit is given, what was not
 * yielded and what still arrives is released. settling: the stream lives on for the leases that were yielded.
 * closed: held leases are lost as far as this stream is concerned; settlements go by the unary Settle, which knows.
 */
export class LeaseStream implements Settler {
  readonly #options: Subscription;
  readonly #fallback: Settler;
  readonly #standing: StandingLeases;
  readonly #ended: () => void;
  readonly #stream: MessageStream;
  readonly #settlements: SettlementFrames;
  #state: "leasing" | "finishing" | "settling" | "closed" = "leasing";
  #failure: FilaError | undefined;
  /** Yielded or buffered, neither settled nor lost; by message id. */
  readonly #held = new Map<string, Lease>();
  #buffer: Lease[] = [];
  #waiters: PromiseWithResolvers<Lease | undefined>[] = [];
  /** Credit that the broker has and has not used. */
  #outstanding = 0;
  #creditDue = 0;
  #first = true;
  #writable = true;
  #flushDue = false;
  #finished: Promise<void> | undefined;
  #progress: (() => void) | undefined;
  #arrivedWhileFinishing = 0;

  /** `fallback` settles when the stream is gone; `ended` is told then. `standing` is the client's. */
  constructor(
    connection: Connection,
    options: Subscription,
    fallback: Settler,
    standing: StandingLeases,
    ended: () => void,
  ) {
    this.#standing = standing;
    this.#ended = ended;
    this.#options = options;
    this.#fallback = fallback;
    this.#settlements = new SettlementFrames(() => this.#scheduleFlush());
    this.#stream = connection.stream("StreamLease", {
      message: (bytes) => this.#received(bytes),
      writable: () => {
        this.#writable = true;
        this.#flush();
      },
      closed: (error) => this.#closed(error),
    });
    this.#creditDue = options.prefetch;
    this.#flush();
  }

  /** The next lease; undefined when the subscription was finished. Rejects with FilaError when the stream broke. */
  next(): Promise<Lease | undefined> {
    const lease = this.#buffer.shift();
    if (lease !== undefined) {
      this.#replenish();
      return Promise.resolve(lease);
    }
    if (this.#finished !== undefined) return this.#finished.then(() => undefined);
    if (this.#state === "closed")
      return this.#failure === undefined ? Promise.resolve(undefined) : Promise.reject(this.#failure);
    const waiter = Promise.withResolvers<Lease | undefined>();
    this.#waiters.push(waiter);
    this.#replenish();
    return waiter.promise;
  }

  settle(settlement: PendingSettlement): Promise<number | undefined> {
    if (this.#state === "closed") return this.#fallback.settle(settlement);
    return this.#settlements.settle(settlement);
  }

  /**
   * Takes no more leases and releases those not yielded. Resolves when the settlements under way are answered or
   * `finishTimeoutMs` is over. Leases that were yielded can still be settled. Never rejects.
   */
  finish(): Promise<void> {
    return (this.#finished ??= this.#finish());
  }

  async #finish(): Promise<void> {
    if (this.#state === "leasing") {
      this.#state = "finishing";
      const timer = setTimeout(() => this.#settleOnly(), this.#options.finishTimeoutMs);
      for (const lease of this.#buffer.splice(0)) this.#release(lease);
      await this.#untilAnswered();
      clearTimeout(timer);
      this.#settleOnly();
    }
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(undefined);
  }

  /** While credit is left the broker may lease the released messages to us again; each time uses credit up. */
  async #untilAnswered(): Promise<void> {
    for (let round = 0; round < maximumReleaseRounds; round++) {
      while (this.#state === "finishing" && this.#settlements.pending) {
        await new Promise<void>((resolve) => (this.#progress = resolve));
      }
      const arrived = this.#arrivedWhileFinishing;
      // What the broker sent right behind its answers is read in this turn of the loop.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#state !== "finishing" || (this.#arrivedWhileFinishing === arrived && !this.#settlements.pending))
        return;
    }
  }

  #settleOnly(): void {
    if (this.#state !== "finishing") return;
    this.#state = "settling";
    this.#signalProgress();
    this.#flush();
    this.#endWhenNothingHeld();
  }

  #endWhenNothingHeld(): void {
    if (this.#state === "settling" && this.#held.size === 0 && this.#settlements.collected === 0) this.#stream.end();
  }

  #release(lease: Lease): void {
    // Released or not, the broker gives the message to somebody else: there is nobody to tell.
    lease.release().catch(() => undefined);
  }

  #replenish(): void {
    if (this.#state !== "leasing") return;
    const { prefetch } = this.#options;
    const missing = prefetch - this.#buffer.length - this.#outstanding - this.#creditDue;
    // In halves, so that a busy consumer does not send one request per message.
    if (missing * 2 < prefetch && this.#buffer.length + this.#outstanding + this.#creditDue > 0) return;
    if (missing <= 0) return;
    this.#creditDue += missing;
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    const flush = (): void => {
      this.#flushDue = false;
      this.#flush();
    };
    // As for enqueues: alone, at once; under load, once per turn of the loop.
    if (this.#settlements.framesUnderWay === 0) queueMicrotask(flush);
    else setImmediate(flush);
  }

  #flush(): void {
    while (this.#writable && this.#state !== "closed") {
      const settle = this.#settlements.collected > 0 && this.#settlements.framesUnderWay < maximumFramesUnderWay;
      if (!settle && this.#creditDue === 0) return;
      const writer = new FrameWriter(settle ? 64 + 72 * Math.min(1000, this.#settlements.collected) : 64);
      if (this.#first) this.#writeSubscription(writer);
      if (this.#creditDue > 0) writer.varintField(16, this.#creditDue);
      this.#outstanding += this.#creditDue;
      this.#creditDue = 0;
      if (settle) this.#settlements.write(writer);
      this.#writable = this.#stream.send(writer.finish());
    }
  }

  #writeSubscription(writer: FrameWriter): void {
    this.#first = false;
    const { queue, session, workerId, visibilityTimeoutMs } = this.#options;
    const subscription = new FrameWriter(512);
    subscription.textField(10, queue);
    if (session !== "") subscription.textField(18, session);
    if (workerId !== "") subscription.textField(26, workerId);
    if (visibilityTimeoutMs > 0) subscription.varintField(32, visibilityTimeoutMs);
    writer.bytesField(10, subscription.content());
  }

  #received(bytes: Uint8Array): void {
    const response = new FieldReader(bytes);
    while (response.next()) {
      if (response.field === 1) this.#subscribed(response.message());
      else if (response.field === 2) this.#delivered(response.message());
      else if (response.field === 3) this.#settlements.answered(response.message());
      else if (response.field === 4) this.#leaseLost(response.message());
    }
    if (this.#settlements.collected > 0) this.#scheduleFlush();
    if (!this.#settlements.pending) this.#signalProgress();
  }

  /** Leases of this name from before a restart of the broker: those that the program does not hold go back, not begun. */
  #subscribed(reader: FieldReader): void {
    const { queue } = this.#options;
    while (reader.next()) {
      if (reader.field !== 2) continue;
      const adopted = reader.message();
      let id = "";
      let token = new Uint8Array(0);
      while (adopted.next()) {
        if (adopted.field === 1) id = adopted.text();
        else if (adopted.field === 2) token = adopted.bytes().slice();
      }
      if (this.#standing.has(token)) continue;
      // Refused or not, there is nobody to tell.
      this.settle({ queue, id, token, action: "release", error: "", extendMs: 0 }).catch(() => undefined);
    }
  }

  #delivered(reader: FieldReader): void {
    this.#outstanding = Math.max(0, this.#outstanding - 1);
    const delivery = deliveryFromWire(reader);
    const lease = new Lease(this.#options.queue, delivery, this, (ended) => this.#letGo(ended));
    this.#held.set(lease.id, lease);
    if (this.#state !== "leasing") {
      this.#arrivedWhileFinishing++;
      this.#release(lease);
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#buffer.push(lease);
    } else {
      waiter.resolve(lease);
      this.#replenish();
    }
  }

  #letGo(lease: Lease): void {
    if (this.#state === "closed") this.#standing.delete(lease.token);
    // The broker may have given the same message to us again.
    if (this.#held.get(lease.id) === lease) this.#held.delete(lease.id);
    this.#endWhenNothingHeld();
  }

  #leaseLost(reader: FieldReader): void {
    let id = "";
    let token: Uint8Array | undefined;
    let reason = "";
    while (reader.next()) {
      if (reader.field === 1) id = reader.text();
      else if (reader.field === 2) token = reader.bytes();
      else if (reader.field === 3) reason = reader.text();
    }
    const lease = this.#held.get(id);
    if (lease === undefined || token === undefined || Buffer.compare(lease.token, token) !== 0) return;
    const place = this.#buffer.indexOf(lease);
    if (place >= 0) this.#buffer.splice(place, 1);
    lease.lose(new LeaseLost(`the lease of message ${id} was lost`, { metadata: { reason } }));
    this.#replenish();
  }

  #signalProgress(): void {
    const progress = this.#progress;
    this.#progress = undefined;
    progress?.();
  }

  #closed(error: FilaError | undefined): void {
    const wasLeasing = this.#state === "leasing";
    this.#state = "closed";
    const ended = new FilaError("unavailable", "CONNECTION_LOST", "the server ended the stream of leases");
    if (wasLeasing) this.#failure = error ?? ended;
    const buffered = new Set(this.#buffer);
    this.#buffer = [];
    this.#settlements.fail(error ?? ended);
    const cause = error ?? ended;
    // A named stream may be taken up by the next one of that name; until then nobody knows, and a settlement will tell.
    const standing = this.#options.session !== "" && cause.code === "unavailable";
    for (const lease of [...this.#held.values()]) {
      if (standing && !buffered.has(lease)) this.#standing.add(lease.token);
      if (!standing)
        lease.lose(new LeaseLost(`the stream that held message ${lease.id} ended: ${cause.message}`, { cause }));
    }
    this.#held.clear();
    this.#signalProgress();
    // While finishing, the waiters are told by `finish`.
    if (wasLeasing) for (const waiter of this.#waiters.splice(0)) waiter.reject(cause);
    this.#ended();
  }
}
