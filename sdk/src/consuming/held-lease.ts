// A lease as the SDK keeps it: below `Lease`, which programs hold, and below the worker's runs of a handler.
import { LeaseLost, type FilaError } from "../errors.ts";
import type { Delivery } from "./delivery.ts";
import type { NackOrder } from "./nack.ts";
import type { SettlementAction, SettlementSink, Settler } from "./settlement.ts";

/** The reason of a nack is cut to so many characters: people read it, the payload holds the data. */
const maximumErrorLength = 1000;

/** Who has the leases of a stream. */
export interface Holder {
  letGo(lease: HeldLease): void;
}

export interface LossWatcher {
  lost(why: LeaseLost): void;
}

/** What a heartbeat knows of a lease. */
export interface Beat {
  /** For how long it extends, milliseconds; 0 = as long as it was granted for. */
  baseMs: number;
  /** When it extends next, on its clock. */
  renewAt: number;
  /** An extension is under way. */
  renewing: boolean;
}

/**
 * held ─settle─▶ settling ─OK─▶ settled; settling ─error that may pass─▶ held again;
 * held or settling ─"lease lost", LEASE_LOST, died stream─▶ lost. `extend` leaves it as it is. A lost lease may still be
 * settled: the broker knows best, and refuses.
 */
export class HeldLease implements SettlementSink {
  readonly queue: string;
  readonly delivery: Delivery;
  state: "held" | "settling" | "settled" | "lost" = "held";
  /** Why it is lost. */
  loss: LeaseLost | undefined;
  /** Told once, when it is lost. */
  onLost: LossWatcher | undefined;
  /** What settles it, while that is under way. */
  ending: SettlementAction | undefined;
  /** The heartbeat's: when it came, on its clock in whole milliseconds. */
  arrivedAt = 0;
  /** The heartbeat's, once it had a look at the lease. */
  beat: Beat | undefined;
  readonly #settler: Settler;
  readonly #holder: Holder | undefined;
  #expiresAtMs: number | undefined;
  #told: SettlementSink | undefined;

  /** `holder` is told when the lease is settled or lost. */
  constructor(queue: string, delivery: Delivery, settler: Settler, holder?: Holder) {
    this.queue = queue;
    this.delivery = delivery;
    this.#settler = settler;
    this.#holder = holder;
  }

  /** Milliseconds since 1970, the broker's clock. */
  get expiresAtMs(): number {
    return this.#expiresAtMs ?? this.delivery.expiresAtMs;
  }

  /** It was taken up again and ends then. */
  renewed(expiresAtMs: number): void {
    this.#expiresAtMs = expiresAtMs;
  }

  /** Ends the lease. One such settlement at a time. `nack`: what a nack asks for. */
  end(action: Exclude<SettlementAction, "extend">, error: string, told: SettlementSink, nack?: NackOrder): void {
    if (this.state === "held") this.state = "settling";
    this.ending = action;
    this.#told = told;
    this.#send(action, error.length > maximumErrorLength ? cut(error) : error, nack, 0, this);
  }

  /** The lease starts anew, for `extendMs` or as long as it was granted for. */
  extend(extendMs: number, told: SettlementSink): void {
    this.#send("extend", "", undefined, extendMs, {
      settled: (expiresAtMs) => {
        if (expiresAtMs !== undefined) this.#expiresAtMs = expiresAtMs;
        told.settled(this.expiresAtMs);
      },
      refused: (error) => {
        if (error instanceof LeaseLost) this.lose(error);
        told.refused(error);
      },
    });
  }

  /** The broker, or the end of the stream, took it away. */
  lose(why: LeaseLost): void {
    if (this.state === "lost" || this.state === "settled") return;
    this.state = "lost";
    this.loss = why;
    this.#holder?.letGo(this);
    this.onLost?.lost(why);
  }

  /** The answer to `end`. */
  settled(): void {
    const told = this.#told;
    if (this.state !== "lost") {
      this.state = "settled";
      this.#holder?.letGo(this);
    }
    told?.settled(undefined);
  }

  /** The answer to `end`. */
  refused(error: FilaError): void {
    const told = this.#told;
    if (error instanceof LeaseLost) this.lose(error);
    else if (this.state === "settling") this.state = "held";
    this.ending = undefined;
    told?.refused(error);
  }

  #send(
    action: SettlementAction,
    error: string,
    nack: NackOrder | undefined,
    extendMs: number,
    sink: SettlementSink,
  ): void {
    this.#settler.settle({ queue: this.queue, lease: this.delivery, action, error, nack, extendMs, sink });
  }
}

/** Not through the middle of a character, which UTF-8 could not carry. */
function cut(text: string): string {
  return text.slice(0, maximumErrorLength).toWellFormed();
}
