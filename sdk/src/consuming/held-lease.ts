// A lease as the SDK keeps it: below `Lease`, which programs hold, and below the worker's runs of a handler.
import { LeaseLost, type FilaError } from "../errors.ts";
import type { Delivery } from "./delivery.ts";
import type { SettlementAction, SettlementSink, Settler } from "./settlement.ts";

/** The reason of a nack is cut to so many characters: people read it, the payload holds the data. */
const maximumErrorLength = 1000;

/**
 * held ─settle─▶ settling ─OK─▶ settled; settling ─error that may pass─▶ held again;
 * held or settling ─"lease lost", LEASE_LOST, died stream─▶ lost. `extend` leaves it as it is. A lost lease may still be
 * settled: the broker knows best, and refuses.
 */
export class HeldLease implements SettlementSink {
  readonly queue: string;
  readonly delivery: Delivery;
  state: "held" | "settling" | "settled" | "lost" = "held";
  /** Milliseconds since 1970, the broker's clock. */
  expiresAtMs: number;
  /** Why it is lost. */
  loss: LeaseLost | undefined;
  /** Told once, when it is lost. */
  onLost: ((why: LeaseLost) => void) | undefined;
  /** The heartbeat's: for how long it extends, milliseconds; 0 = as long as it was granted for. */
  baseMs = 0;
  /** The heartbeat's: when it extends next, on its clock. */
  renewAt = 0;
  /** The heartbeat's: until when it extends at all, on its clock. */
  renewUntil = Infinity;
  /** The heartbeat's: an extension is under way. */
  renewing = false;
  /** What settles it, while that is under way. */
  ending: SettlementAction | undefined;
  readonly #settler: Settler;
  readonly #letGo: ((lease: HeldLease) => void) | undefined;
  #told: SettlementSink | undefined;

  /** `letGo` is told when the lease is settled or lost. */
  constructor(queue: string, delivery: Delivery, settler: Settler, letGo?: (lease: HeldLease) => void) {
    this.queue = queue;
    this.delivery = delivery;
    this.expiresAtMs = delivery.expiresAtMs;
    this.#settler = settler;
    this.#letGo = letGo;
  }

  /** Ends the lease. One such settlement at a time. */
  end(action: Exclude<SettlementAction, "extend">, error: string, told: SettlementSink): void {
    if (this.state === "held") this.state = "settling";
    this.ending = action;
    this.#told = told;
    this.#send(action, error.length > maximumErrorLength ? cut(error) : error, 0, this);
  }

  /** The lease starts anew, for `extendMs` or as long as it was granted for. */
  extend(extendMs: number, told: SettlementSink): void {
    this.#send("extend", "", extendMs, {
      settled: (expiresAtMs) => {
        if (expiresAtMs !== undefined) this.expiresAtMs = expiresAtMs;
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
    this.#letGo?.(this);
    this.onLost?.(why);
  }

  /** The answer to `end`. */
  settled(): void {
    const told = this.#told;
    if (this.state !== "lost") {
      this.state = "settled";
      this.#letGo?.(this);
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

  #send(action: SettlementAction, error: string, extendMs: number, sink: SettlementSink): void {
    const { id, token } = this.delivery;
    this.#settler.settle({ queue: this.queue, id, token, action, error, extendMs, sink });
  }
}

/** Not through the middle of a character, which UTF-8 could not carry. */
function cut(text: string): string {
  return text.slice(0, maximumErrorLength).toWellFormed();
}
