// One StreamLease stream on the wire: what it says as events, what it is told as frames. It knows no leases.
import type { FilaError } from "../errors.ts";
import type { MessageStream, StreamEvents } from "../transport/message-stream.ts";
import { FieldReader, timestampMs } from "../wire/field-reader.ts";
import { FrameWriter } from "../wire/frame-writer.ts";
import { deliveryFromWire, type Delivery } from "./delivery.ts";
import type { SettlementFrames } from "./settlement-frames.ts";

/** What a stream asks for, checked. */
export interface StreamRequest {
  readonly queue: string;
  /** "" = none. */
  readonly session: string;
  readonly workerId: string;
  /** 0 = the queue's. */
  readonly visibilityTimeoutMs: number;
}

/** A lease that the broker counts as this stream's again. */
export interface AdoptedLease {
  readonly id: string;
  readonly token: Uint8Array;
  readonly expiresAtMs: number;
}

/** A lease that the broker took away. */
export interface LostLease {
  readonly id: string;
  readonly token: Uint8Array;
  readonly reason: string;
}

/** Told in the order of the wire, but for what is lost: that may have come in the same response, and is told behind it. `closed` comes once and last. */
export interface LeaseStreamEvents {
  subscribed(visibilityTimeoutMs: number, adopted: readonly AdoptedLease[]): void;
  leased(deliveries: readonly Delivery[]): void;
  lost(leases: readonly LostLease[]): void;
  draining(): void;
  stopped(): void;
  /** Settlements are about to be sent: credit that is granted now goes along. */
  sending(): void;
  /** All of one response has been told. */
  responded(): void;
  /** undefined: the server ended it without an error. */
  closed(error: FilaError | undefined): void;
}

/** Opens the stream of bytes below. */
export type OpenStream = (events: StreamEvents) => MessageStream;

/** Requests with settlements under way; while there are so many, further settlements are collected. */
const maximumFramesUnderWay = 4;

/**
 * subscribing ─subscribed─▶ open; either ─the transport closed, cancel─▶ closed. Settlements are held back while
 * subscribing: those of a stream before it must find their leases taken up. The first request carries credit already.
 */
export class LeaseStream {
  readonly #request: StreamRequest;
  readonly #settlements: SettlementFrames;
  readonly #events: LeaseStreamEvents;
  readonly #stream: MessageStream;
  #state: "subscribing" | "open" | "closed" = "subscribing";
  #first = true;
  #creditDue: number;
  #stopDue = false;
  #endDue = false;
  #writable = true;
  #flushDue = false;
  #flushing = false;
  /** Of the response that is being read. */
  readonly #deliveries: Delivery[] = [];
  readonly #lost: LostLease[] = [];

  /** `settlements` outlive the stream. */
  constructor(
    open: OpenStream,
    request: StreamRequest,
    credit: number,
    settlements: SettlementFrames,
    events: LeaseStreamEvents,
  ) {
    this.#request = request;
    this.#settlements = settlements;
    this.#events = events;
    this.#creditDue = credit;
    this.#stream = open({
      inParts: true,
      message: (bytes, last) => this.#received(bytes, last),
      writable: () => {
        this.#writable = true;
        this.#flush();
      },
      closed: (error) => {
        this.#state = "closed";
        events.closed(error);
      },
    });
    this.#flush();
  }

  grant(credit: number): void {
    this.#creditDue += credit;
    if (!this.#flushing) this.schedule();
  }

  /** Takes all credit back; `stopped` answers. */
  stop(): void {
    this.#creditDue = 0;
    this.#stopDue = true;
    this.schedule();
  }

  /** Ends the stream when all that is due has been sent. */
  end(): void {
    this.#endDue = true;
    this.#flush();
  }

  /** Drops the stream; `closed` comes at once. */
  cancel(): void {
    this.#stream.cancel();
  }

  /** Sends what is due: alone, at once; under load, once per turn of the loop. */
  schedule(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    const flush = (): void => {
      this.#flushDue = false;
      this.#flush();
    };
    if (this.#settlements.framesUnderWay === 0) queueMicrotask(flush);
    else setImmediate(flush);
  }

  get #maySettle(): boolean {
    return (
      this.#state === "open" &&
      this.#settlements.collected > 0 &&
      this.#settlements.framesUnderWay < maximumFramesUnderWay
    );
  }

  #flush(): void {
    while (this.#writable && this.#state !== "closed") {
      const settle = this.#maySettle;
      if (settle) this.#tellSending();
      if (!settle && this.#creditDue === 0 && !this.#stopDue && !this.#first) break;
      const writer = new FrameWriter(settle ? 64 + 72 * Math.min(1000, this.#settlements.collected) : 64);
      if (this.#first) this.#writeSubscription(writer);
      if (this.#creditDue > 0) writer.varintField(16, this.#creditDue);
      this.#creditDue = 0;
      if (settle) this.#settlements.write(writer);
      if (this.#stopDue) writer.varintField(40, 1);
      this.#stopDue = false;
      this.#writable = this.#stream.send(writer.finish());
    }
    if (this.#endDue && this.#settlements.collected === 0) this.#stream.end();
  }

  #tellSending(): void {
    this.#flushing = true;
    this.#events.sending();
    this.#flushing = false;
  }

  #writeSubscription(writer: FrameWriter): void {
    this.#first = false;
    const { queue, session, workerId, visibilityTimeoutMs } = this.#request;
    const subscription = new FrameWriter(512);
    subscription.textField(10, queue);
    if (session !== "") subscription.textField(18, session);
    if (workerId !== "") subscription.textField(26, workerId);
    if (visibilityTimeoutMs > 0) subscription.varintField(32, visibilityTimeoutMs);
    writer.bytesField(10, subscription.content());
  }

  /** Of a response that comes in parts, deliveries and losses are told with the last one. */
  #received(bytes: Uint8Array, last: boolean): void {
    const response = new FieldReader(bytes);
    const deliveries = this.#deliveries;
    const lost = this.#lost;
    while (response.next()) {
      switch (response.field) {
        case 1:
          this.#subscribed(response.message());
          break;
        case 2:
          deliveries.push(deliveryFromWire(bytes, response.start, response.end));
          break;
        case 3:
          this.#settlements.answered(response.message());
          break;
        case 4:
          lost.push(readLost(response.message()));
          break;
        case 5:
          if (response.value !== 0) this.#events.draining();
          break;
        case 6:
          // Behind the last messages, which may be in this very response.
          if (deliveries.length > 0) this.#events.leased(deliveries.splice(0));
          if (response.value !== 0) this.#events.stopped();
          break;
      }
    }
    if (!last) return;
    if (deliveries.length > 0) this.#events.leased(deliveries.splice(0));
    if (lost.length > 0) this.#events.lost(lost.splice(0));
    if (this.#settlements.collected > 0) this.schedule();
    this.#events.responded();
  }

  #subscribed(reader: FieldReader): void {
    let visibilityTimeoutMs = 0;
    const adopted: AdoptedLease[] = [];
    while (reader.next()) {
      if (reader.field === 1) visibilityTimeoutMs = reader.value;
      else if (reader.field === 2) adopted.push(readAdopted(reader.message()));
    }
    this.#state = "open";
    this.#events.subscribed(visibilityTimeoutMs, adopted);
  }
}

function readLost(reader: FieldReader): LostLease {
  let id = "";
  let token: Uint8Array = new Uint8Array(0);
  let reason = "";
  while (reader.next()) {
    if (reader.field === 1) id = reader.text();
    else if (reader.field === 2) token = reader.bytes();
    else if (reader.field === 3) reason = reader.text();
  }
  return { id, token, reason };
}

function readAdopted(reader: FieldReader): AdoptedLease {
  let id = "";
  let token: Uint8Array = new Uint8Array(0);
  let expiresAtMs = 0;
  while (reader.next()) {
    if (reader.field === 1) id = reader.text();
    // A copy: the view would keep the whole frame.
    else if (reader.field === 2) token = reader.bytes().slice();
    else if (reader.field === 3) expiresAtMs = timestampMs(reader.message());
  }
  return { id, token, expiresAtMs };
}
