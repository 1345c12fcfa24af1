// A message that this worker holds, and the ways to let go of it.
import { milliseconds, type Duration } from "../duration.ts";
import { FilaError, LeaseLost } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Delivery, DeliveryDetails } from "./delivery.ts";

/** What a settlement does. */
export type SettlementAction = "ack" | "nack" | "extend" | "release";

/** A settlement on its way. */
export interface PendingSettlement {
  readonly queue: string;
  readonly id: string;
  readonly token: Uint8Array;
  readonly action: SettlementAction;
  /** nack: why. "" otherwise. */
  readonly error: string;
  /** extend: 0 = the lease's own duration. */
  readonly extendMs: number;
}

/** Carries settlements to the broker. Resolves with the new end of an extended lease, milliseconds since 1970. */
export interface Settler {
  settle(settlement: PendingSettlement): Promise<number | undefined>;
}

/** The reason of a nack is cut to so many characters: people read it, the payload holds the data. */
const maximumErrorLength = 1000;

/**
 * held ─ack, nack, release─▶ settling ─OK─▶ settled; settling ─error that may pass─▶ held again;
 * held or settling ─"lease lost", LEASE_LOST, died stream─▶ lost. `extend` leaves a lease held.
 */
export class Lease {
  /** UUIDv7 of the message. */
  readonly id: string;
  /** The queue that it came from. */
  readonly queue: string;
  /** The producer's payload, unchanged: a view into the frame that it came in; copy it to keep it long. */
  readonly payload: Uint8Array;
  /** 8 bytes that prove the lease. */
  readonly token: Uint8Array;
  readonly #delivery: Delivery;
  readonly #settler: Settler;
  readonly #ended: ((lease: Lease) => void) | undefined;
  #details: DeliveryDetails | undefined;
  #expiresAtMs: number;
  #settlement: { readonly action: SettlementAction; readonly done: Promise<void> } | undefined;
  #abort: AbortController | undefined;
  #lost: LeaseLost | undefined;

  /** Made by the SDK. `ended` is told once when the lease is settled or lost. */
  constructor(queue: string, delivery: Delivery, settler: Settler, ended?: (lease: Lease) => void) {
    this.id = delivery.id;
    this.queue = queue;
    this.payload = delivery.payload;
    this.token = delivery.token;
    this.#delivery = delivery;
    this.#settler = settler;
    this.#ended = ended;
    this.#expiresAtMs = delivery.expiresAtMs;
  }

  /** The producer's headers, unchanged. */
  get headers(): Readonly<Record<string, string>> {
    return this.#read().headers;
  }

  /** The key that the message is scheduled under. */
  get fairnessKey(): string {
    return this.#read().fairnessKey;
  }

  /** The weight of that key at this delivery. */
  get weight(): number {
    return this.#read().weight;
  }

  get throttleKeys(): readonly string[] {
    return this.#read().throttleKeys;
  }

  /** How many deliveries before this one ended in a nack, an expiry or a died stream. 0 at the first. */
  get attempt(): number {
    return this.#read().attempt;
  }

  /** When the broker accepted the message. */
  get enqueuedAt(): Date {
    return new Date(this.#read().enqueuedAtMs);
  }

  /** When this lease was granted. */
  get leasedAt(): Date {
    return new Date(this.#read().leasedAtMs);
  }

  /** When the lease ends unless it is extended or settled. The broker's clock. */
  get expiresAt(): Date {
    return new Date(this.#expiresAtMs);
  }

  /** Aborts with a LeaseLost when the lease is lost before it was settled. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#lost !== undefined) this.#abort.abort(this.#lost);
    }
    return this.#abort.signal;
  }

  /**
   * The message is done and is never delivered again. Resolves when that is on disk.
   * Rejects with LeaseLost, or FilaError unavailable (whether it is done is then unknown; ack again), not_found.
   */
  ack(): Promise<void> {
    return this.#settle("ack", "");
  }

  /** The attempt failed; the message is delivered again. `error` is for people. Rejects as `ack` does. */
  nack(error: unknown = ""): Promise<void> {
    const text = error instanceof Error ? error.message : String(error);
    return this.#settle("nack", text.slice(0, maximumErrorLength));
  }

  /** Not begun: the message goes back to its place without an attempt. Rejects as `ack` does. */
  release(): Promise<void> {
    return this.#settle("release", "");
  }

  /**
   * The lease starts anew from now, for `duration` (1 s to 12 h) or as long as it was granted for. Resolves with its
   * new end. Rejects as `ack` does.
   */
  async extend(duration: Duration = 0): Promise<Date> {
    const extendMs = milliseconds(duration, "duration", limits.visibilityTimeoutMs);
    this.#assertHeld("extend");
    const end = await this.#send("extend", "", extendMs);
    if (end !== undefined) this.#expiresAtMs = end;
    return this.expiresAt;
  }

  /** Made by the SDK: the broker, or the end of the stream, took the lease away. */
  lose(why: LeaseLost): void {
    if (this.#lost !== undefined) return;
    this.#lost = why;
    this.#abort?.abort(why);
    this.#ended?.(this);
  }

  #read(): DeliveryDetails {
    return (this.#details ??= this.#delivery.details());
  }

  #settle(action: SettlementAction, error: string): Promise<void> {
    if (this.#settlement?.action === action) return this.#settlement.done;
    try {
      this.#assertHeld(action);
    } catch (refused) {
      return Promise.reject(FilaError.from(refused));
    }
    const done = this.#send(action, error, 0).then(
      () => this.#ended?.(this),
      (failure: unknown) => {
        this.#settlement = undefined;
        throw failure;
      },
    );
    this.#settlement = { action, done };
    return done;
  }

  #assertHeld(action: SettlementAction): void {
    if (this.#settlement === undefined) return;
    const before = this.#settlement.action;
    throw new FilaError("failed_precondition", "ALREADY_SETTLED", `${action} after ${before} of message ${this.id}`);
  }

  async #send(action: SettlementAction, error: string, extendMs: number): Promise<number | undefined> {
    try {
      return await this.#settler.settle({ queue: this.queue, id: this.id, token: this.token, action, error, extendMs });
    } catch (failure) {
      const known = FilaError.from(failure);
      if (known instanceof LeaseLost) this.lose(known);
      throw known;
    }
  }
}
