// A message that this program holds, and the ways to let go of it.
import { decodePayload, type Codec } from "../codec.ts";
import { milliseconds, type Duration } from "../duration.ts";
import { FilaError, textOf } from "../errors.ts";
import { limits } from "../limits.ts";
import type { DeliveryDetails } from "./delivery.ts";
import type { HeldLease } from "./held-lease.ts";
import { nackOrder, orderOf, type NackOptions, type NackOrder } from "./nack.ts";
import type { SettlementAction } from "./settlement.ts";

type Ending = Exclude<SettlementAction, "extend">;

/** A leased message. `payload` is its bytes; `decode()` is what the codec of the queue makes of them. */
export class Lease<T = Uint8Array> {
  /** UUIDv7 of the message. */
  readonly id: string;
  /** The queue that it came from. */
  readonly queue: string;
  /** The producer's payload, unchanged: a view into the frame that it came in; copy it to keep it long. */
  readonly payload: Uint8Array;
  /** 8 bytes that prove the lease. */
  readonly token: Uint8Array;
  readonly #held: HeldLease;
  readonly #codec: Codec<T>;
  #details: DeliveryDetails | undefined;
  #ending: { readonly action: Ending; readonly done: Promise<void> } | undefined;
  #abort: AbortController | undefined;

  /** Made by the SDK. */
  constructor(held: HeldLease, codec: Codec<T>) {
    this.id = held.delivery.id;
    this.queue = held.queue;
    this.payload = held.delivery.payload;
    this.token = held.delivery.token;
    this.#held = held;
    this.#codec = codec;
  }

  /** The payload as the queue's codec reads it; the bytes when the queue was only named. Throws FilaError invalid_argument INVALID_PAYLOAD. */
  decode(): T {
    return decodePayload(this.#codec, this.id, this.payload);
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
    return new Date(this.#held.expiresAtMs);
  }

  /** Aborts with a LeaseLost when the lease is lost before it was settled. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController();
      this.#abort = abort;
      if (this.#held.loss === undefined) this.#held.onLost = { lost: (why) => abort.abort(why) };
      else abort.abort(this.#held.loss);
    }
    return this.#abort.signal;
  }

  /**
   * The message is done and is never delivered again. Resolves when that is on disk.
   * Rejects with LeaseLost, or FilaError unavailable (whether it is done is then unknown; ack again), not_found.
   */
  ack(): Promise<void> {
    return this.#end("ack", "");
  }

  /**
   * The attempt failed; the message is delivered again as the queue's retry policy says, or as `options` do. `error` is for
   * people, its first 1,000 characters; a DeadLetter or RetryAfter means what it means in a handler. Rejects as `ack`
   * does, and with invalid_argument INVALID_DURATION.
   */
  async nack(error: unknown = "", options: NackOptions = {}): Promise<void> {
    return this.#end("nack", textOf(error), nackOrder(options) ?? orderOf(error));
  }

  /** Not begun: the message goes back to its place without an attempt. Rejects as `ack` does. */
  release(): Promise<void> {
    return this.#end("release", "");
  }

  /**
   * The lease starts anew from now, for `duration` (1 s to 12 h) or as long as it was granted for. Resolves with its
   * new end. Rejects as `ack` does.
   */
  async extend(duration: Duration = 0): Promise<Date> {
    const extendMs = milliseconds(duration, "duration", limits.visibilityTimeoutMs);
    if (this.#ending !== undefined) throw this.#alreadySettled("extend", this.#ending.action);
    await new Promise((settled, refused) => this.#held.extend(extendMs, { settled, refused }));
    return this.expiresAt;
  }

  #read(): DeliveryDetails {
    return (this.#details ??= this.#held.delivery.details());
  }

  #end(action: Ending, error: string, nack?: NackOrder): Promise<void> {
    if (this.#ending !== undefined) {
      if (this.#ending.action === action) return this.#ending.done;
      return Promise.reject(this.#alreadySettled(action, this.#ending.action));
    }
    const done = new Promise<void>((settled, refuse) => {
      const refused = (failure: FilaError): void => {
        this.#ending = undefined;
        refuse(failure);
      };
      this.#held.end(action, error, { settled: () => settled(), refused }, nack);
    });
    this.#ending = { action, done };
    return done;
  }

  #alreadySettled(action: SettlementAction, before: Ending): FilaError {
    return new FilaError("failed_precondition", "ALREADY_SETTLED", `${action} after ${before} of message ${this.id}`);
  }
}
